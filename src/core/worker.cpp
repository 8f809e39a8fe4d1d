/// worker.cpp — what a worker does around its loop: set-up, thread, stop.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <new>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <corering/base/one_shot.hpp>
#include <corering/base/outside.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/core/worker.hpp>
#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>

#include "core/process_exit.hpp"
#include "core/times_of_process.hpp"
#include "core/unstarted_workers.hpp"
#include "engine/loop.hpp"

namespace corering {
namespace {

cpu_set_t usable_processors() noexcept {
  cpu_set_t usable{};
  sched_getaffinity(0, sizeof usable, &usable);
  return usable;
}

Result<void> pin_this_thread(unsigned cpu) noexcept {
  cpu_set_t only{};
  if (cpu < CPU_SETSIZE) CPU_SET(cpu, &only);
  const int error = pthread_setaffinity_np(pthread_self(), sizeof only, &only);
  if (error != 0) return std::unexpected(setup_error(SetupStep::pinning, error));
  return {};
}

void name_this_thread(const std::string& name) noexcept {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

void record(trace::Kind kind, const Loop& loop, std::uint64_t a = 0) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(kind, trace::no_opcode, &loop, a);
}

}  // namespace

Worker::Worker(WorkerOptions options)
    : options_(std::move(options)),
      loop_(std::make_unique<Loop>(LoopOptions{.owner = this,
                                               .kernel = options_.kernel,
                                               .sq_entries = options_.sq_entries,
                                               .cq_entries = options_.cq_entries,
                                               .allowed = options_.allow,
                                               .file_helpers = options_.file_helpers,
                                               .waiting_helpers = options_.waiting_helpers,
                                               .spin_before_sleep = options_.spin_before_sleep,
                                               .stop_patience = options_.stop_patience,
                                               .on_stuck = [this] { report_stuck(); }})) {
  UnstartedWorkers::add(*this);
  (void)trace::start_as_environment_says();  // what is wrong it has printed
}

Worker* Worker::current() noexcept {
  Loop* const here = here::loop();
  return here == nullptr ? nullptr : here->owner();
}

Worker::~Worker() {
  if (is_left_to_the_system()) {
    leave_to_the_system();
    return;
  }
  UnstartedWorkers::remove(*this);
  request_stop();
  if (thread_.joinable()) join();
  while (loop_->is_attached()) loop_->turn(std::nullopt);  // turn() was called, but not until the end
  if (state_ == State::fresh) refuse();
}

void Worker::refuse() noexcept {
  begin_to_refuse();
  loop_->refuse_everything();
}

void Worker::begin_to_refuse() noexcept {
  UnstartedWorkers::remove(*this);
  request_stop();
  loop_->begin_to_refuse();
  state_ = State::refused;
}

bool Worker::is_left_to_the_system() const noexcept {
  return has_exited_in_a_task() || !loop_->mailbox().is_in_its_process();
}

// The process ends with its thread and its loop as they are.
void Worker::leave_to_the_system() noexcept {
  std::construct_at(&thread_);  // neither joined nor detached: in a child that thread does not exist
  (void)loop_.release();
}

Result<void> Worker::set_up(InitCallback& init_callback, std::exception_ptr& thrown) {
  try {
    if (auto attached = loop_->attach(); !attached) return attached;
  } catch (const std::bad_alloc&) {
    return failure(ENOMEM);
  }
  UnstartedWorkers::remove(*this);
  watch_for_exit();
  trace::prepare_this_thread();
  trace::note_kernel(kernel_name());
  record(trace::Kind::worker_up, *loop_);
  if (!init_callback) return {};
  const Loop::Running here(*loop_);
  record(trace::Kind::init_callback, *loop_);
  try {
    init_callback(*this);
  } catch (...) {
    thrown = std::current_exception();
    request_stop();
  }
  return {};
}

namespace {

/// While it lives, a write to a pipe that nobody reads gives EPIPE on this thread, and no signal.
class WithoutSigpipe {
 public:
  WithoutSigpipe() noexcept {
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  WithoutSigpipe(WithoutSigpipe&&) = delete;
  ~WithoutSigpipe() {
    if (::sigismember(&before_, SIGPIPE) == 1) return;
    const timespec at_once{};
    while (::sigtimedwait(&sigpipe_, nullptr, &at_once) == SIGPIPE) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t sigpipe_;
  sigset_t before_;
};

}  // namespace

void Worker::assert_never_ran(std::source_location where) const noexcept {
  CORERING_ASSERT_AT(where, state_ == State::fresh,
                     "a worker lives once, and this one was started before: make another one");
  CORERING_ASSERT_AT(
      where, loop_->mailbox().is_in_its_process(),
      "a worker of the parent process was started in a child after fork(): make a worker in the child");
}

Result<void> Worker::start(InitCallback init_callback, std::source_location where) {
  assert_never_ran(where);
  OneShot up;
  Result<void> outcome;
  std::exception_ptr thrown;
  record(trace::Kind::thread_start, *loop_, init_callback ? 1 : 0);
  const auto live = [this, &up, &outcome, &thrown, &init_callback] {
    const WithoutSigpipe quiet;
    name_this_thread(options_.name);
    cpu_set_t helpers = usable_processors();
    if (options_.cpu) outcome = pin_this_thread(*options_.cpu);
    if (outcome) outcome = set_up(init_callback, thrown);
    if (outcome && options_.cpu) {
      CPU_CLR(*options_.cpu, &helpers);
      if (CPU_COUNT(&helpers) > 0) loop_->keep_helpers_on(helpers);
    }
    const bool runs = outcome.has_value();
    Loop& loop = *loop_;  // exit() in a task may destroy this object from now on, and leaves the loop
    up.set();             // now start() returns, and what it lent us is gone
    if (runs) loop.run();
  };
  try {
    thread_ = std::thread(live);
  } catch (const std::system_error& error) {
    return std::unexpected(setup_error(SetupStep::thread, error.code().value()));
  }
  up.wait();
  if (outcome) state_ = State::running;
  if (!outcome || thrown) thread_.join();
  if (thrown) std::rethrow_exception(thrown);
  return outcome;
}

Result<void> Worker::run(InitCallback init_callback, std::source_location where) {
  assert_never_ran(where);
  const WithoutSigpipe quiet;
  std::exception_ptr thrown;
  if (auto ready = set_up(init_callback, thrown); !ready) return ready;
  state_ = State::running;
  loop_->run();
  if (thrown) std::rethrow_exception(thrown);
  return {};
}

Result<bool> Worker::turn(AnyDuration patience, std::source_location where) {
  assert_stepped_here(where);
  if (!loop_->is_attached() && !loop_->has_ended()) {
    assert_never_ran(where);
    if (auto attached = loop_->attach(); !attached) return std::unexpected(attached.error());
    begins_to_run();
  }
  return loop_->turn(patience);
}

Result<int> Worker::descriptor(std::source_location where) {
  assert_stepped_here(where);
  if (const int known = loop_->guest_descriptor(); known >= 0) return known;
  CORERING_ASSERT_AT(where, !loop_->is_attached() && !loop_->has_ended(),
                     "descriptor() was called after turn(): call it before, so that the ring can be watched");
  assert_never_ran(where);
  try {
    const Result<int> watched = loop_->attach_as_guest();
    if (watched) begins_to_run();
    return watched;
  } catch (const std::bad_alloc&) {
    return failure(ENOMEM);
  }
}

void Worker::assert_stepped_here(std::source_location where) const noexcept {
  CORERING_ASSERT_AT(
      where, !thread_.joinable() && (!loop_->is_attached() || stepped_by_ == std::this_thread::get_id()),
      "turn() was called on a second thread, or on a worker that start() runs: call it on one thread only");
  CORERING_ASSERT_AT(where, current() != this,
                     "turn() was called by a task of the worker: only the code around the worker calls it");
}

void Worker::begins_to_run() noexcept {
  stepped_by_ = std::this_thread::get_id();
  state_ = State::running;
  UnstartedWorkers::remove(*this);
  watch_for_exit();
}

void Worker::request_stop() noexcept { loop_->mailbox().request_stop(); }

void Worker::join(std::source_location where) {
  CORERING_ASSERT_AT(where, !thread_.joinable() || loop_->mailbox().is_in_its_process(),
                     "a child after fork() cannot wait for a worker of its parent");
  CORERING_ASSERT_AT(where, current() != this,
                     "a worker cannot wait for itself: call request_stop(), and let another thread join");
  if (thread_.joinable()) thread_.join();
}

// A report that there is no memory for is left out: another one comes when patience has ended again.
void Worker::report_stuck() noexcept try {
  const TaskDump dump = dump_of(*loop_, name());
  if (options_.on_stuck) return options_.on_stuck(dump);
  const std::string text = "corering: cannot stop yet, " + dump.to_string() +
                           "(a task that is cancelled and still begins new waits is probably retrying: end "
                           "its loop when is_cancellation(error) is true)\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
} catch (const std::bad_alloc&) {
}

namespace {

/// A question to a worker, and its answer. It is shared, because the thread that asks may give up.
struct DumpRequest : CallNode {
  explicit DumpRequest(std::string name) noexcept : CallNode(&answer), worker(std::move(name)) {}
  static void answer(PostNode& node, Loop& here) noexcept {
    auto& request = static_cast<DumpRequest&>(node);
    const std::shared_ptr<DumpRequest> kept = std::move(request.self);
    try {
      kept->dump = dump_of(here, kept->worker);
    } catch (const std::bad_alloc&) {
      kept->no_memory = true;
    }
    kept->answered.set();
  }
  const std::string worker;
  TaskDump dump;
  bool no_memory = false;
  OneShot answered;
  std::shared_ptr<DumpRequest> self;  ///< set while the request is in the queue
};

}  // namespace

std::optional<TaskDump> Worker::dump_tasks(AnyDuration patience) {
  if (current() == this) return dump_of(*loop_, name());
  CORERING_ASSERT(
      os::world() == nullptr,
      "a thread with a simulated world would block for ever: dump a worker of it in one of its own tasks");
  const auto request = std::make_shared<DumpRequest>(name());
  request->self = request;
  if (!loop_->mailbox().post_regardless(*request)) {
    request->self = nullptr;
    return TaskDump{.worker = name(), .kernel = std::string(kernel_name())};  // the worker has ended
  }
  if (!request->answered.wait_until(saturating_add(Clock::now(), patience))) return std::nullopt;
  if (request->no_memory) throw std::bad_alloc();
  return std::move(request->dump);
}

namespace {

std::vector<OperationCount> counts_of(const Loop& loop) {
  std::vector<OperationCount> counts;
  for (std::size_t opcode = 0; opcode < opcode_names.size(); ++opcode) {
    const auto [begun, failed] = loop.operations_of(opcode);
    if (begun == 0) continue;
    // A LINK_TIMEOUT answers with an error whatever happens. And more may have failed since `begun` was read.
    const bool always_fails = static_cast<Opcode>(opcode) == Opcode::link_timeout;
    counts.push_back({.kind = std::string(opcode_names[opcode]),
                      .begun = begun,
                      .failed = always_fails ? 0 : std::min(begun, failed)});
  }
  return counts;
}

}  // namespace

WorkerStats Worker::stats() const {
  const LoopCounters& counters = loop_->counters();
  const std::uint64_t enters = counters.sleeps.get() + counters.peeks.get();
  WorkerStats stats{.worker = name(),
                    .kernel = std::string(kernel_name()),
                    .turns = enters + counters.skipped.get(),
                    .enters = enters,
                    .failed_enters = counters.failed_enters.get(),
                    .sleeps = counters.sleeps.get(),
                    .submitted = counters.submitted.get(),
                    .woken = counters.woken.get(),
                    .posts = counters.posts.get(),
                    .parked = counters.parked.get(),
                    .for_helpers = loop_->requests_for_helpers(),
                    .late_waits = counters.late_waits.get(),
                    .completed = counters.completed.get(),
                    .in_flight = counters.in_flight.get(),
                    .ready = counters.ready.get(),
                    .timers = counters.timers.get()};
  stats.operation_counts = counts_of(*loop_);
  if (counters.timed_waits.get() > 0)
    stats.lateness.ticks = std::make_shared<trace::Histogram>(loop_->lateness());
  if (const LoopTimes* const times = loop_->times(); times != nullptr)
    copy_times(times->shared(), trace::ns_per_tick(), stats);
  return stats;
}

std::uint32_t Worker::setup_flags() const noexcept { return loop_->setup_flags(); }

}  // namespace corering
