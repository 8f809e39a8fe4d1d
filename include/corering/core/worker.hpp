/// worker.hpp — one thread, one ring, one loop.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <corering/base/result.hpp>
#include <corering/base/time.hpp>
#include <corering/core/drain.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/task_dump.hpp>
#include <corering/uring/kernel.hpp>

namespace corering {

class Loop;

struct WorkerOptions {
  /// How many SQEs one submission can carry, 1 to 32768. The kernel rounds it up to a power of two. It does
  /// not limit the operations in flight: when the SQ is full, the worker submits.
  std::uint32_t sq_entries = 256;

  /// How many completions the kernel can hold for us. If there are more, the kernel keeps them aside, at a
  /// cost. It must be at least sq_entries; 0 means 4096, or twice sq_entries if that is more.
  std::uint32_t cq_entries = 0;

  /// Pins the worker's own thread to this processor, and keeps the kernel's helper threads for it on the
  /// other processors.
  std::optional<unsigned> cpu = std::nullopt;

  /// How long a worker watches its queue and its ring before it sleeps, if its last waits were short (less
  /// than three times this). The other side is then answered sooner, by the time that it takes to wake a
  /// thread; where waits are very short, this costs less CPU than the kernel spends on that
  /// (docs/BENCHMARKS.md, "gaps"). A longer wait ends the watching until several waits in a row have been
  /// short again. Each time that watching finds nothing, more short waits in a row are needed before the
  /// worker watches again, so a worker with nothing to do sleeps. With 0, or on a machine with one processor,
  /// a worker never watches.
  Duration spin_before_sleep = std::chrono::microseconds(100);

  /// The name of the worker's own thread, as in top(1). The kernel keeps 15 characters.
  std::string name = "corering";

  /// While stopping: how long shielded clean-up code may go on. After that it is cancelled too. What is still
  /// there is named through `on_stuck`, again and again at this interval, until nothing is left: a worker
  /// never ends while an operation is in flight.
  Duration stop_patience = std::chrono::seconds(5);

  /// Called on the worker's thread with the tasks that keep it from stopping, each with its operation,
  /// descriptor, place and waiting time. It must neither wait nor throw. If it is not set, they are printed
  /// on stderr.
  std::function<void(const TaskDump&)> on_stuck = nullptr;

  /// Where system calls go; for tests.
  /// keep alive: the kernel, longer than the worker
  Kernel* kernel = &real_kernel();
};

/// Runs coroutines on io_uring, on its own thread (start()) or on the caller's (run(), turn()). A worker
/// lives once: it is set up, runs until request_stop() has ended everything, and is destroyed. The destructor
/// asks for the stop and joins.
///
/// Stopping: the worker refuses new posts, and cancels every task. What the task waits for ends with
/// ECANCELED, and so do the waits that it begins from then on, unless it is shielded (sync/shield.hpp). The
/// worker ends when all tasks have ended and nothing is in flight. What was posted before the refusal still
/// runs. If a worker is destroyed without having run, its destructor resumes what was posted to it: hops get
/// ECANCELED, and spawned tasks run, but every operation in them answers ECANCELED.
///
/// SIGPIPE is blocked on the worker's thread while start() or run() runs it: writing to a pipe that nobody
/// reads gives EPIPE.
/// since: 5.19; designed for 6.1 and newer
class Worker {
 public:
  /// Called once on the worker's thread, when the ring is open, before the first turn.
  using InitCallback = std::move_only_function<void(Worker&)>;

  explicit Worker(WorkerOptions options = {});
  Worker(Worker&&) = delete;
  ~Worker();

  /// Starts the worker's own thread, and returns when its ring is open and `init_callback` has returned. An
  /// exception of the callback stops the worker and comes out here.
  /// errors: setup_category(); after an error you may call start() again
  Result<void> start(InitCallback init_callback = nullptr);

  /// Runs the worker on the calling thread until it has been stopped.
  Result<void> run(InitCallback init_callback = nullptr);

  /// Makes one turn of the loop on the calling thread: posts, timers, ready coroutines, submission,
  /// completions. It sleeps at most `patience` until there is something to do. Returns false if the worker
  /// has been stopped and has ended.
  /// thread: the first call opens the ring and binds the worker to its thread, which must also make the later
  ///   calls and destroy the worker
  Result<bool> turn(Duration patience = Duration::zero());

  /// Asks the worker to stop, as described above. Returns at once. Asking again does nothing.
  /// thread: any; async-signal-safe
  void request_stop() noexcept;

  /// Waits for the worker's own thread to end, which it does only after request_stop(). Returns at once if
  /// that thread never started.
  void join();

  /// Starts `task` on this worker. On the worker itself, the task runs after what is ready there; from
  /// another thread it goes through the MPSC queue.
  /// errors: ECANCELED when the worker is stopping or has ended; the task is then destroyed without having
  ///   run
  /// thread: any
  template <class T>
  [[nodiscard]] Result<JoinHandle<T>> spawn(Task<T> task,
                                            std::source_location where = std::source_location::current()) {
    return detail::spawn_on(*this, std::move(task), where);
  }

  /// `co_await worker.drain()`: from then on the worker refuses what other threads post. (A post that another
  /// thread had already begun may still arrive.)
  /// suspends: always
  /// resumes: when every task on the worker has ended, except those that drain it, and the members of groups
  ///   and combinators that they await
  /// cancelled: fails with the scope's reason. So a deadline around it (sync/timeout.hpp) is how long a
  ///   server lets its requests finish
  /// thread: the worker's, in one of its own tasks
  DrainOperation drain() noexcept { return DrainOperation(*loop_); }

  /// Returns what every task on this worker waits for, since when, and through which awaits.
  /// thread: any; on a thread that is not the worker's it blocks until the worker answers, in its next turn.
  ///   If that takes longer than `patience`, it returns nothing: then a task keeps the worker's thread busy
  [[nodiscard]] std::optional<TaskDump> dump_tasks(Duration patience = std::chrono::seconds(1));

  /// Returns its name (WorkerOptions::name).
  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }

  /// Returns the flags that the ring was granted (abi::setup_*), or 0 before it is open.
  [[nodiscard]] std::uint32_t setup_flags() const noexcept;

  /// Returns the worker whose loop runs the calling code, or null.
  [[nodiscard]] static Worker* current() noexcept;

  [[nodiscard]] Loop& loop() noexcept { return *loop_; }

 private:
  void report_stuck() noexcept;
  void assert_never_ran() const noexcept;
  Result<void> set_up(InitCallback& init_callback, std::exception_ptr& thrown);

  WorkerOptions options_;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
  std::thread::id stepped_by_;  ///< the thread that calls turn()
};

}  // namespace corering
