/// engine.hpp — the door between the library's templates and its compiled worker loop.
///
/// Everything inline in corering ends here. These functions alone ask "which worker am I on?"; they are never
/// inlined, because a compiler may otherwise carry the address of a thread_local over a suspension that
/// changed threads.
#pragma once

#include <coroutine>
#include <exception>

#include <corering/base/time.hpp>
#include <corering/core/mpsc_queue.hpp>
#include <corering/core/timer_heap.hpp>

namespace corering {

class Worker;

namespace engine {

/// The worker whose loop runs the calling code, or null on any other thread.
[[nodiscard]] Worker* current_worker() noexcept;

/// Lets `coroutine` run soon on the calling thread: behind what is ready on its worker, or on a thread
/// without a worker behind what sync_wait runs there, or at once if there is neither.
void schedule(std::coroutine_handle<> coroutine) noexcept;

/// Hands the node's coroutine to `worker`, from any thread. False when the worker takes no more work: then
/// nothing has happened. After true the node and its coroutine may already run elsewhere.
[[nodiscard]] bool post(Worker& worker, PostNode& node) noexcept;

/// Hands a coroutine back to the worker that expects it (expect_homecoming), which cannot refuse.
void post_home(Worker& worker, PostNode& node) noexcept;

/// On a worker: a coroutine of ours leaves, or waits for another worker, and will come back through
/// post_home(). The worker does not end before. forgo_homecoming() takes it back.
void expect_homecoming() noexcept;
void forgo_homecoming() noexcept;

/// On a worker: resumes the node's coroutine at `deadline` or when the worker stops (then node.cancelled is
/// set).
void arm(TimerNode& node, TimePoint deadline) noexcept;

/// On a thread without a worker: runs `coroutine` and what it makes ready here, until nothing is.
void run_here(std::coroutine_handle<> coroutine);

/// A task that nobody waits for ended with an exception: calls the handler, or prints the message and
/// aborts.
void report_detached_exception(std::exception_ptr exception) noexcept;

}  // namespace engine
}  // namespace corering
