/// kernels.cpp — the list of kernels, and what is the same around every script.
#include "conformance/kernels.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>
#include <sys/utsname.h>
#include <unistd.h>

#include <corering/emulation/emulated_kernel.hpp>
#include <corering/sim/explore.hpp>

namespace corering::conformance {

const std::vector<KernelUnderTest>& kernels() {
  static const std::vector<KernelUnderTest> all = {
      {"io_uring", [] { return real_machine(real_kernel()); }},
      {"emulated", [] { return real_machine(emulated_kernel()); }},
      {"simulated", [] { return simulated_machine(sim::wanted_seed().value_or(1)); }},
  };
  return all;
}

const Capabilities& capabilities_of(Kernel& kernel) {
  if (kernel.known_capabilities() != nullptr) return *kernel.known_capabilities();
  static std::map<Kernel*, Capabilities> known;
  const auto [place, is_new] = known.try_emplace(&kernel);
  if (is_new) place->second = probe(kernel).value_or(Capabilities());
  return place->second;
}

void Conformance::SetUp() {
  if (script.opened() < 0) {
    GTEST_SKIP() << GetParam().name << " opens no ring here: " << std::strerror(-script.opened());
  }
  ::signal(SIGPIPE, SIG_IGN);  // where a kernel closes what it should keep, a script fails instead
  ::alarm(60);
}

void Conformance::TearDown() {
  if (script.opened() >= 0) script.finish();
  ::alarm(0);
}

bool Conformance::is_other_linux(const std::string& version) const {
  return &kernel() == &real_kernel() && !is_linux({(version + ".").c_str()});
}

bool Conformance::is_linux(std::initializer_list<const char*> versions) const {
  utsname name{};
  if (&kernel() != &real_kernel() || ::uname(&name) != 0) return false;
  return std::ranges::any_of(versions, [&name](std::string_view version) {
    return std::string_view(name.release).starts_with(version);
  });
}

}  // namespace corering::conformance
