/// kernels.hpp — the kernels on which every script runs.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include <corering/uring/capabilities.hpp>
#include <gtest/gtest.h>

#include "conformance/machine.hpp"
#include "conformance/outside.hpp"
#include "conformance/script.hpp"

namespace corering::conformance {

struct KernelUnderTest {
  std::string name;
  std::unique_ptr<Machine> (*make)();

  friend void PrintTo(const KernelUnderTest& tested, std::ostream* out) { *out << tested.name; }
};

/// To run all scripts on one more kernel, add a line there.
[[nodiscard]] const std::vector<KernelUnderTest>& kernels();

/// What this kernel can do; it is asked once. Nothing, if it opens no ring.
[[nodiscard]] const Capabilities& capabilities_of(Kernel& kernel);

/// A script on one of the kernels, and the descriptors and the memory that it uses. If a script waits for
/// ever inside the kernel, an alarm ends the program.
class Conformance : public testing::TestWithParam<KernelUnderTest> {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] Kernel& kernel() const { return machine->kernel(); }
  [[nodiscard]] bool is_emulated() const { return GetParam().name == "emulated"; }
  [[nodiscard]] bool is_simulated() const { return GetParam().name == "simulated"; }
  [[nodiscard]] bool has(Need need) const { return capabilities_of(kernel()).has(need); }
  /// True on the Linux versions that are known to have a certain fault, which a script would trip over.
  [[nodiscard]] bool is_linux(std::initializer_list<const char*> versions) const;
  /// True on a Linux that is not of this version, such as "6.18".
  [[nodiscard]] bool is_other_linux(const std::string& version) const;

  std::unique_ptr<Machine> machine = GetParam().make();
  Outside outside{*machine};  // outlives the script: the kernel may write there until the script has ended
  Script script{kernel()};
};

/// Makes a group of scripts: `SCRIPTS(Links);` and then `TEST_P(Links, ...)`.
#define SCRIPTS(Group)                 \
  class Group : public Conformance {}; \
  SCRIPTS_OF(Group)

/// The same for a class of the group's own, which derives from Conformance.
#define SCRIPTS_OF(Group)                                                    \
  INSTANTIATE_TEST_SUITE_P(Conformance, Group, testing::ValuesIn(kernels()), \
                           [](const testing::TestParamInfo<KernelUnderTest>& at) { return at.param.name; })

/// Skips the script, with the reason, where the kernel does not have what it needs.
#define NEEDS(what) \
  if (!has(what)) GTEST_SKIP() << Need(what).unmet().message()

/// Skips the script on another Linux than 6.18, with which the emulated kernel's refusals were compared: an
/// older Linux looks at less, and a later one may know what this one refuses.
#define COMPARED_WITH_LINUX_6_18 \
  if (is_other_linux("6.18")) GTEST_SKIP() << "what is refused was compared with Linux 6.18"

/// Skips the script on the emulated kernel, which differs there. docs/KERNELS.md lists each of these.
#define DIFFERS_WHEN_EMULATED(why) \
  if (is_emulated()) GTEST_SKIP() << "the emulated kernel differs: " << (why)

/// Skips the script on the simulated kernel, which has no such thing. docs/SIMULATION.md lists these.
#define NOT_SIMULATED(what) \
  if (is_simulated()) GTEST_SKIP() << "the simulated kernel does not model " << (what)

}  // namespace corering::conformance
