/// lane_report.hpp — what people are told of a recording of the kernel lane when it ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernel_lane.hpp"
#include "lane_events.hpp"

namespace iotrace {

/// What the lane cost.
struct LaneCost {
  std::optional<std::int64_t> in_program_ns;  ///< for each request, see measure_lane_cost()
  std::int64_t in_iotrace_ns = 0;             ///< in all
};

/// Returns a few lines: how many requests were joined and lost, how long they took, what the lane cost, and
/// what was not observed and why.
[[nodiscard]] std::string report_of_lane(const LaneRequests& requests, const KernelLane& lane,
                                         const LaneCost& cost, std::uint32_t one_in);

/// Returns true if reports were lost.
[[nodiscard]] bool is_incomplete(const LaneRequests& requests);

/// Returns "12.3 µs", with three digits and a unit that fits.
[[nodiscard]] std::string time_in_words(std::int64_t ns);

}  // namespace iotrace
