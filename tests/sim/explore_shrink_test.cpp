/// explore_shrink_test.cpp — a seed that fails is found, shrunk, drawn, and can be run again.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include <corering/corering.hpp>
#include <corering/sim/gtest.hpp>
#include <gtest/gtest-spi.h>

#include "support/story.hpp"

namespace corering {
namespace {

/// It takes for granted that a read of a pipe gives all that was written.
Task<void> trusts_reads(bool& was_right) {
  Result<Pipe> pipe = Pipe::create();
  if (!pipe) co_return;
  const std::array<std::byte, 100> text{};
  std::array<std::byte, 100> buffer{};
  for (int i = 0; i < 10 && was_right; ++i) {
    (void)co_await pipe->writer.write_all(text);
    const Result<std::size_t> got = co_await pipe->reader.read(buffer);
    was_right = got.has_value() && *got == text.size();
  }
}

sim::RunReport run_trusting(sim::World& world) {
  bool was_right = true;
  sim::RunReport report = world.run(trusts_reads(was_right));
  if (!was_right) report.failure = "a read was short";
  return report;
}

TEST(SimExploring, finds_the_one_fault_that_a_program_does_not_bear) {
  const auto failed = sim::explore(run_trusting, {.seeds = 200});
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->report.failure, "a read was short");
  EXPECT_EQ(failed->report.faults.kinds(), 1U) << failed->to_string();
  EXPECT_EQ(failed->report.faults[sim::Fault::short_read].hits, 1U);
  EXPECT_GT(failed->kinds, 1U);
}

TEST(SimExploring, draws_twenty_events_at_most) {
  const auto failed = sim::explore(run_trusting, {.seeds = 200});
  ASSERT_TRUE(failed.has_value());
  const std::string drawn = sim::diagram_of(failed->report);
  EXPECT_TRUE(drawn.starts_with("sequenceDiagram\n"));
  EXPECT_NE(drawn.find("fault short_read"), std::string::npos) << drawn;
  EXPECT_LE(std::ranges::count(drawn, '\n'), 20 + 5);
}

TEST(SimExploring, runs_only_the_seed_that_was_asked_for) {
  const auto failed = sim::explore(run_trusting, {.seeds = 200});
  ASSERT_TRUE(failed.has_value());
  ASSERT_EQ(::setenv("CORERING_SEED", std::to_string(failed->seed).c_str(), 1), 0);
  std::size_t runs = 0;
  std::uint64_t seed = 0;
  const auto counted = [&](sim::World& world) {
    ++runs;
    sim::RunReport report = run_trusting(world);
    seed = report.seed;
    report.failure.clear();
    return report;
  };
  EXPECT_FALSE(sim::explore(counted, {.seeds = 200}).has_value());
  ::unsetenv("CORERING_SEED");
  EXPECT_EQ(runs, 1U);
  EXPECT_EQ(seed, failed->seed);
}

TEST(SimExploring, a_seed_that_is_no_number_is_refused) {
  for (const char* const wrong : {"12x", "0x10", "", "-1", "18446744073709551616"}) {
    ASSERT_EQ(::setenv("CORERING_SEED", wrong, 1), 0);
    EXPECT_THROW((void)sim::explore(run_trusting), std::invalid_argument) << wrong;
  }
  ::unsetenv("CORERING_SEED");
}

TEST(SimExploringDeathTest, needs_a_seed) {
  EXPECT_DEATH((void)sim::explore(run_trusting, {.seeds = 0}), "without a seed nothing would be tried");
}

/// What an optimizer cannot foresee.
volatile int nothing = 0;

TEST(SimExploringDeathTest, a_crash_tells_its_seed) {
  const auto divides = [](sim::World& world) {
    if (world.report().seed == 7) std::raise(SIGFPE);
    return sim::RunReport();
  };
  const auto touches = [](sim::World& world) {
    if (world.report().seed == 7) *reinterpret_cast<volatile int*>(static_cast<std::uintptr_t>(nothing)) = 1;
    return sim::RunReport();
  };
  EXPECT_DEATH((void)sim::explore(divides), "run it again with --seed=7");
  EXPECT_DEATH((void)sim::explore(touches), "run it again with --seed=7");
}

#if defined(__SANITIZE_ADDRESS__) || defined(CORERING_TEST_ASAN)
TEST(SimExploringDeathTest, a_report_of_the_address_sanitizer_tells_its_seed) {
  const auto uses_after_free = [](sim::World& world) {
    auto number = std::make_unique<int>(1);
    const volatile int* const left = number.get();
    number.reset();
    if (world.report().seed == 7) (void)*left;
    return sim::RunReport();
  };
  EXPECT_DEATH((void)sim::explore(uses_after_free), "run it again with --seed=7");
}
#endif

/// It fails with every seed, and without its short reads with something else.
sim::RunReport run_failing_twice(sim::World& world) {
  sim::RunReport report = run_trusting(world);
  if (report.is_good()) report.failure = "something else";
  return report;
}

TEST(SimExploring, tells_what_failed_at_first_when_the_smallest_run_fails_otherwise) {
  std::optional<sim::FailedSeed> failed;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    failed = sim::explore(run_failing_twice, {.first = seed, .seeds = 1});
    ASSERT_TRUE(failed.has_value());
    EXPECT_EQ(failed->report.failure, "something else");
    if (failed->first_failure == "a read was short") break;
  }
  ASSERT_EQ(failed->first_failure, "a read was short");
  EXPECT_NE(failed->to_string().find("it failed otherwise: a read was short"), std::string::npos);
}

