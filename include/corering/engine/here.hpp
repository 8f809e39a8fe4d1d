/// here.hpp — what the loop that runs on the calling thread does for the library's templates.
///
/// This is the door between inline code and the compiled loop. Only two things pass beside it, because every
/// operation and every frame needs them: loop_front.hpp, where operations begin, and frame_cache.hpp, where
/// frames come from. "On a worker" means: the caller runs inside a turn of a loop. The functions that say so
/// end the program with a message on any other thread.
#pragma once

#include <coroutine>
#include <source_location>

#include <corering/base/fd.hpp>
#include <corering/base/time.hpp>
#include <corering/engine/loop_front.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/scope.hpp>
#include <corering/engine/timer_heap.hpp>

namespace corering::here {

/// Ends the program with `message` unless the caller runs on a worker. `promise`, which may be null, knows
/// which co_await asked.
void require_worker(const char* message, const PromiseBase* promise) noexcept;
/// The same for a function that was called at `where`.
void require_worker(const char* message, std::source_location where) noexcept;

/// Makes `coroutine` ready: it runs after everything that is ready here already. On a thread without a worker
/// it runs after what sync_wait runs there, or at once if there is no sync_wait either.
void schedule(std::coroutine_handle<> coroutine) noexcept;

/// On a thread without a worker: runs `coroutine` and everything that it makes ready here, until nothing is
/// left.
void run(std::coroutine_handle<> coroutine);

/// On a worker: a coroutine of this worker waits for another thread, which will hand it back through
/// post_home() (engine/post.hpp). The worker does not end before that. forgo_homecoming() takes it back.
void expect_homecoming() noexcept;
void forgo_homecoming() noexcept;

/// True when a coroutine with this promise (may be null) must not begin to wait here: its scope is cancelled,
/// or the worker is stopping. Schedule it then with cancellation_error() (engine/scope.hpp), so that a loop
/// of refused waits still lets others run.
[[nodiscard]] bool refuses_waits(const PromiseBase* promise) noexcept;

/// The same, for a coroutine that computes and does not let the loop run: what other threads have posted, and
/// the deadlines that have passed, are looked at first.
[[nodiscard]] bool is_cancelled_by_now(const PromiseBase* promise) noexcept;

/// On a worker: the time by its kernel's clock.
[[nodiscard]] TimePoint now() noexcept;

/// On a worker: calls the node's function at `deadline`. disarm() takes it back, on the same worker.
/// no memory: returns false, and nothing has happened
[[nodiscard]] bool arm(TimerNode& node, TimePoint deadline) noexcept;
void disarm(TimerNode& node) noexcept;

/// On a worker: cancels `wait`, which is in no scope, when the worker stops, unless it has left the list
/// before.
void look_after(Wait& wait) noexcept;

/// On a worker: the trace's clock, as read in this turn or in one of the seven turns before it.
[[nodiscard]] std::uint64_t turn_ticks() noexcept;

/// Returns true if close(2) of this descriptor may wait: it is a socket with SO_LINGER, so the close waits
/// until the peer has everything, or for the time that was set.
[[nodiscard]] bool lingers(int fd) noexcept;

/// Closes `fd` at once. If the close may wait, and this is a worker, then a helper thread of the kernel does
/// it.
void close_now(Fd fd) noexcept;

/// A strand that was on a thread without a worker goes on here, if this is a worker.
void adopt(const PromiseBase* promise) noexcept;

}  // namespace corering::here
