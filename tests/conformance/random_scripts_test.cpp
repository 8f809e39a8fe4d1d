/// random_scripts_test.cpp — what the real ring does with a random script is among what the simulated one
/// does.
#include <csignal>
#include <cstdlib>
#include <optional>

#include <corering/sim/explore.hpp>
#include <gtest/gtest.h>

#include "conformance/kernels.hpp"
#include "conformance/outcome.hpp"

namespace corering::conformance {
namespace {

constexpr std::uint64_t most_worlds = 400;  // that are tried before a script counts as different

/// The first worlds have no faults; in the others completions are late, and come in another order.
std::unique_ptr<Machine> world_of(std::uint64_t seed, sim::Faults faults) {
  if (seed > 8) faults[sim::Fault::completion_order] = {.one_in = 2, .budget = 100};
  if (seed > 20) faults[sim::Fault::late_completion] = {.one_in = 4, .budget = 100};
  return simulated_machine(seed, faults);
}

/// Nothing, if what is real is among what is simulated; otherwise the script and both outcomes.
std::optional<std::string> difference(const RandomScript& script, const Outcome& real,
                                      const sim::Faults& planted = {}) {
  std::string simulated;
  for (std::uint64_t seed = 1; seed <= most_worlds; ++seed) {
    const std::unique_ptr<Machine> world = world_of(seed, planted);
    const Outcome outcome = run_script(script, *world);
    if (outcome == real) return std::nullopt;
    if (seed == 1) simulated = outcome.to_string();
  }
  return script.to_string() + "real:\n" + real.to_string() + "simulated, the first of " +
         std::to_string(most_worlds) + ":\n" + simulated;
}

std::uint64_t count_from_environment() {
  const char* const set = std::getenv("CORERING_SCRIPTS");
  return set == nullptr ? 500 : std::strtoull(set, nullptr, 10);
}

class SimRandomScripts : public testing::Test {
 protected:
  void SetUp() override {
    if (!capabilities_of(real_kernel()).has(Opcode::read_multishot))
      GTEST_SKIP() << "there is no ring here that reads again and again: io_uring of Linux 6.7";
    ::signal(SIGPIPE, SIG_IGN);
  }
  std::unique_ptr<Machine> real = real_machine(real_kernel());
};

TEST_F(SimRandomScripts, answer_what_the_simulated_kernel_can_answer_too) {
  const std::uint64_t first = sim::wanted_seed().value_or(1);
  const std::uint64_t count = sim::wanted_seed() ? 1 : count_from_environment();
  std::uint64_t tried = 0, different = 0;
  for (; tried < count && different < 5; ++tried) {
    const RandomScript script = make_script(first + tried);
    const std::optional<std::string> told = difference(script, run_script(script, *real));
    different += told ? 1 : 0;
    EXPECT_FALSE(told) << *told;
  }
  std::printf("%llu random scripts tried, %llu of them differ\n", static_cast<unsigned long long>(tried),
              static_cast<unsigned long long>(different));
}

// A simulated kernel that receives one byte less than it could.
TEST_F(SimRandomScripts, find_a_difference_that_was_put_there) {
  sim::Faults planted;
  planted[sim::Fault::short_receive] = {.one_in = 1, .budget = 1000};
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const RandomScript script = make_script(seed);
    found += difference(script, run_script(script, *real), planted) ? 1 : 0;
  }
  EXPECT_GT(found, 3);
}

TEST_F(SimRandomScripts, tell_the_script_and_both_outcomes_when_they_differ) {
  const RandomScript script = make_script(1);
  Outcome other = run_script(script, *real);
  other.add_outside("something else");
  const std::string told = difference(script, other).value_or("");
  EXPECT_NE(told.find("script 1:"), std::string::npos) << told;
  EXPECT_NE(told.find("real:"), std::string::npos);
  EXPECT_NE(told.find("something else"), std::string::npos);
  EXPECT_NE(told.find("simulated"), std::string::npos);
}

TEST(SimScripts, are_the_same_for_the_same_seed) {
  EXPECT_EQ(make_script(7).to_string(), make_script(7).to_string());
  EXPECT_NE(make_script(7).to_string(), make_script(8).to_string());
}

// LeakSanitizer sees what a ring does not give back.
TEST(SimScripts, end_although_a_notification_is_still_to_come) {
  sim::Faults faults;
  faults[sim::Fault::late_notification] = {.one_in = 1, .budget = 1};
  const std::unique_ptr<Machine> machine = simulated_machine(1, faults);
  Outside outside(*machine);
  Script script(machine->kernel());
  script.submit({send_zc(1, outside.tcp_pair().ours, "hello")});
  script.expect({{1, 5, more}});
  EXPECT_FALSE(script.reap()) << "then nothing is left for the end of the ring";
}

}  // namespace
}  // namespace corering::conformance
