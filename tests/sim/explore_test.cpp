/// explore_test.cpp — a few hundred seeds of the scenario; `sim_explore` runs a hundred thousand.
#include <array>

#include <gtest/gtest.h>

#include "sim/scenario.hpp"

namespace corering::sim_test {
namespace {

TEST(SimExplore, every_seed_ends_and_gets_what_was_sent) {
  std::uint64_t operations = 0, hits = 0;
  std::array<std::uint64_t, sim::fault_count> by_kind{};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const sim::RunReport report = run_scenario(options_of(seed));
    ASSERT_EQ(report.failure, "") << "seed " << seed;
    operations += report.operations;
    hits += report.faults.hits();
    for (std::size_t i = 0; i < sim::fault_count; ++i)
      by_kind[i] += report.faults[static_cast<sim::Fault>(i)].hits;
  }
  EXPECT_GE(operations, 300U * 300U);
  EXPECT_GE(hits, 300U * 3U);
  for (std::size_t i = 0; i < sim::fault_count; ++i)
    EXPECT_GT(by_kind[i], 0U) << sim::name_of(static_cast<sim::Fault>(i)) << " has never struck";
}

TEST(SimExplore, a_seed_decides_everything) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    EXPECT_EQ(run_scenario(options_of(seed)).hash, run_scenario(options_of(seed)).hash) << "seed " << seed;
}

}  // namespace
}  // namespace corering::sim_test
