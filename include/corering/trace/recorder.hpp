/// recorder.hpp — records the life of every I/O; switched at run time. A build with CORERING_TRACE=OFF
/// records nothing, ever, whatever is called here.
///
/// Each thread writes to a ring of its own: no lock, no system call, and no allocation after its first event.
/// The newest events win; what was overwritten is counted. Recording costs 9 to 20 ns per event, and one
/// load and branch when off.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include <corering/trace/event.hpp>

namespace corering::trace {

/// Begins to record, in rings of `events_per_thread` (rounded up to a power of two, 32 bytes each). Forgets
/// what was recorded before. Any thread, but not while another one calls start() or snapshot().
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

/// The present time, for events that happen in one go: reading the clock is most of what an event costs.
[[nodiscard]] std::uint64_t stamp() noexcept;

/// Appends one event to the calling thread's ring, with the present time or that of a stamp(). Call it only
/// when enabled().
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

/// What one thread recorded, oldest first.
struct ThreadRecording {
  int tid = 0;
  std::string name;
  std::uint64_t lost = 0;  ///< overwritten before the snapshot
  std::vector<TimedEvent> events;
};

/// Copies what is recorded so far. Other threads may go on recording: events they overwrite meanwhile count
/// as lost.
[[nodiscard]] std::vector<ThreadRecording> snapshot();

}  // namespace corering::trace
