/// read_file.hpp — reads a whole file with one of the two flows, and records it.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>

#include "flow.hpp"

namespace iotrace {

struct ReadOptions {
  Flow flow = Flow::switch_to_worker;
  std::string file;
  std::uint64_t chunk = 64 * 1024;
  std::uint64_t reads = 0;           ///< it ends after so many; 0: at the end of the file
  std::chrono::seconds timeout{10};  ///< the time without progress
  std::size_t most_drawn = 4;
};

/// Reads the file to its end, in chunks, through io_uring. SIGINT or SIGTERM ends it earlier. If a read
/// fails, the record says so, and shows it. The error is one sentence for the user: nothing has been read.
[[nodiscard]] std::expected<FlowRecord, std::string> read_and_record(const ReadOptions& options);

}  // namespace iotrace
