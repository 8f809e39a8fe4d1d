/// event_schema.hpp — a recorded event, which always has 32 bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace corering::trace {

/// The moments in the life of an I/O. "Worker" is the address of a worker's loop, the same in every event.
/// `id` names what the event belongs to: usually it is the address of the awaiter, for sync_wait that of the
/// root coroutine, for spawn that of the task. "Task" is the address of the strand: of a task that was
/// spawned, or of a member of a group or a combinator, with all that it awaits. Where there is no strand, as
/// under another library's coroutine, it is the address of the coroutine. Except for its low three bits, the
/// awaiter's address is also the user_data of the SQE, so events of the kernel can be joined with these.
enum class Kind : std::uint8_t {
  none,
  sync_wait_begin,    ///< a plain thread begins to wait; id: root
  sync_wait_end,      ///< the plain thread has its result; id: root
  root_done,          ///< the awaited coroutine has ended, on any thread; id: root
  await,              ///< co_await of a hop or an operation; a: task, b: where, see key_of()
  pushed,             ///< the handle is pushed on a worker's MPSC queue; a: task, b: worker
  wake_written,       ///< the eventfd is written, because the worker is asleep
  wake_elided,        ///< the eventfd is not written: the worker is awake, or somebody has woken it already
  suspended,          ///< the awaiting coroutine has given its thread back
  popped,             ///< the worker took the handle from its queue; a: task
  resumed_on_worker,  ///< the hopped coroutine runs again; a: task
  parked,             ///< no SQE was free: the operation waits for one
  sqe_filled,         ///< a: fd << 32 | len, b: the SQE's flags << 56 | offset, see packed_offset()
  submitted,          ///< io_uring_enter is called; a: SQEs handed over, b: 1 if it may sleep
  entered,            ///< io_uring_enter returned; a: its result
  woken,              ///< io_uring_enter returned after a wait, and the worker runs again; a: its result
  processed,          ///< the completion was reaped; a: res << 32 | cqe flags
  resumed,            ///< the awaiting coroutine has its result; a: res
  thread_start,       ///< Worker::start() is called; id: worker, a: 1 if an init_callback came with it
  worker_up,          ///< the worker's thread has its ring; id: worker
  init_callback,      ///< the init_callback is called on the worker; id: worker
  spawned,            ///< a task is started, or posted to a worker; a: the task of which it is a member,
                      ///< b: its name and where, see key_of()
  timer_armed,        ///< id: awaiter, a: nanoseconds until it fires
  timer_fired,        ///< id: awaiter
  read_now,           ///< the page cache is asked; `resumed` or `await` follows; a: fd << 32 | len, b: where
  emulation_took,     ///< the emulated kernel takes the SQE and begins; id: its user_data, here and below
  emulation_waits,  ///< it waits until a descriptor is ready; a: the descriptor, b: the events, as in poll(2)
  emulation_lent,   ///< a helper thread makes the call
  emulation_posted,  ///< it posts a CQE; a: res << 32 | cqe flags
  wait_begins,       ///< for a lock, a channel and so on; opcode: a WaitFor, a: task, b: where
  wait_ends,         ///< a: 1 if it got what it waited for, 0 if it was cancelled
  cancel_asked,      ///< an operation in flight is to end early; id: awaiter, a: the reason, an errno
  cq_overflowed,     ///< the kernel had no room for a CQE, and keeps it aside; id: worker
  stopping,          ///< the worker was told to stop; id: worker
  kernel_began,      ///< the kernel takes an SQE; id: a number that no other request of the recording has,
                     ///< a: user_data, b: the SQE's flags << 56 | the ring; the next three are the same
  kernel_waits,      ///< it waits until a descriptor is ready
  kernel_lent,       ///< a thread of io-wq gets it
  kernel_ready,      ///< what it waited for has come
  kernel_ended,      ///< a CQE is posted; id: the number, or 0 if nobody saw its request begin or several may
                     ///< be meant; a: user_data, b: res << 32 | cqe flags
  kernel_overflow,   ///< a CQE is kept aside, because the CQ is full; the same
  cpu_off,           ///< the thread lost its processor; id: its tid, a: 1 if it wanted to go on
  cpu_on,            ///< it has one again; id: its tid
  cpu_used,          ///< id: worker, a: ns that its thread has run, b: ns that it waited for a processor
  kept,              ///< what came before was kept, see Capture; id: the operation or the worker, a: where it
                     ///< begins, b: since when that took long << 1 | 1 if it goes on; opcode: a KeptFor
  gap,               ///< readers find: a: so many events are missing here; id: an operation that goes on
  remark,            ///< a program's own mark, see mark(): a: a number, b: its name, see key_of()
  joins,             ///< right after a wait_begins for a task's end; id: the same, a: the awaited task
  count_,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Kind::count_)> kind_names = {
    "none",
    "sync_wait_begin",
    "sync_wait_end",
    "root_done",
    "await",
    "pushed",
    "wake_written",
    "wake_elided",
    "suspended",
    "popped",
    "resumed_on_worker",
    "parked",
    "sqe_filled",
    "submitted",
    "entered",
    "woken",
    "processed",
    "resumed",
    "thread_start",
    "worker_up",
    "init_callback",
    "spawned",
    "timer_armed",
    "timer_fired",
    "read_now",
    "emulation_took",
    "emulation_waits",
    "emulation_lent",
    "emulation_posted",
    "wait_begins",
    "wait_ends",
    "cancel_asked",
    "cq_overflowed",
    "stopping",
    "kernel_began",
    "kernel_waits",
    "kernel_lent",
    "kernel_ready",
    "kernel_ended",
    "kernel_overflow",
    "cpu_off",
    "cpu_on",
    "cpu_used",
    "kept",
    "gap",
    "remark",
    "joins"};

/// What a `wait_begins` is for; it stands where other events have their opcode.
enum class WaitFor : std::uint8_t {
  mutex,
  semaphore,
  event,
  channel,  ///< a value
  pool,     ///< a thread of a blocking pool, and its work
  other,
  channel_room,
  time,    ///< a sleep; timer_armed and timer_fired have the same id
  stream,  ///< the next reply to a request that stays armed
  join,    ///< the end of a group
  task,    ///< the end of a task that was spawned; `joins` tells which
};

/// Why something was kept; it stands in a `kept` where other events have their opcode.
enum class KeptFor : std::uint8_t {
  slow,    ///< an operation took too long
  failed,  ///< an operation failed
  stall,   ///< the worker did not come back to the kernel for too long
  asked,   ///< the program asked, with keep_since()
  waited,  ///< a coroutine waited too long for what others had
  count_,
};

/// The opcode field of events that belong to no kernel operation.
inline constexpr std::uint8_t no_opcode = 0xff;

/// Stands instead of an opcode in the `await` of a hop that belongs to the operation or the wait which its
/// coroutine awaits next, as in `co_await async_read(...).on(worker)`.
inline constexpr std::uint8_t hop_of_operation = 0xfe;

/// The last word of `sqe_filled`. An offset of all ones means the file's own position.
[[nodiscard]] constexpr std::uint64_t packed_offset(std::uint8_t sqe_flags, std::uint64_t offset) noexcept {
  return static_cast<std::uint64_t>(sqe_flags) << 56 | (offset & ((1ULL << 56) - 1));
}
[[nodiscard]] constexpr std::uint64_t offset_of(std::uint64_t packed) noexcept {
  const std::uint64_t offset = packed & ((1ULL << 56) - 1);
  return offset == (1ULL << 56) - 1 ? UINT64_MAX : offset;
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
