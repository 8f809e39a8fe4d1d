/// operations.hpp — a recording as operations: their moments, their stages, their places. Every view draws
/// these.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <corering/trace/recording.hpp>

namespace iotrace {

/// Nanoseconds of CLOCK_MONOTONIC_RAW.
using Ns = std::int64_t;
/// A moment that nobody saw.
inline constexpr Ns unseen = INT64_MIN;

/// The moments of an operation, in their usual order. Many operations lack some of them.
enum class At : std::uint8_t {
  awaited,       ///< co_await; of a hop and its operation together it is the await of the hop
  pushed,        ///< on the queue of a worker
  suspended,     ///< the coroutine that awaited gave its thread back
  woken,         ///< the worker returned from its sleep, because of this push
  popped,        ///< the worker took the handle
  on_worker,     ///< the coroutine runs there
  begun,         ///< the operation itself is awaited on the worker
  parked,        ///< no SQE was free
  filled,        ///< its SQE is filled
  submitted,     ///< the io_uring_enter() that took the SQE is called
  kernel_began,  ///< the kernel (or the emulation) took it; from the kernel lane
  kernel_waits,  ///< it waits for readiness
  kernel_lent,   ///< a helper thread (io-wq) got it
  kernel_ready,  ///< what it waited for has come
  kernel_ended,  ///< the CQE is posted
  returned,      ///< the io_uring_enter() returned after which it was reaped
  processed,     ///< the CQE is reaped
  resumed,       ///< the coroutine has its result
  count_,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(At::count_)> moment_names = {
    "awaited",     "pushed",       "suspended",    "woken",     "popped",       "on_worker",
    "begun",       "parked",       "filled",       "submitted", "kernel_began", "kernel_waits",
    "kernel_lent", "kernel_ready", "kernel_ended", "returned",  "processed",    "resumed"};
static_assert(moment_names.back() == "resumed");

[[nodiscard]] constexpr auto all_unseen() noexcept {
  std::array<Ns, static_cast<std::size_t>(At::count_)> all{};
  all.fill(unseen);
  return all;
}

/// The parts of an operation's life. `kernel` is split only when the kernel lane was on.
enum class Stage : std::uint8_t {
  queue,     ///< pushed .. popped
  wake,      ///< pushed .. woken, a part of `queue`
  dispatch,  ///< popped .. on_worker
  prepare,   ///< begun (or awaited) .. filled
  batch,     ///< filled .. submitted
  submit,    ///< submitted .. kernel_began
  kernel,    ///< submitted (or kernel_began) .. processed (or kernel_ended)
  reap,      ///< kernel_ended .. processed
  resume,    ///< processed .. resumed
  total,     ///< awaited .. resumed
  count_,
};
inline constexpr std::array<std::string_view, static_cast<std::size_t>(Stage::count_)> stage_names = {
    "queue", "wake", "dispatch", "prepare", "batch", "submit", "kernel", "reap", "resume", "total"};

inline constexpr std::uint32_t no_thread = UINT32_MAX;

/// One operation, from its await to its result. A hop alone (`co_await switch_to(worker)`) is one, too; its
/// opcode is trace::no_opcode. So is a wait for a mutex, a channel and the like.
struct Operation {
  std::uint64_t number = 0;  ///< from 1, in the order in which operations began; the ID of `iotrace why ID`
  std::uint64_t id = 0;      ///< the address of the awaiter: user_data without its low three bits
  std::uint64_t task = 0;    ///< the task that awaits, see Trace::task()
  std::uint64_t place = 0;   ///< a key for Recording::place()
  std::uint64_t joined = 0;  ///< the task whose end is awaited, if it is a wait for one
  std::array<Ns, static_cast<std::size_t>(At::count_)> at = all_unseen();
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::uint32_t thread = no_thread;  ///< of the worker, an index into Recording::threads
  std::uint32_t caller = no_thread;  ///< who awaited it first
  std::int32_t fd = -1;
  std::int32_t result = 0;
  std::uint32_t cqe_flags = 0;
  std::uint32_t completions = 0;  ///< CQEs; more than one for a multishot or a zero-copy send
  std::uint8_t opcode = corering::trace::no_opcode;
  std::uint8_t sqe_flags = 0;
  std::uint8_t waits_for = waits_for_nothing;  ///< a trace::WaitFor, if it is a wait
  bool has_ended = false;
  bool was_woken_for = false;  ///< its push wrote the eventfd
  bool missed_cache = false;   ///< the page cache was asked, and did not have it
  bool is_post = false;   ///< a handle that was pushed and popped, as a spawned task's is; nobody awaits it
  bool was_kept = false;  ///< as slow or failed, see trace::Capture; Trace::marks have the `kept`
  bool was_cancelled = false;  ///< its end was asked for; Trace::marks tell when, and why

