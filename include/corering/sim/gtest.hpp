/// gtest.hpp — a GoogleTest case that runs in many simulated worlds.
///
///     SIM_TEST(MyServer, answers_everybody, 1000) { return world.run(my_main(world)); }
///
/// runs the body for the seeds 1 to 1000, each in a `world` of two workers with a swarm of faults. If a seed
/// fails (its report, an EXPECT; an ASSERT in a function or task that the body calls, since the body itself
/// returns the report), the case fails with the seed, with the few faults that it needs, and with a diagram
/// of what happened last. If a seed is skipped, so is the case. `--seed=N` runs that seed only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <corering/sim/explore.hpp>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace corering::sim {

/// What SIM_TEST calls.
inline void run_sim_test(const std::function<void(World&, RunReport&)>& body, std::uint64_t seeds) {
  std::optional<std::string> why_skipped;
  const auto caught = [&body, &why_skipped](World& world) {
    RunReport report;
    testing::TestPartResultArray results;
    {
      const testing::ScopedFakeTestPartResultReporter catches(&results);
      body(world, report);
    }
    for (int i = 0; i < results.size() && report.failure.empty(); ++i) {
      const testing::TestPartResult& result = results.GetTestPartResult(i);
      if (result.failed()) report.failure = result.message();
      if (result.skipped()) why_skipped = result.message();
    }
    return report;
  };
  const auto failed = explore(caught, {.seeds = seeds});
  if (failed) {
    ADD_FAILURE() << failed->to_string();
  } else if (why_skipped) {
    GTEST_SKIP() << *why_skipped;
  }
}

}  // namespace corering::sim

/// The body sees `world`, and returns what world.run() has returned.
#define SIM_TEST(Suite, name, seeds)                                                          \
  static ::corering::sim::RunReport Suite##_##name##_in_world(::corering::sim::World& world); \
  TEST(Suite, name) {                                                                         \
    ::corering::sim::run_sim_test(                                                            \
        [](::corering::sim::World& world, ::corering::sim::RunReport& report) {               \
          report = Suite##_##name##_in_world(world);                                          \
        },                                                                                    \
        seeds);                                                                               \
  }                                                                                           \
  static ::corering::sim::RunReport Suite##_##name##_in_world([[maybe_unused]] ::corering::sim::World& world)
