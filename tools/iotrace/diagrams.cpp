/// diagrams.cpp — the tables of the flows.
#include "diagrams.hpp"

#include <array>

namespace iotrace {
namespace {

using enum Actor;
using enum Shape;
using enum Bar;

constexpr std::array switch_lines = {
    Line{Moment::await, "await", main, coroutine, solid, none, "co_await async_read()"},
    Line{Moment::pushed, "pushed", coroutine, queue, solid, begins, "Pushes its handle"},
    Line{Moment::eventfd_written, "eventfd_written", coroutine, eventfd, solid, begins,
         "write() syscall to wake worker"},
    Line{Moment::suspended, "suspended", coroutine, main, dashed, none, "Suspends"},
    Line{Moment::asleep, "asleep", worker, worker, note, none,
         "Is currently idle, sleeping in io_uring_wait_cqe_timeout()"},
    Line{Moment::woken, "woken", eventfd, worker, dashed, none, "Wakes up immediately!"},
    Line{Moment::loop_runs, "loop_runs", worker, worker, solid, none, "Event loop runs"},
    Line{Moment::popped, "popped", worker, queue, solid, begins, "Pops Coro handle"},
    Line{Moment::handle_returned, "handle_returned", queue, worker, dashed, ends, "Returns handle"},
    Line{Moment::resumed, "resumed", worker, coroutine, solid, none, "resume()"},
    Line{Moment::on_worker, "on_worker", coroutine, coroutine, note, none, "Now running on Worker Thread"},
    Line{Moment::filled, "filled", coroutine, worker, solid, none, "Fills SQE for async_read"},
    Line{Moment::suspended_for_io, "suspended_for_io", coroutine, worker, dashed, none,
         "Suspends (awaiting I/O)"},
    Line{Moment::submitted, "submitted", worker, kernel, solid, begins, "io_uring_submit()"},
    Line{Moment::kernel_reads, "kernel_reads", kernel, kernel, note, none, "Performs file read..."},
    Line{Moment::completed, "completed", kernel, worker, dashed, ends, "Places completion (CQE) in queue"},
    Line{Moment::loop_continues, "loop_continues", worker, worker, note, none,
         "Loop continues, finds completion"},
    Line{Moment::processed, "processed", worker, worker, solid, none, "process_completions()"},
    Line{Moment::resumed_with_result, "resumed_with_result", worker, coroutine, solid, none,
         "resume() with I/O result"},
    Line{Moment::returned, "returned", coroutine, main, dashed, none, "Ultimately returns result"},
};

constexpr std::array callback_lines = {
    Line{Moment::thread_started, "thread_started", main, worker, solid, none,
         "Starts thread with init_callback"},
    Line{Moment::coroutine_started, "coroutine_started", worker, coroutine, solid, begins,
         "Starts coroutine via callback"},
    Line{Moment::await, "await", coroutine, coroutine, solid, none, "co_await async_read()"},
    Line{Moment::filled, "filled", coroutine, worker, solid, none, "Fills SQE for async_read"},
    Line{Moment::suspended_for_io, "suspended_for_io", coroutine, worker, dashed, ends,
         "Suspends (awaiting I/O)"},
    Line{Moment::loop_is_active, "loop_is_active", worker, worker, note, none,
         "Event loop is already active"},
    Line{Moment::submitted, "submitted", worker, kernel, solid, begins, "io_uring_submit()"},
    Line{Moment::kernel_reads, "kernel_reads", kernel, kernel, note, none, "Performs file read..."},
    Line{Moment::completed, "completed", kernel, worker, dashed, ends, "Places completion (CQE) in queue"},
    Line{Moment::loop_continues, "loop_continues", worker, worker, note, none,
         "Loop continues, finds completion"},
    Line{Moment::processed, "processed", worker, worker, solid, none, "process_completions()"},
    Line{Moment::resumed_with_result, "resumed_with_result", worker, coroutine, solid, none,
         "resume() with I/O result"},
    Line{Moment::continues, "continues", coroutine, worker, dashed, none, "Continues execution..."},
};
constexpr std::array wait_lines = {
    Line{Moment::await, "await", coroutine, awaited, solid, begins, "co_await: waits"},
    Line{Moment::resumed_with_result, "resumed_with_result", awaited, coroutine, dashed, ends,
         "Lets it go on"},
};
constexpr std::size_t only_before_the_first_read = 2;  // of callback_lines

constexpr std::array switch_actors = {main, coroutine, queue, eventfd, worker, kernel};
constexpr std::array callback_actors = {main, worker, coroutine, kernel};
constexpr std::array wait_actors = {coroutine, awaited};
constexpr std::array left_open = {queue, eventfd};
constexpr std::array needed_later = {coroutine};

}  // namespace

const Line refused_call{Moment::submitted,  "refused_call", worker, kernel, solid, begins,
                        "io_uring_submit()"};
const Line refused_return{Moment::submitted, "refused", kernel, worker, dashed, ends, "Takes nothing"};

std::span<const Line> lines_of(Flow flow, bool first_read) noexcept {
  if (flow == Flow::switch_to_worker) return switch_lines;
  if (flow == Flow::wait) return wait_lines;
  return std::span(callback_lines).subspan(first_read ? 0 : only_before_the_first_read);
}

std::string name_of(Flow flow, Actor actor, std::string_view kernel_name) {
  switch (actor) {
    case main:
      return "Main Thread";
    case coroutine:
      return flow == Flow::wait               ? "Task (Coro)"
             : flow == Flow::switch_to_worker ? "SwitchToWorkerTask (Coro)"
                                              : "CallbackTask (Coro)";
    case queue:
      return "MPSCQueue";
    case eventfd:
      return "eventfd";
    case worker:
      return "Worker Thread";
    case kernel:
      return "Kernel (" + std::string(kernel_name) + ")";
    case awaited:
      break;
  }
  return "";
}

std::span<const Actor> actors_of(Flow flow) noexcept {
  if (flow == Flow::worker_callback) return callback_actors;
  if (flow == Flow::wait) return wait_actors;
  return switch_actors;
}

std::span<const Actor> bars_left_open_by(Flow flow) noexcept {
  return flow == Flow::switch_to_worker ? std::span<const Actor>(left_open) : std::span<const Actor>();
}

std::span<const Actor> bars_a_later_read_needs(Flow flow) noexcept {
  return flow == Flow::worker_callback ? std::span<const Actor>(needed_later) : std::span<const Actor>();
}

}  // namespace iotrace