  static constexpr std::uint8_t waits_for_nothing = 0xff;
  /// A hop whose operation has not begun; only while events are being joined.
  static constexpr std::uint8_t waits_for_what_follows = 0xfe;

  [[nodiscard]] Ns time(At moment) const noexcept { return at[static_cast<std::size_t>(moment)]; }
  [[nodiscard]] Ns begin() const noexcept;  ///< the first moment that was seen
  [[nodiscard]] Ns end() const noexcept;    ///< the last one
  [[nodiscard]] Ns due() const noexcept;    ///< when a sleep was to end; `unseen` for others
  /// Returns how long it took. A sleep is as slow as it was late.
  [[nodiscard]] Ns slowness() const noexcept;
  /// Returns the length of a stage, or `unseen`.
  [[nodiscard]] Ns stage(Stage stage) const noexcept;
};

/// A stretch of time in which a worker's thread did one thing.
struct Span {
  enum class What : std::uint8_t {
    run,     ///< a coroutine ran; `task`, and `place`: of the await after which it ran
    enter,   ///< in io_uring_enter(2), which could not sleep
    asleep,  ///< in io_uring_enter(2), which could
    loop,    ///< the loop itself: it reaps, takes from its queue
  };
  Ns begin = 0;
  Ns end = 0;
  std::uint64_t task = 0;
  std::uint64_t place = 0;
  std::uint32_t thread = 0;
  What what = What::loop;
};

/// A task whose start was recorded.
struct TaskLife {
  std::uint64_t address = 0;  ///< what the events call it; a later task may have the same
  std::uint64_t place = 0;    ///< where it was spawned, with its name if it has one
  std::uint64_t parent =
      0;  ///< the task that ran when it was spawned, or of which it is a member; 0: unknown
  Ns spawned = 0;
};
/// A task's number in `tasks`, so that it is another one than all earlier ones at the same address; without
/// this bit it is the address of one whose start was not recorded.
inline constexpr std::uint64_t recorded_task = 1ULL << 63;

/// What a recording tells.
struct Trace {
  corering::trace::Recording recording;
  std::vector<Operation> operations;     ///< by `number`
  std::vector<TaskLife> tasks;           ///< in the order in which they were spawned
  std::vector<std::vector<Span>> spans;  ///< of each thread, in order; empty for threads without a loop
  /// What happened to each thread or its worker and is no part of an operation, in order: cq_overflowed,
  /// stopping, cpu_used, cpu_off, cpu_on, spawned, timer_fired, remark, kept, cancel_asked. The id of the
  /// last two is the number of the operation; 0: none.
  std::vector<std::vector<corering::trace::TimedEvent>> marks;
  std::uint64_t lost = 0;  ///< events
  bool has_kernel_lane = false;
  std::string kernel_unseen;  ///< why there is no kernel lane

  /// Returns none for no_thread.
  [[nodiscard]] std::span<const corering::trace::TimedEvent> marks_of(std::uint32_t thread) const noexcept;
  /// Returns "parse (http.cpp:31)", or "?".
  [[nodiscard]] std::string name_of_place(std::uint64_t place) const;
  /// Returns null if its start was not recorded.
  [[nodiscard]] const TaskLife* task(std::uint64_t task) const;
  /// Returns the name that the program has given to it, or an empty text.
  [[nodiscard]] std::string given_name(std::uint64_t task) const;
  /// Returns "task 4, parse (http.cpp:31)", with where it was spawned.
  [[nodiscard]] std::string name_of_task(std::uint64_t task) const;
  /// Returns the number by which people know it, from 1; 0 if its start was not recorded.
  [[nodiscard]] static std::uint64_t number_of_task(std::uint64_t task) noexcept;
  /// Returns that number, or else the address.
  [[nodiscard]] static std::uint64_t shown_task(std::uint64_t task) noexcept;
};

/// Returns "parse" for "Task<void> app::parse(int)".
[[nodiscard]] std::string short_name_of_function(std::string_view function);

/// Joins the events. Their memory is given back unless `keep_events`.
[[nodiscard]] Trace make_trace(corering::trace::Recording recording, bool keep_events = false);

/// Returns "read", "recv", "hop", "mutex" and so on.
[[nodiscard]] std::string_view name_of_operation(const Operation& operation) noexcept;

}  // namespace iotrace
