/// selection.hpp — which operations a person wants to see, and how durations are written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operations.hpp"

namespace iotrace {

/// What an operation must be to be shown. By default all are.
struct Selection {
  std::vector<std::string> kinds;  ///< as name_of_operation() calls them; empty: all
  std::optional<std::int32_t> fd;
  std::optional<std::uint32_t> worker;  ///< an index into Recording::threads
  std::string task;                     ///< a part of the place's function or file, or 0x and an address
  Ns slower_than = 0;
  bool failed = false;
  bool kept = false;    ///< only what was kept as slow or failed
  Ns from = INT64_MIN;  ///< since the beginning of the recording
  Ns to = INT64_MAX;
};

[[nodiscard]] bool is_selected(const Selection& selection, const Trace& trace, const Operation& operation);

/// Returns the first moment of all operations. Every view counts from it.
[[nodiscard]] Ns origin_of(const Trace& trace);

/// Reads "5ms", "40us", "1.5s", "100ns".
[[nodiscard]] std::optional<Ns> parse_duration(std::string_view text);

/// Returns "ECONNREFUSED" for an errno.
[[nodiscard]] std::string name_of_error(int error);

}  // namespace iotrace
