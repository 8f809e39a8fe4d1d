/// made_up_trace.hpp — a trace of any size without a run: some workers whose tasks do I/O, the same each
/// time.
#pragma once

#include <cstdint>

#include "iotrace/operations.hpp"

namespace iotrace {

struct MadeUp {
  std::uint64_t operations = 1000;
  std::uint32_t workers = 2;
  std::uint32_t tasks_per_worker = 16;
  bool has_kernel_lane = true;
};

/// Returns a trace in which operations are reads, sends, receives and so on. Every 50th comes from the main
/// thread, every 97th fails, a few take 20 ms, and the last ones have not ended.
[[nodiscard]] Trace made_up_trace(const MadeUp& wanted);

}  // namespace iotrace
