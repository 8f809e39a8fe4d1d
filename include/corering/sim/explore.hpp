/// explore.hpp — many seeds of one program; and when one fails, the smallest world in which it still fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <corering/sim/sim.hpp>

namespace corering::sim {

struct ExploreOptions {
  std::uint64_t first = 1;    ///< the first seed
  std::uint64_t seeds = 100;  ///< how many, at least 1
  std::size_t workers = 2;
  std::vector<Fault> never = {};    ///< kinds of faults that no seed draws
  std::uint64_t most_changes = 60;  ///< explore_power_cuts(): the power goes off after at most so many
};

/// A seed that has failed, and what is left of it when all that can be taken away is taken away.
struct FailedSeed {
  std::uint64_t seed = 0;
  RunReport report;                   ///< of the smallest run that still fails, perhaps with something else
  std::string first_failure;          ///< of the run with all faults
  std::size_t kinds = 0;              ///< of faults, at first
  std::size_t runs = 0;               ///< that it took to find it
  std::uint64_t power_cut_after = 0;  ///< explore_power_cuts(): after so many changes of files

  /// What failed, the faults that are needed for it, and at most 20 events as a sequence diagram (Mermaid).
  [[nodiscard]] std::string to_string() const;
};

/// Runs `program` in a world of each seed, with the swarm of faults that the seed draws. If one fails it
/// takes away kinds of faults, and then how often they strike, for as long as the program still fails.
/// An exception of the program is a failure, too.
///
/// With CORERING_SEED=N, or `--seed=N` among the program's arguments, only that seed runs. If the program
/// ends by an assertion, by a signal such as SIGSEGV or by a sanitizer, the seed is printed.
/// errors: throws std::invalid_argument if what should be the number N is none
[[nodiscard]] std::optional<FailedSeed> explore(const std::function<RunReport(World&)>& program,
                                                const ExploreOptions& options = {});

/// The same for a program that makes its worlds itself, from the options that it gets: one that loses its
/// power and starts again (sim/power_cut.hpp). The seed also draws when the power goes off, and the smallest
/// run is the one with the earliest time at which it still fails.
[[nodiscard]] std::optional<FailedSeed> explore_power_cuts(
    const std::function<RunReport(const WorldOptions&)>& program, const ExploreOptions& options = {});

/// Returns the seed that was asked for.
/// errors: throws std::invalid_argument if it is no number
[[nodiscard]] std::optional<std::uint64_t> wanted_seed();

/// Returns the newest `most` events as a sequence diagram. Turns are left out.
[[nodiscard]] std::string diagram_of(const RunReport& report, std::size_t most = 20);

}  // namespace corering::sim
