/// recorder.hpp — records the life of every I/O; it is switched on and off at run time. A build with
/// CORERING_TRACE=OFF never records anything, whatever is called here.
///
/// Each thread writes to its own ring: there is no lock, no system call, and no allocation after its first
/// event. New events replace the oldest ones, and those that were overwritten are counted. The rings lie in a
/// trace file, which is mapped: what was recorded is still there after the process was killed, and others may
/// read it meanwhile (docs/TRACE_FORMAT.md, open_recording()). The ring of a thread that has ended is kept,
/// until many have ended: then a new thread gets it. Such rings take 32 MiB at most, or 4 rings if these are
/// larger.
///
/// The environment may ask for a recording, too; then the first worker begins it:
///   CORERING_TRACE=full                  into a file of the usual directory, see Options::file
///   CORERING_TRACE=full,file=t.crt       into that file
///   CORERING_TRACE=full,events=1000000   rings of so many events
///   CORERING_TRACE=full,slow=5ms         keeps what is slow, fails or stalls, see Capture::of_slow()
///   CORERING_TRACE=full,slow=p99         the same, and slow is what takes longer than the p99 of its kind
///   CORERING_TRACE=full,slow=5ms,stall=1ms,every=1s   sets the other limits, too
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <corering/base/any_duration.hpp>
#include <corering/base/result.hpp>
#include <corering/trace/histogram.hpp>
#include <corering/trace/recording.hpp>

namespace corering::trace {

/// How much is recorded.
enum class Level : std::uint8_t {
  off,   ///< nothing; a moment costs one load and one branch
  hist,  ///< how long operations took, as histograms
  full,  ///< every moment, as events
};

inline constexpr std::size_t usual_events_per_thread = std::size_t{1} << 16;

/// What is kept of a worker's events although newer ones replace them. When an operation or a turn of the
/// loop exceeds a limit, what its worker recorded meanwhile is copied to a store of 16,384 events, in the
/// same file: at most a quarter of it, its begin and its end, if there is more. The newest captures win.
/// Readers get it back at its place between the worker's events.
struct Capture {
  /// Operations that took longer are slow, from the turn of their await to their completion; zero: none. So
  /// are waits for a mutex, a semaphore, room in a channel, and a blocking pool.
  AnyDuration slower_than;
  /// Those are slow that took longer than this share of their kind did on their worker so far, as in 0.99.
  /// The first 1,000 of a kind only count. Zero: none.
  double slower_than_share = 0;
  /// Operations that failed, but not those that ended with ECANCELED.
  bool failed = false;
  /// Turns of the loop that took longer until they called the kernel; zero: none.
  AnyDuration stall;
  /// How long a worker keeps nothing more for the same reason. What it would have kept is counted.
  AnyDuration at_most_every = std::chrono::milliseconds(100);

