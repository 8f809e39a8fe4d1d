/// kernel_events.hpp — what the kernel, or the emulation, did to the requests of iotrace itself.
#pragma once

#include <cstdint>
#include <vector>

#include "lane_events.hpp"

namespace iotrace {

/// The kernel did this to the request with this user_data, at this time (CLOCK_MONOTONIC_RAW).
struct KernelEvent {
  /// Only the emulation tells of the two in the middle.
  enum class Kind : std::uint8_t { began, waits, lent, completed };
  Kind kind;
  std::uint64_t user_data;
  std::int64_t ns;
};

/// Takes the begins and the ends out of what the kernel lane has seen.
[[nodiscard]] std::vector<KernelEvent> begins_and_ends(const LaneRecording& recording);

}  // namespace iotrace
