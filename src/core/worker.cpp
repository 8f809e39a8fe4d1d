/// worker.cpp — what a worker does around its loop: set-up, thread, stop.
#include <cerrno>
#include <csignal>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <corering/base/one_shot.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/core/worker.hpp>
#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>

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
                                               .spin_before_sleep = options_.spin_before_sleep,
                                               .stop_patience = options_.stop_patience,
                                               .on_stuck = [this] { report_stuck(); }})) {}

Worker* Worker::current() noexcept {
  Loop* const here = here::loop();
  return here == nullptr ? nullptr : here->owner();
}

Worker::~Worker() {
  request_stop();
  if (thread_.joinable()) join();
  while (loop_->is_attached()) loop_->turn(std::nullopt);  // turn() was called, but not until the end
  loop_->refuse_everything();
}

Result<void> Worker::set_up(InitCallback& init_callback, std::exception_ptr& thrown) {
  if (auto attached = loop_->attach(); !attached) return attached;
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

void Worker::assert_never_ran() const noexcept {
  CORERING_ASSERT(!thread_.joinable() && !loop_->is_attached() && !loop_->has_ended(),
                  "a worker lives once, and this one was started before: make another one");
}

Result<void> Worker::start(InitCallback init_callback) {
  assert_never_ran();
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
    up.set();  // now start() returns, and what it lent us is gone
    if (runs) loop_->run();
  };
  try {
    thread_ = std::thread(live);
  } catch (const std::system_error& error) {
    return std::unexpected(setup_error(SetupStep::thread, error.code().value()));
  }
  up.wait();
  if (!outcome || thrown) thread_.join();
  if (thrown) std::rethrow_exception(thrown);
  return outcome;
}

Result<void> Worker::run(InitCallback init_callback) {
  assert_never_ran();
  const WithoutSigpipe quiet;
  std::exception_ptr thrown;
  if (auto ready = set_up(init_callback, thrown); !ready) return ready;
  loop_->run();
  if (thrown) std::rethrow_exception(thrown);
  return {};
}

Result<bool> Worker::turn(Duration patience) {
  CORERING_ASSERT(
      !thread_.joinable() && (!loop_->is_attached() || stepped_by_ == std::this_thread::get_id()),
      "turn() was called on a second thread, or on a worker that start() runs: call it on one thread only");
  stepped_by_ = std::this_thread::get_id();
  if (!loop_->is_attached() && !loop_->has_ended()) {
    if (auto attached = loop_->attach(); !attached) return std::unexpected(attached.error());
  }
  return loop_->turn(patience);
}

void Worker::request_stop() noexcept { loop_->mailbox().request_stop(); }

void Worker::join() {
  CORERING_ASSERT(current() != this,
                  "a worker cannot wait for itself: call request_stop(), and let another thread join");
  if (thread_.joinable()) thread_.join();
}

void Worker::report_stuck() noexcept {
  const TaskDump dump = dump_of(*loop_, name());
  if (options_.on_stuck) return options_.on_stuck(dump);
  const std::string text = "corering: cannot stop yet, " + dump.to_string() +
                           "(a task that is cancelled and still begins new waits is probably retrying: end "
                           "its loop when is_cancellation(error) is true)\n";
  (void)!::write(STDERR_FILENO, text.data(), text.size());
}

namespace {

/// A question to a worker, and its answer. It is shared, because the thread that asks may give up.
struct DumpRequest : CallNode {
  explicit DumpRequest(std::string name) noexcept : CallNode(&answer), worker(std::move(name)) {}
  static void answer(PostNode& node, Loop& here) noexcept {
    auto& request = static_cast<DumpRequest&>(node);
    const std::shared_ptr<DumpRequest> kept = std::move(request.self);
    kept->dump = dump_of(here, kept->worker);
    kept->answered.set();
  }
  const std::string worker;
  TaskDump dump;
  OneShot answered;
  std::shared_ptr<DumpRequest> self;  ///< set while the request is in the queue
};

}  // namespace

std::optional<TaskDump> Worker::dump_tasks(Duration patience) {
  if (current() == this) return dump_of(*loop_, name());
  const auto request = std::make_shared<DumpRequest>(name());
  request->self = request;
  if (!loop_->mailbox().post_regardless(*request)) {
    request->self = nullptr;
    return TaskDump{.worker = name()};  // the worker has ended
  }
  if (!request->answered.wait_until(saturating_add(Clock::now(), patience))) return std::nullopt;
  return std::move(request->dump);
}

std::uint32_t Worker::setup_flags() const noexcept { return loop_->setup_flags(); }

}  // namespace corering