  /// Returns what `slow=TIME` means: operations that take longer or fail, and turns that take longer.
  [[nodiscard]] static Capture of_slow(AnyDuration limit) noexcept {
    return {.slower_than = limit, .failed = true, .stall = limit};
  }
  [[nodiscard]] bool keeps_something() const noexcept {
    return slower_than > Duration::zero() || slower_than_share > 0 || failed || stall > Duration::zero();
  }
};

struct Options {
  Level level = Level::full;
  /// For each thread; rounded up to a power of two. An event has 32 bytes.
  std::size_t events_per_thread = usual_events_per_thread;
  /// Where the recording lies. Empty: only in memory, where `iotrace attach` finds it while the process
  /// lives. "auto": $XDG_RUNTIME_DIR/corering/NAME-PID.crt, or else /dev/shm/corering-UID/NAME-PID.crt.
  std::filesystem::path file;
  /// Needs Level::full, because it keeps events.
  Capture capture = {};
};

/// Begins to record. Forgets what was recorded before.
/// errors: EINVAL: more than 2^26 events for each thread, or a Capture without events; ENOTSUP: this build
/// cannot record; those of
///   open(2), ftruncate(2) and mmap(2)
/// thread: any, but not while another one calls start()
[[nodiscard]] Result<void> start(const Options& options);
[[nodiscard]] Result<void> start(std::size_t events_per_thread = usual_events_per_thread);

/// Ends what start() began. What was recorded stays until the next start(). Those who attached from outside
/// go on.
void stop() noexcept;

/// Changes what is kept from now on, in the present recording, until the next start().
void set_capture(const Capture& capture) noexcept;

/// Keeps what the calling thread has recorded since that stamp(), unless it did so less than
/// Capture::at_most_every ago.
void keep_since(std::uint64_t stamp) noexcept;

/// Something that exceeds a limit. Workers call these: the second one keeps what the first one noticed, when
/// it is over.
struct Noticed {
  KeptFor why = KeptFor::slow;
  std::uint64_t id = 0;
  std::uint64_t since = 0;  ///< stamps
  std::uint64_t now = 0;
};
void notice(const Noticed& noticed) noexcept;
void keep_what_was_noticed() noexcept;

/// How often something took how long, as a worker shows it in the trace file.
struct ShownTimes {
  std::string_view kind;
  std::string_view stage;
  std::uint64_t errors = 0;
  const Histogram* ticks = nullptr;
};
/// Replaces what the calling thread has shown before. Of more than 64 the first ones are shown, for good.
void show_times(std::span<const ShownTimes> times) noexcept;

/// Returns the trace file's path, or an empty one if the recording lies only in memory.
[[nodiscard]] std::filesystem::path file();

/// Begins what the environment variable CORERING_TRACE asks for, and makes the process one to which
/// `iotrace attach` can attach. The first worker calls it; a program may call it earlier. Later calls do
/// nothing.
/// errors: those of start(); EINVAL: the variable is not understood. They are printed, too.
Result<void> start_as_environment_says() noexcept;

namespace recorder {

/// Capture, with times in ticks; 0: no limit.
struct Limits {
  std::atomic<std::uint64_t> any = 0;  ///< 1 if there is one
  std::atomic<std::uint64_t> slow = 0;
  std::atomic<std::uint64_t> share = 0;  ///< in millionths
  std::atomic<std::uint64_t> failed = 0;
  std::atomic<std::uint64_t> stall = 0;
  std::atomic<std::uint64_t> pause = 0;
};

/// layout::Control; recorder.cpp maps the file's page over it.
struct alignas(4096) ControlPage {
  std::atomic<std::uint32_t> want_events = 0;
  std::atomic<std::uint32_t> want_times = 0;
  unsigned char attached[256] = {};
  Limits limits;
  unsigned char others[3784] = {};
};
// Inline: a program reaches it without a table of addresses, which would be one more instruction each time.
inline constinit ControlPage control;

}  // namespace recorder

#if defined(CORERING_NO_TRACE)
[[nodiscard]] constexpr bool enabled() noexcept { return false; }
[[nodiscard]] constexpr bool counts() noexcept { return false; }
[[nodiscard]] constexpr bool captures() noexcept { return false; }
#else
/// True if events are recorded.
[[nodiscard]] inline bool enabled() noexcept {
  return recorder::control.want_events.load(std::memory_order_relaxed) != 0;
}
/// True if histograms are kept.
[[nodiscard]] inline bool counts() noexcept {
  return recorder::control.want_times.load(std::memory_order_relaxed) != 0;
}
/// True if there is a limit beyond which something is kept.
[[nodiscard]] inline bool captures() noexcept {
  return enabled() && recorder::control.limits.any.load(std::memory_order_relaxed) != 0;
}
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

/// Returns the key by which events name a place, or a name of the program's own. The first call for a place
/// writes it to the trace file, so that it can be read without the process.
/// keep alive: nothing; but file, function and name must have the address of one text only, as literals have
[[nodiscard]] std::uint64_t key_of(std::source_location where) noexcept;
[[nodiscard]] std::uint64_t key_of(const char* name) noexcept;
/// A place under a name of the program's own, which stands for the function; null: no name.
[[nodiscard]] std::uint64_t key_of(std::source_location where, const char* name) noexcept;

/// Records a mark of the program's own, with a number: mark("cache is full", entries). The views draw it
/// where it was made. It costs as much as any event, and when nobody records a compare. keep alive: nothing;
/// but the name is a literal
inline void mark(const char* name, std::uint64_t number = 0) noexcept {
  if (enabled()) [[unlikely]]
    record(Kind::remark, no_opcode, nullptr, number, key_of(name));
}

/// Makes the calling thread's ring, so that its first event does not have to. Workers call it.
void prepare_this_thread() noexcept;

/// Writes down on what the workers run: Worker::kernel_name().
void note_kernel(std::string_view name) noexcept;

/// Copies what has been recorded so far. Other threads may continue to record, and begin to: nobody waits.
/// Events that they overwrite meanwhile count as lost.
[[nodiscard]] Recording recording();
/// The same: the threads only.
[[nodiscard]] std::vector<ThreadRecording> snapshot();

}  // namespace corering::trace
