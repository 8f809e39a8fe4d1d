/// here.hpp — the door between the library's templates and its compiled worker loop.
///
/// Everything inline in corering ends here, but for what every operation does (submitter.hpp) and every frame
/// (frame_cache.hpp).
#pragma once

#include <coroutine>

#include <corering/base/time.hpp>
#include <corering/engine/loop_front.hpp>
#include <corering/engine/mpsc_queue.hpp>
#include <corering/engine/scope.hpp>
#include <corering/engine/timer_heap.hpp>

namespace corering {

namespace engine {

/// Ends the program with `message` unless the caller runs on a worker. `frame`, which may be null, knows
/// whose co_await asked.
void require_worker(const char* message, const Frame* frame = nullptr) noexcept;

/// Lets `coroutine` run soon on the calling thread: behind what is ready on its worker, or on a thread
/// without a worker behind what sync_wait runs there, or at once if there is neither.
void schedule(std::coroutine_handle<> coroutine) noexcept;

/// Hands the node's coroutine to the worker of `there`, from any thread; if it belongs to a strand, use
/// Strand::hop(). False when the worker takes no more work: then nothing has happened. After true the node
/// and its coroutine may already run elsewhere.
[[nodiscard]] bool post(Loop& there, PostNode& node) noexcept;

/// The same also to a worker that is stopping; the caller knows that it has not ended.
[[nodiscard]] bool post_regardless(Loop& there, PostNode& node) noexcept;

/// Hands a coroutine back to the worker that expects it (expect_homecoming), which cannot refuse.
void post_home(Loop& there, PostNode& node) noexcept;

/// On a worker: a coroutine of ours waits for another thread and will be handed back through post_home(). The
/// worker does not end before. forgo_homecoming() takes it back.
void expect_homecoming() noexcept;
void forgo_homecoming() noexcept;

/// True when a coroutine in `frame` (may be null) must not begin to wait here: its scope is cancelled, or the
/// worker stops. It is then to be scheduled with the reason, so that a loop of refused waits still lets
/// others run.
[[nodiscard]] bool refuses_waits(const Frame* frame) noexcept;

/// Why it does: the scope's reason, or ECANCELED.
[[nodiscard]] std::error_code cancellation_error(const Frame* frame) noexcept;

/// On a worker: its kernel's clock.
[[nodiscard]] TimePoint now() noexcept;

/// On a worker: calls the node's function at `deadline` (no memory for that ends the program); disarm() takes
/// it back, on the same worker.
void arm(TimerNode& node, TimePoint deadline) noexcept;
void disarm(TimerNode& node) noexcept;

/// On a worker: `waiter`, which waits in no scope, is cancelled when the worker stops, unless it has left the
/// list before.
void look_after(Waiter& waiter) noexcept;

/// On a worker: the trace's clock when its present turn began, or one of the seven before it
/// (src/core/loop.hpp).
[[nodiscard]] std::uint64_t turn_ticks() noexcept;

/// Ends the program with a message unless `frame` is in a scope, as the library's own tasks are.
void require_scope(const Frame* frame) noexcept;

/// A strand that was on a thread without a worker goes on here, if this is a worker.
void adopt(const Frame* frame) noexcept;

/// On a thread without a worker: runs `coroutine` and what it makes ready here, until nothing is.
void run_here(std::coroutine_handle<> coroutine);

}  // namespace engine
}  // namespace corering
