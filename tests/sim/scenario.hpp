/// scenario.hpp — one program with everything in it that a seed can turn against the library.
#pragma once

#include <cstdint>

#include <corering/sim/sim.hpp>

namespace corering::sim_test {

/// Runs it in a world of this seed: an echo server on two workers with its clients, pipes, channels between
/// workers, a file, datagrams, timers, deadlines, and tasks that are cancelled at any moment. The report
/// fails if something does not end, or if what arrived is not what was sent.
[[nodiscard]] sim::RunReport run_scenario(const sim::WorldOptions& options);

/// The options of a seed: two workers, and a swarm of faults.
[[nodiscard]] sim::WorldOptions options_of(std::uint64_t seed);

}  // namespace corering::sim_test
