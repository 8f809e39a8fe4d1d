/// layout.hpp — what stands where in a trace file; docs/TRACE_FORMAT.md says it in words.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <corering/trace/event_schema.hpp>
#include <corering/trace/histogram.hpp>
#include <corering/trace/recorder.hpp>

namespace corering::trace::layout {

inline constexpr std::array<char, 8> magic = {'c', 'o', 'r', 'e', 'r', 'i', 'n', 'g'};
/// Version 2 has rings that hold something else than events, and more rings.
inline constexpr std::uint32_t version = 2;

inline constexpr std::size_t page = 4096;
inline constexpr std::uint32_t most_threads = 256;
inline constexpr std::uint32_t most_rings = 3 * most_threads;  ///< events, what was kept of them, times
inline constexpr std::uint32_t most_places = 4096;
inline constexpr std::uint32_t most_attached = 32;
inline constexpr std::uint32_t string_bytes = 1U << 20;
inline constexpr std::size_t longest_text = 400;

/// One moment on the clocks of the machine.
struct Moment {
  std::uint64_t ticks = 0;  ///< as events have them
  std::int64_t raw_ns = 0;  ///< CLOCK_MONOTONIC_RAW
  std::int64_t monotonic_ns = 0;
  std::int64_t unix_ns = 0;  ///< CLOCK_REALTIME
};

struct RingEntry {
  std::uint64_t offset = 0;    ///< of its RingHead in the file; 0: there is no such ring
  std::uint64_t capacity = 0;  ///< in events
};

/// The first page.
struct FileHead {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t event_bytes = 0;
  std::uint32_t control_offset = 0;
  std::uint32_t kinds_offset = 0;  ///< names of 32 bytes, ended by a zero
  std::uint32_t kind_count = 0;
  std::uint32_t rings_offset = 0;  ///< of the RingEntry array
  std::uint32_t ring_count = 0;
  std::uint32_t places_offset = 0;  ///< of the PlaceEntry array
  std::uint32_t place_count = 0;
  std::uint32_t strings_offset = 0;
  std::uint32_t string_bytes = 0;
  std::uint32_t pid = 0;
  std::array<char, 40> boot_id{};
  std::array<char, 32> program{};
  std::array<char, 32> kernel{};
  Moment started;
  /// A later moment; while `latest_number` is odd it is being written.
  std::uint64_t latest_number = 0;
  Moment latest;
  std::uint64_t unrecorded = 0;  ///< events of threads for which there was no ring
};

/// Who records, and how much. It is a page of its own, which a process maps over a variable of its own, so
/// that reading it costs as much as reading that.
struct Control {
  std::atomic<std::uint32_t> want_events = 0;  ///< how many want Level::full
  std::atomic<std::uint32_t> want_times = 0;   ///< how many want Level::hist or full
  /// The processes among them that attached from outside: pid << 32 | level. One that died without a word is
  /// found by its pid, and what it had added is taken back.
  std::array<std::atomic<std::uint64_t>, most_attached> attached{};
  recorder::Limits limits;

  void add(Level level) noexcept {
    if (level == Level::full) want_events.fetch_add(1);
    if (level != Level::off) want_times.fetch_add(1);
  }
  void take_back(Level level) noexcept {
    if (level == Level::full) want_events.fetch_sub(1);
    if (level != Level::off) want_times.fetch_sub(1);
  }
};

struct PlaceEntry {
  std::uint64_t key = 0;  ///< 0: empty; it is written last
  std::uint32_t line = 0;
  std::uint32_t file = 0;  ///< offsets among the strings, which are ended by a zero
  std::uint32_t function = 0;
  std::uint32_t is_name = 0;  ///< 1: the function is a name that the program has given
};

/// What a ring is for. The others belong to the ring of events with the same number.
enum class Holds : std::uint64_t { events, kept, times };

enum class RingClock : std::uint32_t { ticks, raw_ns };

/// The head of a ring takes a page; its events follow.
struct RingHead {
  std::uint64_t number = 0;  ///< which thread's it is, in the order in which threads began to record
  std::uint64_t lost_before = 0;
  std::uint64_t claimed = 0;  ///< events that have been begun
  std::uint64_t written = 0;  ///< events that are complete
  std::uint32_t tid = 0;
  RingClock clock = RingClock::ticks;
  std::array<char, 32> name{};
  std::uint64_t captured = 0;  ///< how often its events were kept
  std::uint64_t suppressed = 0;
  Holds holds = Holds::events;
  std::uint64_t times_number = 0;  ///< of a ring that holds times; while it is odd, they are being written
};

/// How often something took how long, in a ring that holds times. A kind and stage keep their place.
struct TimesEntry {
  std::array<char, 24> kind{};   ///< "read", "worker", ...
  std::array<char, 16> stage{};  ///< "total", "kernel", ...
  std::uint64_t errors = 0;
  Histogram ticks;
};

inline constexpr std::uint64_t store_capacity = 16'384;  ///< of a ring with what was kept
inline constexpr std::uint64_t most_times = 64;          ///< entries of a ring that holds times
inline constexpr std::size_t kind_name_bytes = 32;
inline constexpr std::size_t control_offset = page;
inline constexpr std::size_t kinds_offset = 2 * page;
inline constexpr std::size_t rings_offset = 4 * page;
inline constexpr std::size_t places_offset = 8 * page;
inline constexpr std::size_t strings_offset = places_offset + most_places * sizeof(PlaceEntry);
inline constexpr std::size_t first_ring_offset = strings_offset + string_bytes;

static_assert(offsetof(Control, want_events) == offsetof(recorder::ControlPage, want_events) &&
              offsetof(Control, want_times) == offsetof(recorder::ControlPage, want_times) &&
              offsetof(Control, limits) == offsetof(recorder::ControlPage, limits));
static_assert(sizeof(FileHead) <= page && sizeof(Control) <= page && sizeof(RingHead) <= page);
static_assert(kinds_offset + 256 * kind_name_bytes <= rings_offset);
static_assert(rings_offset + most_rings * sizeof(RingEntry) <= places_offset);
static_assert(first_ring_offset % page == 0);

[[nodiscard]] constexpr std::size_t bytes_of_ring(std::uint64_t capacity) noexcept {
  return page + (capacity * sizeof(Event) + page - 1) / page * page;
}

}  // namespace corering::trace::layout
