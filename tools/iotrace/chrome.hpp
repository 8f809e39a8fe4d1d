/// chrome.hpp — a trace in the JSON that chrome://tracing, Perfetto and speedscope open.
#pragma once

#include <cstdint>
#include <string>

#include "operations.hpp"
#include "output.hpp"

namespace iotrace {

/// A file with more events opens slowly or not at all.
inline constexpr std::uint64_t chrome_limit = 1'000'000;

/// Returns a sentence that says why a trace is too large for this format, or an empty text if it is not.
[[nodiscard]] std::string why_not_chrome(const Trace& trace, std::uint64_t limit = chrome_limit);

/// Writes the same as write_perfetto(), except for counters and rows. Times are microseconds with three
/// decimals since the recording began, which was at `started_ns` of CLOCK_MONOTONIC_RAW.
void write_chrome(const Trace& trace, Output& out);

}  // namespace iotrace
