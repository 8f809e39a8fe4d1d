/// times_of_process.hpp — a worker's times as statistics, whichever process they come from.
#pragma once

#include <corering/core/stats.hpp>

#include "engine/loop_times.hpp"

namespace corering {

/// errors: throws std::bad_alloc
void copy_times(const LoopTimes::Shared& times, double ns_per_tick, WorkerStats& stats);

}  // namespace corering
