/// slices.hpp — what the views with a time axis have in common: slices, slots, counters.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "operations.hpp"

namespace iotrace {

/// From which moment to which a stage lasts. If the first choice was not seen, the second one counts.
struct Between {
  Stage stage;
  At begin;
  At or_begin;
  At end;
  At or_end;
};
/// The stages, in the order of an operation's life; `total` is not one of them.
[[nodiscard]] std::span<const Between> stages_of_life() noexcept;

/// A stretch of an operation's life, as it is drawn.
struct Slice {
  Stage stage = Stage::total;
  Ns begin = 0;
  Ns end = 0;
};

/// The slices of one operation. They are in order and do not overlap, except that `wake` lies inside `queue`,
/// which it follows. All of them lie between the operation's begin and its end.
class Slices {
 public:
  explicit Slices(const Operation& operation);

  [[nodiscard]] std::span<const Slice> all() const noexcept { return std::span(all_).first(count_); }

 private:
  std::array<Slice, static_cast<std::size_t>(Stage::count_)> all_{};
  std::size_t count_ = 0;
};

/// Calls begin(stage, ns) and end(ns) for each slice, so that they nest.
template <class Begin, class End>
void for_each_edge(const Operation& operation, const Begin& begin, const End& end) {
  const Slices slices(operation);
  const std::span<const Slice> all = slices.all();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Slice outer = all[i];
    begin(outer.stage, outer.begin);
    if (i + 1 < all.size() && all[i + 1].stage == Stage::wake) {
      ++i;
      begin(all[i].stage, all[i].begin);
      end(all[i].end);
    }
    end(outer.end);
  }
}

/// When a recording begins and ends, by what is drawn of it.
struct Extent {
  Ns begin = 0;
  Ns end = 0;
};
[[nodiscard]] Extent extent_of(const Trace& trace);

/// Returns where an operation's drawing ends: at its end, or with the recording if it is still in flight.
[[nodiscard]] Ns drawn_end(const Operation& operation, const Extent& extent) noexcept;

/// Returns the thread that an operation belongs to: the worker's, or else who awaited it.
[[nodiscard]] std::uint32_t home_of(const Operation& operation) noexcept;

/// Gives each operation the lowest row of its thread that is free during its life. Rows count from 0.
[[nodiscard]] std::vector<std::uint32_t> rows_of(const Trace& trace, const Extent& extent);

/// From here on so many operations are in flight.
struct InFlight {
  Ns at = 0;
  std::uint32_t count = 0;
};
/// Counts the operations of each thread that are in flight, at each change.
[[nodiscard]] std::vector<std::vector<InFlight>> in_flight(const Trace& trace);

/// A moment of an operation on some thread, for an arrow.
struct ArrowEnd {
  Ns at = 0;
  std::uint64_t operation = 0;  ///< its number
};
/// The arrows from where operations are awaited to where their coroutines go on, by thread and in order.
struct Arrows {
  std::vector<std::vector<ArrowEnd>> from;
  std::vector<std::vector<ArrowEnd>> to;
};
[[nodiscard]] Arrows arrows_of(const Trace& trace);

/// Returns "run", "enter", "asleep" or "loop".
[[nodiscard]] std::string_view name_of_span(Span::What what) noexcept;

/// Returns the name of a thread, which is never empty.
[[nodiscard]] std::string name_of_thread(const Trace& trace, std::uint32_t thread);

}  // namespace iotrace