TEST(SimExploring, a_skipped_seed_skips_the_case) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter catches(&results);
    sim::run_sim_test(
        [](sim::World&, sim::RunReport&) {
          const auto skips = [] { GTEST_SKIP() << "no such kernel"; };
          skips();
        },
        3);
  }
  ASSERT_EQ(results.size(), 1);
  EXPECT_TRUE(results.GetTestPartResult(0).skipped());
}

/// It does without a check, as `.value()` does.
sim::RunReport run_throwing(sim::World& world) {
  return world.run([] {
    const int made = os::socket(AF_INET, SOCK_STREAM);
    if (made < 0) throw std::runtime_error("no socket");
    os::close(made);
  });
}

TEST(SimExploring, an_exception_of_the_program_is_a_failure_with_its_seed_and_fault) {
  const auto failed = sim::explore(run_throwing, {.seeds = 200});
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->report.failure, "exception: no socket");
  EXPECT_EQ(failed->report.seed, failed->seed);
  EXPECT_EQ(failed->report.faults.kinds(), 1U) << failed->to_string();
  EXPECT_EQ(failed->report.faults[sim::Fault::emfile].hits, 1U);
  EXPECT_NE(failed->to_string().find("fault emfile"), std::string::npos) << failed->to_string();
}

TEST(SimExploring, an_exception_of_a_task_is_a_failure_whatever_its_type) {
  const auto throws = []() -> Task<void> {
    (void)co_await async_nop();
    throw 42;
  };
  const auto failed =
      sim::explore([&throws](sim::World& world) { return world.run(throws()); }, {.seeds = 1});
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->report.failure, "exception: it is no std::exception");
  EXPECT_FALSE(failed->report.newest.empty());
}

void expects_too_much() {
  sim::run_sim_test(
      [](sim::World& world, sim::RunReport& report) {
        bool was_right = true;
        report = world.run(trusts_reads(was_right));
        EXPECT_TRUE(was_right) << "this read was short";
      },
      200);
}

TEST(SimExploring, a_failed_expectation_fails_the_case_with_its_seed) {
  testing::TestPartResultArray results;
  {
    const testing::ScopedFakeTestPartResultReporter catches(&results);
    expects_too_much();
  }
  ASSERT_EQ(results.size(), 1);
  const std::string told = results.GetTestPartResult(0).message();
  EXPECT_NE(told.find("this read was short"), std::string::npos) << told;
  EXPECT_NE(told.find("run it again with --seed="), std::string::npos) << told;
}

Task<void> bears_short_reads(std::size_t& read) {
  Result<Pipe> pipe = Pipe::create();
  if (!pipe) co_return;
  const std::array<std::byte, 100> text{};
  (void)co_await pipe->writer.write_all(text);
  std::array<std::byte, 100> buffer{};
  while (read < text.size()) {
    const Result<std::size_t> got = co_await pipe->reader.read(buffer);
    if (!got) break;
    read += *got;
  }
}

SIM_TEST(SimExploring, a_program_that_bears_everything_passes, 100) {
  std::size_t read = 0;
  const sim::RunReport report = world.run(bears_short_reads(read));
  EXPECT_EQ(read, 100U);
  return report;
}

}  // namespace
}  // namespace corering
