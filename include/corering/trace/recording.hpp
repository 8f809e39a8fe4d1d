/// recording.hpp — what a program recorded, as its trace file holds it, and how to open such a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/trace/event_schema.hpp>
#include <corering/trace/histogram.hpp>

namespace corering::trace {

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
  /// Events that were overwritten before the snapshot, and those of ended threads whose ring this was before.
  std::uint64_t lost = 0;
  std::uint64_t captured = 0;    ///< how often something was kept, see Capture
  std::uint64_t suppressed = 0;  ///< how often it was not, because that was soon after the one before
  std::vector<TimedEvent> events;
};

/// How often something took how long on one thread. It is kept without events, too, see Level::hist.
struct RecordedTimes {
  int tid = 0;
  std::string kind;          ///< "read", "send", ..., or "worker"
  std::string stage;         ///< "total", "batch", "kernel", "resume", or of workers: "turn", "run", ...
  std::uint64_t errors = 0;  ///< of "total"
  double ns_per_tick = 1;
  std::shared_ptr<Histogram> ticks;
};

/// A place in the source. Events name it by its key (Event::b of `await` and others).
struct Place {
  std::string file;
  std::string function;
  std::uint32_t line = 0;
  bool is_name = false;  ///< `function` is a name that the program has given
};

/// Everything that is known of one run.
struct Recording {
  int pid = 0;
  std::string program;          ///< its name, as in /proc/PID/comm
  std::string boot_id;          ///< times of two boots cannot be compared
  std::string kernel;           ///< what workers ran on: "io_uring", "io_uring, emulated", or empty: unknown
  std::int64_t started_ns = 0;  ///< CLOCK_MONOTONIC_RAW
  std::int64_t started_unix = 0;  ///< the same moment in nanoseconds of CLOCK_REALTIME
  std::vector<ThreadRecording> threads;
  std::vector<RecordedTimes> times;
  std::unordered_map<std::uint64_t, Place> places;
  std::uint64_t unrecorded = 0;  ///< events of threads for which no ring was left
  std::string incomplete;        ///< why a part of the file could not be read; empty: all of it was

  [[nodiscard]] const Place* place(std::uint64_t key) const {
    const auto found = places.find(key);
    return found == places.end() ? nullptr : &found->second;
  }
};

/// Opens a trace file, also one that a running process still writes, or whose process has died.
/// errors: those of open(2) and read(2); EBADMSG: this is no trace file, or it is damaged in its head;
///   EPROTONOSUPPORT: a newer version of corering wrote it
[[nodiscard]] Result<Recording> open_recording(const std::filesystem::path& file);

/// Writes a trace file.
/// errors: those of open(2) and write(2); E2BIG: more than 768 threads
[[nodiscard]] Result<void> write_recording(const std::filesystem::path& file, const Recording& recording);

/// Adds threads to a trace file whose process has ended: what others saw of it.
/// errors: as open_recording(), and those of write(2); E2BIG: then there would be more than 768 rings
[[nodiscard]] Result<void> add_threads(const std::filesystem::path& file,
                                       std::span<const ThreadRecording> threads);

}  // namespace corering::trace
