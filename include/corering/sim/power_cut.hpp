/// power_cut.hpp — a program that loses its power, and what it finds when it starts again.
#pragma once

#include <functional>

#include <corering/sim/sim.hpp>

namespace corering::sim {

/// Runs `before` in a world until it has ended or the power goes off (WorldOptions::power_cut_after), decides
/// what the crash leaves of the files, and runs `after` in a second world, which finds that. The power also
/// goes off when `before` has ended. In the second world no operation fails by Fault::emfile, enospc or eio:
/// what it does not find, the crash has taken.
///
/// The report is about both worlds. An exception of either is a failure with its text.
/// keep alive: what both use (promises that were made before the crash), until it returns
[[nodiscard]] RunReport run_with_power_cut(const WorldOptions& options,
                                           const std::function<Task<void>(World&)>& before,
                                           const std::function<Task<void>(World&)>& after);

}  // namespace corering::sim
