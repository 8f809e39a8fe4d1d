/// event_schema.hpp — a recorded event, which always has 32 bytes.
#pragma once

#include <array>
#include <cstdint>
#include <source_location>
#include <string_view>

namespace corering::trace {

/// The moments in the life of an I/O. "Worker" is the address of a worker's loop, the same in every event.
/// `id` names what the event belongs to: usually it is the address of the awaiter, for sync_wait that of the
/// root coroutine, for spawn that of the coroutine. Except for its low three bits, the awaiter's address is
/// also the user_data of the SQE, so events of the kernel can be joined with these.
enum class Kind : std::uint8_t {
  none,
  sync_wait_begin,    ///< a plain thread begins to wait; id: root
  sync_wait_end,      ///< the plain thread has its result; id: root
  root_done,          ///< the awaited coroutine has ended, on any thread; id: root
  await,              ///< co_await of a hop or an operation; a: coroutine, b: where, see pack_place()
  pushed,             ///< the handle is pushed on a worker's MPSC queue; a: coroutine, b: worker
  wake_written,       ///< the eventfd is written, because the worker is asleep
  wake_elided,        ///< the eventfd is not written: the worker is awake, or somebody has woken it already
  suspended,          ///< the awaiting coroutine has given its thread back
  popped,             ///< the worker took the handle from its queue
  resumed_on_worker,  ///< the hopped coroutine runs again; a: coroutine
  parked,             ///< no SQE was free: the operation waits for one
  sqe_filled,         ///< a: fd << 32 | len, b: offset
  submitted,          ///< io_uring_enter is called; a: SQEs handed over, b: 1 if it may sleep
  entered,            ///< io_uring_enter returned; a: its result
  woken,              ///< io_uring_enter returned after a wait, and the worker runs again; a: its result
  processed,          ///< the completion was reaped; a: res << 32 | cqe flags
  resumed,            ///< the awaiting coroutine has its result; a: res
  thread_start,       ///< Worker::start() is called; id: worker, a: 1 if an init_callback came with it
  worker_up,          ///< the worker's thread has its ring; id: worker
  init_callback,      ///< the init_callback is called on the worker; id: worker
  spawned,            ///< a coroutine is started on this worker; id: coroutine
  timer_armed,        ///< id: awaiter, a: nanoseconds until it fires
  timer_fired,        ///< id: awaiter
  read_now,           ///< the page cache is asked; `resumed` or `await` follows; a: fd << 32 | len, b: where
  count_,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Kind::count_)> kind_names = {
    "none",          "sync_wait_begin", "sync_wait_end",     "root_done",
    "await",         "pushed",          "wake_written",      "wake_elided",
    "suspended",     "popped",          "resumed_on_worker", "parked",
    "sqe_filled",    "submitted",       "entered",           "woken",
    "processed",     "resumed",         "thread_start",      "worker_up",
    "init_callback", "spawned",         "timer_armed",       "timer_fired",
    "read_now"};

/// The opcode field of events that belong to no kernel operation.
inline constexpr std::uint8_t no_opcode = 0xff;

/// A place in the source as one word: the address of the file's name, which lives as long as the program, and
/// the line.
[[nodiscard]] inline std::uint64_t pack_place(std::source_location where) noexcept {
  return reinterpret_cast<std::uintptr_t>(where.file_name()) |
         (static_cast<std::uint64_t>(where.line()) << 48);
}

/// One record of four words. Addresses of user space fit into 48 bits, so the kind and the opcode share a
/// word with the id.
struct Event {
  std::uint64_t ticks = 0;
  std::uint64_t id_and_kind = 0;
  std::uint64_t a = 0;
  std::uint64_t b = 0;

  static constexpr std::uint64_t id_mask = (1ULL << 48) - 1;

  [[nodiscard]] Kind kind() const noexcept { return static_cast<Kind>(id_and_kind >> 56); }
  [[nodiscard]] std::uint8_t opcode() const noexcept { return static_cast<std::uint8_t>(id_and_kind >> 48); }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_and_kind & id_mask; }
};
static_assert(sizeof(Event) == 32);

}  // namespace corering::trace
