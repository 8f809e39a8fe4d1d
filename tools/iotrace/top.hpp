/// top.hpp — `iotrace top PID`: what the workers of a running process do, as a table that is renewed.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <corering/core/stats.hpp>

namespace iotrace {

inline constexpr const char* top_usage = "usage: iotrace top [-n ITERATIONS] [-d SECONDS] PID";

/// A turn of a worker that took longer is a stall.
inline constexpr std::chrono::milliseconds stall{5};

/// Returns a line for each worker and for each kind of its operations: what happened between two readings of
/// the same process. A worker that is new has done all of it in between.
[[nodiscard]] std::string top_table(const std::vector<corering::WorkerStats>& before,
                                    const std::vector<corering::WorkerStats>& after,
                                    std::chrono::duration<double> between);

/// Takes what stands after the word `top`, and returns the exit code: 0, 1 if the process cannot be looked
/// at, 2 for a wrong call.
int top_command(const std::vector<std::string_view>& arguments);

}  // namespace iotrace
