/// gtest.hpp — a GoogleTest case that runs in many simulated worlds.
///
///     SIM_TEST(MyServer, answers_everybody, 1000) { return world.run(my_main(world)); }
///
/// runs the body for the seeds 1 to 1000, each in a `world` of two workers with a swarm of faults. If a seed
/// fails (its report, an EXPECT, an ASSERT), the case fails with the seed, with the few faults that it needs,
/// and with a diagram of what happened last. `--seed=N` runs that seed only.
#pragma once

#include <functional>
#include <string>

#include <corering/sim/explore.hpp>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace corering::sim {

/// What SIM_TEST calls.
inline void run_sim_test(const std::function<void(World&, RunReport&)>& body, std::uint64_t seeds) {
  const auto caught = [&body](World& world) {
    RunReport report;
    testing::TestPartResultArray results;
    {
      const testing::ScopedFakeTestPartResultReporter catches(&results);
      body(world, report);
    }
    for (int i = 0; i < results.size() && report.failure.empty(); ++i) {
      if (results.GetTestPartResult(i).failed()) report.failure = results.GetTestPartResult(i).message();
    }
    return report;
  };
  if (const auto failed = explore(caught, {.seeds = seeds}); failed) ADD_FAILURE() << failed->to_string();
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
