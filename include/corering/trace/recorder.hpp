/// recorder.hpp — records the life of every I/O; it is switched on and off at run time. A build with
/// CORERING_TRACE=OFF never records anything, whatever is called here.
///
/// Each thread writes to its own ring: there is no lock, no system call, and no allocation after its first
/// event. New events replace the oldest ones, and those that were overwritten are counted. Recording costs 9
/// to 20 ns per event; when it is off, it costs one load and one branch.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <corering/trace/event_schema.hpp>

namespace corering::trace {

/// Begins to record, in rings of `events_per_thread` events (rounded up to a power of two, 32 bytes each).
/// Forgets what was recorded before.
/// thread: any, but not while another one calls start() or snapshot()
void start(std::size_t events_per_thread = std::size_t{1} << 16);

/// Ends recording. What was recorded stays until the next start().
void stop() noexcept;

namespace recorder {
inline std::atomic<bool> on = false;
}

#if defined(CORERING_NO_TRACE)
[[nodiscard]] constexpr bool enabled() noexcept { return false; }
#else
[[nodiscard]] inline bool enabled() noexcept { return recorder::on.load(std::memory_order_relaxed); }
#endif

/// Returns the present time, for several events that happen at once: reading the clock is most of the cost of
/// an event.
[[nodiscard]] std::uint64_t stamp() noexcept;

/// Append one event to the calling thread's ring, with the present time or with that of a stamp(). Call them
/// only when enabled() returns true.
void record(Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a = 0,
            std::uint64_t b = 0) noexcept;
void record_at(std::uint64_t stamp, Kind kind, std::uint8_t opcode, const void* id, std::uint64_t a = 0,
               std::uint64_t b = 0) noexcept;

/// An event with its time in nanoseconds of CLOCK_MONOTONIC_RAW.
struct TimedEvent {
  std::int64_t ns = 0;
  std::uint64_t id = 0;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  Kind kind = Kind::none;
  std::uint8_t opcode = no_opcode;
};

/// The events that one thread recorded, oldest first.
struct ThreadRecording {
  int tid = 0;
  std::string name;
  std::uint64_t lost = 0;  ///< events that were overwritten before the snapshot
  std::vector<TimedEvent> events;
};

/// Copies what has been recorded so far. Other threads may continue to record: events that they overwrite
/// meanwhile count as lost.
[[nodiscard]] std::vector<ThreadRecording> snapshot();

}  // namespace corering::trace
