/// explore.cpp — sim_explore: many seeds of the scenario, with a table of the faults that struck.
///
/// sim_explore [FIRST [COUNT] | --seed=N]. Every hundredth seed runs twice, and must give the same hash. Exit
/// code 1: a seed has failed, or a kind of fault has never struck in five hundred seeds or more.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "sim/scenario.hpp"

namespace corering::sim_test {
namespace {

struct Sums {
  std::uint64_t operations = 0, turns = 0, hits = 0;
  std::uint64_t fewest_operations = UINT64_MAX, fewest_hits = UINT64_MAX, too_quiet = 0;
  std::array<std::uint64_t, sim::fault_count> by_fault{};
  std::vector<std::uint64_t> failed;

  void add(const sim::RunReport& report) {
    operations += report.operations;
    turns += report.turns;
    hits += report.faults.hits();
    fewest_operations = std::min(fewest_operations, report.operations);
    fewest_hits = std::min(fewest_hits, report.faults.hits());
    if (report.operations < 300 || report.faults.hits() < 3) ++too_quiet;
    for (std::size_t i = 0; i < sim::fault_count; ++i)
      by_fault[i] += report.faults[static_cast<sim::Fault>(i)].hits;
  }
};

void run_seed(std::uint64_t seed, Sums& sums) {
  sim::RunReport report = run_scenario(options_of(seed));
  sums.add(report);
  if (seed % 100 == 0 && run_scenario(options_of(seed)).hash != report.hash)
    report.failure = "it ran in two different ways";
  if (report.is_good()) return;
  sums.failed.push_back(seed);
  std::printf("seed %llu failed: %s\n", static_cast<unsigned long long>(seed), report.failure.c_str());
}

void print(const Sums& sums, std::uint64_t count, double seconds) {
  const auto each = [count](std::uint64_t sum) {
    return static_cast<double>(sum) / static_cast<double>(count);
  };
  const double processor = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::printf("%llu seeds in %.1f s, and in %.1f s of one core: %.0f seeds a second and core\n",
              static_cast<unsigned long long>(count), seconds, processor,
              static_cast<double>(count) / processor);
  std::printf("each on average: %.0f operations, %.0f turns, %.1f faults\n", each(sums.operations),
              each(sums.turns), each(sums.hits));
  std::printf("fewest: %llu operations, %llu faults; %llu seeds had less than 300 operations or 3 faults\n",
              static_cast<unsigned long long>(sums.fewest_operations),
              static_cast<unsigned long long>(sums.fewest_hits),
              static_cast<unsigned long long>(sums.too_quiet));
  for (std::size_t i = 0; i < sim::fault_count; ++i)
    std::printf("  %-20s %12llu\n", std::string(sim::name_of(static_cast<sim::Fault>(i))).c_str(),
                static_cast<unsigned long long>(sums.by_fault[i]));
  std::printf("%zu seeds failed\n", sums.failed.size());
}

bool is_number(std::string_view text, std::uint64_t& number) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Few seeds need not draw every kind. Many do, unless it strikes no more.
bool has_struck_all(const Sums& sums, std::uint64_t count) {
  if (count < 500 || std::ranges::count(sums.by_fault, 0U) == 0) return true;
  std::printf("a kind of fault has never struck: look for the 0 above\n");
  return false;
}

}  // namespace
}  // namespace corering::sim_test

int main(int count, char** arguments) {
  using namespace corering::sim_test;
  std::uint64_t first = 1, seeds = 1000;
  bool is_understood = count <= 3;
  if (const std::string_view word = count > 1 ? arguments[1] : ""; word.starts_with("--seed=")) {
    is_understood = count == 2 && is_number(word.substr(7), first);
    seeds = 1;
  } else {
    is_understood = is_understood && (count < 2 || is_number(word, first)) &&
                    (count < 3 || (is_number(arguments[2], seeds) && seeds > 0));
  }
  if (!is_understood) return std::fputs("usage: sim_explore [FIRST [COUNT] | --seed=N]\n", stderr), 2;
  const auto begin = std::chrono::steady_clock::now();
  Sums sums;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) run_seed(seed, sums);
  print(sums, seeds, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return has_struck_all(sums, seeds) && sums.failed.empty() ? 0 : 1;
}
