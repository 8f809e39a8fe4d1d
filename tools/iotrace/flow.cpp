/// flow.cpp — goes once through what each thread recorded, and names the steps.
#include "flow.hpp"

#include <algorithm>

#include <corering/uring/abi.hpp>

namespace iotrace {
namespace {

using corering::trace::Kind;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

/// Reads one thread's events forwards. If an event is missing, the place does not move: the step was not
/// observed.
class Walker {
 public:
  Walker(const std::vector<TimedEvent>& events, std::int64_t since_ns) : events_(events) {
    while (at_ < events_.size() && events_[at_].ns < since_ns) ++at_;
  }

  /// Returns the next event for which `wanted` holds, and moves the place after it.
  template <class Wanted>
  const TimedEvent* next(const Wanted& wanted) {
    for (std::size_t at = at_; at < events_.size(); ++at) {
      if (!wanted(events_[at])) continue;
      at_ = at + 1;
      return &events_[at];
    }
    return nullptr;
  }
  const TimedEvent* next(Kind kind) {
    return next([kind](const TimedEvent& event) { return event.kind == kind; });
  }
  const TimedEvent* next(Kind kind, std::uint64_t id) {
    return next([kind, id](const TimedEvent& event) { return event.kind == kind && event.id == id; });
  }

  /// Returns the last event of `kind` between the present place and the next event of `kind_after` with
  /// `id_after`.
  const TimedEvent* last_before(Kind kind, Kind kind_after, std::uint64_t id_after) const {
    const TimedEvent* found = nullptr;
    for (std::size_t at = at_; at < events_.size(); ++at) {
      if (events_[at].kind == kind_after && events_[at].id == id_after) return found;
      if (events_[at].kind == kind) found = &events_[at];
    }
    return nullptr;
  }

