/// views.hpp — a trace as text: its operations, their statistics, what is slow, what changed.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "operations.hpp"
#include "selection.hpp"

namespace iotrace {

/// Returns a line per operation: the seconds since the first one, its number, its worker, its arguments, its
/// result, in angle brackets how long it took, as strace -T does, and its place.
[[nodiscard]] std::string show(const Trace& trace, const Selection& selection);

/// Returns one line of show(), without its end.
[[nodiscard]] std::string line_of(const Trace& trace, const Operation& operation, Ns origin);

/// Returns for each kind of operation how many there were, how many failed, and how long each stage took.
[[nodiscard]] std::string stat(const Trace& trace, const Selection& selection);

/// Returns the slowest operations that have ended, each with what made it slow.
[[nodiscard]] std::string slowest(const Trace& trace, const Selection& selection, std::size_t count);

/// A demand: "the p99 of read is below 5 ms".
struct Demand {
  double share;
  std::string name;  ///< "p99"
  std::string kind;
  Ns below;
};
/// Reads "read<5ms". Errors: a sentence for the user.
[[nodiscard]] std::expected<Demand, std::string> parse_demand(std::string_view percentile,
                                                              std::string_view text);
struct Verdict {
  bool is_met;
  std::string text;  ///< a line per demand
};
/// A kind of which nothing was recorded does not meet its demand.
[[nodiscard]] Verdict check(const Trace& trace, const std::vector<Demand>& demands);

struct Difference {
  bool is_there;
  std::string text;
};
/// Compares the percentiles of each kind and stage. A difference counts if it is more than a tenth, and more
/// than so many samples scatter by chance.
[[nodiscard]] Difference diff(const Trace& before, const Trace& after);

/// Returns a sentence about what the trace lacks, or nothing.
[[nodiscard]] std::string what_is_missing(const Trace& trace);

}  // namespace iotrace
