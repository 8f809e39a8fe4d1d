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
  /// SQEs one submission can carry, 1 to 32768; rounded up to a power of two by the kernel. Not a limit on
  /// the operations in flight: when it is full the worker submits.
  std::uint32_t sq_entries = 256;

  /// Completions the kernel can hold for us; more than that it keeps aside, at a cost. At least sq_entries; 0
  /// takes 4096, or twice sq_entries if that is more.
  std::uint32_t cq_entries = 0;

  /// Pins the worker's own thread to this processor and keeps the kernel's helper threads for it on the other
  /// ones.
  std::optional<unsigned> cpu = std::nullopt;

  /// Before it sleeps, a worker whose last waits were short (three times this) watches its queue and its ring
  /// for so long: whoever is waited for is answered sooner, by the time that waking a thread takes, and where
  /// waits are very short at less CPU than the kernel spends on that (docs/BENCHMARKS.md, "gaps"). A wait
  /// that is longer ends the watching, until several in a row have been short again, and each time that it
  /// was in vain more of them must be: a worker with nothing to do sleeps. 0, or a machine with one
  /// processor: it never watches.
  Duration spin_before_sleep = std::chrono::microseconds(100);

  /// Name of the worker's own thread, as in top(1); the kernel keeps 15 characters.
  std::string name = "corering";

  /// While stopping: how long shielded clean-up code may go on. Then it is cancelled too, and what is still
  /// there is named through `on_stuck`, again and again at this interval until nothing is left: a worker
  /// never leaves an operation in flight behind.
  Duration stop_patience = std::chrono::seconds(5);

  /// Told, on the worker's thread, which tasks keep it from stopping, each with its operation, descriptor,
  /// place and waiting time; it must neither wait nor throw. Nothing set: they are printed on stderr.
  std::function<void(const TaskDump&)> on_stuck = nullptr;

  /// Where system calls go; for tests. Must outlive the worker.
  Kernel* kernel = &real_kernel();
};

/// Runs coroutines on io_uring, on a thread of its own (start()) or on the caller's (run(), turn()). A worker
/// lives once: it is set up, runs until request_stop() has ended everything, and is destroyed. The destructor
/// asks for the stop and joins. Minimum kernel: 5.19; designed for 6.1 and newer.
///
/// Stopping: new posts are refused, and every task is cancelled: what it waits for ends with ECANCELED, as
/// does what it begins to wait for from then on, unless it is shielded (sync/shield.hpp). The worker ends
/// when all of them have ended and nothing is in flight. What was posted before the refusal still runs. A
/// worker that is destroyed without having run resumes what was posted to it in its destructor: hops are told
/// ECANCELED, spawned tasks run with every operation answering ECANCELED.
///
/// SIGPIPE is blocked on the worker's thread while it runs by start() or run(): writing to a pipe that nobody
/// reads is EPIPE.
class Worker {
 public:
  /// Called once on the worker's thread, with the ring open, before the first turn.
  using InitCallback = std::move_only_function<void(Worker&)>;

  explicit Worker(WorkerOptions options = {});
  Worker(Worker&&) = delete;
  ~Worker();

  /// Starts the worker's own thread and returns when its ring is open and `init_callback` has returned. An
  /// exception of the callback stops the worker and comes out here. After an error (setup_category()) start()
  /// may be tried again.
  Result<void> start(InitCallback init_callback = nullptr);

  /// Runs the worker on the calling thread until it has been stopped.
  Result<void> run(InitCallback init_callback = nullptr);

  /// One turn of the loop on the calling thread: posts, timers, ready coroutines, submission, completions.
  /// Sleeps at most `patience` for something to do. The first call opens the ring and binds the worker to
  /// this thread, which must also make the later ones and destroy the worker. False: the worker has been
  /// stopped and has ended.
  Result<bool> turn(Duration patience = Duration::zero());

  /// Asks the worker to stop; see above. Returns at once. Any thread, and async-signal-safe. Asking again
  /// does nothing.
  void request_stop() noexcept;

  /// Waits for the worker's own thread to end, which it does only after request_stop(); nothing to wait for
  /// if it never started.
  void join();

  /// Starts `task` on this worker, from any thread: on the worker itself behind what is ready there, else
  /// through the MPSC queue. ECANCELED when the worker is stopping or has ended; the task is then destroyed
  /// without having run.
  template <class T>
  [[nodiscard]] Result<JoinHandle<T>> spawn(Task<T> task,
                                            std::source_location where = std::source_location::current()) {
    return detail::spawn_on(*this, std::move(task), where);
  }

  /// `co_await worker.drain()`, by one of its own tasks: refuses, from then on, what other threads post, and
  /// resumes when every task on the worker has ended but those that drain it, with the members of groups and
  /// combinators that they await. (A post that another thread had begun before may still arrive.) If it is
  /// cancelled before, it fails with the scope's reason: a deadline around it (sync/timeout.hpp) is how long
  /// a server lets its requests finish.
  DrainOperation drain() noexcept { return DrainOperation(*loop_); }

  /// What every task that is on this worker waits for, since when, and through which awaits. Any thread: on
  /// another one than the worker's it blocks until the worker has answered, in its next turn, and gives up,
  /// with nothing, when that takes longer than `patience`: then a task keeps the worker's thread busy.
  [[nodiscard]] std::optional<TaskDump> dump_tasks(Duration patience = std::chrono::seconds(1));

  /// Its name (WorkerOptions::name).
  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }

  /// What the ring was granted (abi::setup_*), 0 before it is open.
  [[nodiscard]] std::uint32_t setup_flags() const noexcept;

  /// The worker whose loop runs the calling code, or null.
  [[nodiscard]] static Worker* current() noexcept;

  [[nodiscard]] Loop& loop() noexcept { return *loop_; }

 private:
  void report_stuck() noexcept;
  void assert_never_ran() const noexcept;
  Result<void> set_up(InitCallback& init_callback, std::exception_ptr& thrown);

  WorkerOptions options_;
  std::unique_ptr<Loop> loop_;
  std::thread thread_;
  std::thread::id stepped_by_;  ///< who calls turn()
};

}  // namespace corering
