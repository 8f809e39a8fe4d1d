/// lane_cost.hpp — what the kernel lane costs on this machine, measured.
#pragma once

#include <cstdint>
#include <optional>

namespace iotrace {

/// Returns the processor time in nanoseconds that the two reports of a request (it begins, it ends) cost the
/// watched program. It does some thousand NOPs on a ring of its own, with and without the lane, and takes the
/// shortest of several rounds. Returns nothing where the lane sees no requests, or there is no io_uring.
[[nodiscard]] std::optional<std::int64_t> measure_lane_cost();

}  // namespace iotrace