 private:
  const std::vector<TimedEvent>& events_;
  std::size_t at_ = 0;
};

std::optional<std::int64_t> time_of(const TimedEvent* event) {
  return event == nullptr ? std::nullopt : std::optional(event->ns);
}

bool is_read(const TimedEvent& event) {
  return event.opcode == static_cast<std::uint8_t>(corering::Opcode::read);
}

std::string describe_read(const TimedEvent* filled) {
  if (filled == nullptr) return "async_read()";
  const auto fd = static_cast<std::int32_t>(filled->a >> 32);
  const auto length = static_cast<std::uint32_t>(filled->a);
  const bool at_own_position = filled->b == ~std::uint64_t{0};
  return "async_read(fd " + std::to_string(fd) + ", " + std::to_string(length) + " bytes" +
         (at_own_position ? std::string() : ", offset " + std::to_string(filled->b)) + ")";
}

std::string describe_result(const TimedEvent* processed) {
  if (processed == nullptr) return "result";
  const auto res = static_cast<std::int32_t>(processed->a >> 32);
  return res < 0 ? "error " + std::to_string(-res) : std::to_string(res) + " bytes";
}

/// The half of a read that both flows share: from the SQE to the result, all of it on the worker.
struct OnWorker {
  const TimedEvent* await = nullptr;
  const TimedEvent* filled = nullptr;
  const TimedEvent* suspended = nullptr;
  const TimedEvent* submitted = nullptr;
  const TimedEvent* processed = nullptr;
  const TimedEvent* resumed = nullptr;
};

OnWorker walk_operation(Walker& worker) {
  OnWorker seen;
  seen.await =
      worker.next([](const TimedEvent& event) { return event.kind == Kind::await && is_read(event); });
  if (seen.await == nullptr) return seen;
  const std::uint64_t id = seen.await->id;
  seen.filled = worker.next(Kind::sqe_filled, id);
  seen.suspended = worker.next(Kind::suspended, id);
  seen.submitted = worker.next(Kind::submitted);
  seen.processed = worker.next(Kind::processed, id);
  seen.resumed = worker.next(Kind::resumed, id);
  return seen;
}

std::string describe_submit(const TimedEvent* submitted) {
  if (submitted == nullptr) return "io_uring_enter()";
  const std::string count =
      std::to_string(submitted->a) + (submitted->a == 1 ? " SQE" : " SQEs, the read's among them,");
  return "io_uring_enter() submits " + count + (submitted->b != 0 ? " and waits" : "");
}

// The recorder's clock is a line through two readings of the kernel's clock. They agree to about a
// microsecond.
constexpr std::int64_t clock_slack_ns = 2000;

/// Returns when the kernel says that it posted the operation's CQE. New awaiters often have the address of an
/// old one, so the time must fit too.
std::optional<std::int64_t> completion_time(const OnWorker& seen,
                                            const std::vector<KernelCompletion>& completions) {
  if (seen.submitted == nullptr || seen.processed == nullptr) return std::nullopt;
  for (const KernelCompletion& completion : completions) {
    if (completion.user_data != seen.processed->id) continue;
    if (completion.ns < seen.submitted->ns - clock_slack_ns ||
        completion.ns > seen.processed->ns + clock_slack_ns)
      continue;
    return completion.ns;
  }
  return std::nullopt;
}

void add_operation(std::vector<Step>& steps, const OnWorker& seen,
                   const std::vector<KernelCompletion>& completions) {
  const auto add = [&steps](Step step) { steps.push_back(std::move(step)); };
  add({"filled", Actor::coroutine, Actor::worker, Line::solid, time_of(seen.filled),
       "fills an SQE for " + describe_read(seen.filled)});
  add({"suspended_for_io", Actor::coroutine, Actor::worker, Line::dashed, time_of(seen.suspended),
       "suspends, awaiting the I/O"});
  add({"submitted", Actor::worker, Actor::kernel, Line::solid, time_of(seen.submitted),
       describe_submit(seen.submitted)});
  add({"completed", Actor::kernel, Actor::worker, Line::solid, completion_time(seen, completions),
       "reads the file and places the CQE"});
  add({"processed", Actor::worker, Actor::worker, Line::solid, time_of(seen.processed),
       "process_completions() finds the CQE"});
  add({"resumed_with_result", Actor::worker, Actor::coroutine, Line::solid, time_of(seen.resumed),
       "resume() with the result: " + describe_result(seen.processed)});
}

// ---- Switch to Worker ----

std::optional<ReadSteps> next_switch(Walker& main, Walker& worker,
                                     const std::vector<KernelCompletion>& completions) {
  const TimedEvent* const began = main.next(Kind::sync_wait_begin);
  if (began == nullptr) return std::nullopt;
  const TimedEvent* const hop = main.next(Kind::await);
  if (hop == nullptr) return std::nullopt;
  const TimedEvent* const pushed = main.next(Kind::pushed, hop->id);
  const TimedEvent* const wake = main.next([id = hop->id](const TimedEvent& event) {
    return event.id == id && (event.kind == Kind::wake_written || event.kind == Kind::wake_elided);
  });
  const TimedEvent* const suspended = main.next(Kind::suspended, hop->id);
  const TimedEvent* const woken = worker.last_before(Kind::woken, Kind::popped, hop->id);
  const TimedEvent* const popped = worker.next(Kind::popped, hop->id);
  const TimedEvent* const resumed = worker.next(Kind::resumed_on_worker, hop->id);
  const OnWorker operation = walk_operation(worker);
  const TimedEvent* const returned = main.next(Kind::sync_wait_end, began->id);
  const bool elided = wake != nullptr && wake->kind == Kind::wake_elided;

  ReadSteps read;
  const auto add = [&read](Step step) { read.steps.push_back(std::move(step)); };
  add({"await", Actor::main, Actor::coroutine, Line::solid, time_of(began),
       "co_await " + describe_read(operation.filled)});
  add({"pushed", Actor::coroutine, Actor::queue, Line::solid, time_of(pushed), "pushes its handle"});
  add({elided ? "eventfd_elided" : "eventfd_written", Actor::coroutine, Actor::eventfd, Line::solid,
       time_of(wake), elided ? "no write(): the worker is awake" : "write() to wake the worker"});
  add({"suspended", Actor::coroutine, Actor::main, Line::dashed, time_of(suspended), "suspends"});
  // A worker that is awake is not woken; then there is nothing to draw.
  if (!elided)
    add({"woken", Actor::eventfd, Actor::worker, Line::dashed, time_of(woken),
         "wakes up, the event loop runs"});
  add({"popped", Actor::worker, Actor::queue, Line::solid, time_of(popped), "pops the coroutine's handle"});
  add({"resumed", Actor::worker, Actor::coroutine, Line::solid, time_of(resumed),
       "resume(), now on the worker's thread"});
  add_operation(read.steps, operation, completions);
  add({"returned", Actor::coroutine, Actor::main, Line::dashed, time_of(returned), "returns the result"});
  return read;
}

// ---- Worker Callback ----

std::optional<ReadSteps> next_callback(Walker& main, Walker& worker,
                                       const std::vector<KernelCompletion>& completions, bool first) {
  ReadSteps read;
  const auto add = [&read](Step step) { read.steps.push_back(std::move(step)); };
  if (first) {
    const TimedEvent* const started = main.next(Kind::thread_start);
    worker.next(Kind::init_callback);
    const TimedEvent* const spawned = worker.next(Kind::spawned);
    add({"thread_started", Actor::main, Actor::worker, Line::solid, time_of(started),
         "starts the thread with init_callback"});
    add({"coroutine_started", Actor::worker, Actor::coroutine, Line::solid, time_of(spawned),
         "init_callback starts the coroutine"});
  }
  const OnWorker operation = walk_operation(worker);
  if (operation.await == nullptr) return std::nullopt;
  add({"await", Actor::coroutine, Actor::coroutine, Line::solid, time_of(operation.await),
       "co_await " + describe_read(operation.filled)});
  add_operation(read.steps, operation, completions);
  return read;
}

}  // namespace

std::vector<ReadSteps> find_steps(Flow flow, const Recorded& recorded, std::size_t most) {
  static const std::vector<TimedEvent> nothing;
  const std::vector<TimedEvent>* main_events = &nothing;
  const std::vector<TimedEvent>* worker_events = &nothing;
  for (const ThreadRecording& thread : recorded.threads) {
    (thread.tid == recorded.main_tid ? main_events : worker_events) = &thread.events;
  }
  Walker main(*main_events, recorded.since_ns);
  Walker worker(*worker_events, recorded.since_ns);
  std::vector<ReadSteps> found;
  while (found.size() < most) {
    std::optional<ReadSteps> read = flow == Flow::switch_to_worker
                                        ? next_switch(main, worker, recorded.completions)
                                        : next_callback(main, worker, recorded.completions, found.empty());
    if (!read) break;
    found.push_back(std::move(*read));
  }
  return found;
}

std::string_view name_of(Flow flow, Actor actor) noexcept {
  switch (actor) {
    case Actor::main:
      return "Main Thread";
    case Actor::coroutine:
      return flow == Flow::switch_to_worker ? "SwitchToWorkerTask (Coro)" : "CallbackTask (Coro)";
    case Actor::queue:
      return "MPSCQueue";
    case Actor::eventfd:
      return "eventfd";
    case Actor::worker:
      return "Worker Thread";
    case Actor::kernel:
      return "Kernel (io_uring)";
  }
  return "";
}

std::vector<Actor> actors_of(Flow flow) {
  if (flow == Flow::worker_callback) return {Actor::main, Actor::worker, Actor::coroutine, Actor::kernel};
  return {Actor::main, Actor::coroutine, Actor::queue, Actor::eventfd, Actor::worker, Actor::kernel};
}

}  // namespace iotrace
