/// worker.hpp — one thread, one ring, one loop.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <corering/base/any_duration.hpp>
#include <corering/base/result.hpp>
#include <corering/core/drain.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/stats.hpp>
#include <corering/core/task_dump.hpp>
#include <corering/emulation/emulated_kernel.hpp>
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

  /// How many helper threads (io-wq) the kernel may run for the worker's thread at once: for what ends by
  /// itself, requests on files, block devices and paths (the kernel calls these workers bounded); and for
  /// what may wait for ever, such as a splice from a socket, or a read of a pipe with IOSQE_ASYNC
  /// (unbounded). Requests that find no helper wait for one, and can be cancelled meanwhile.
  ///
  /// The kernel's own limits are 4 for each processor, or sq_entries if that is less, and RLIMIT_NPROC. The
  /// first one grows with the machine: 64 workers on 64 processors could start 16,384 threads. 32 requests at
  /// once keep a disk busy. The second one is none, so a program that splices from a thousand silent sockets
  /// has a thousand threads. If its requests wait for each other, they need a helper each: then raise it.
  /// 0 changes nothing: a limit that an earlier worker of this thread set stays, otherwise the kernel's own.
  /// Workers of one thread share their helpers: the one that was opened last decides. Before Linux 6.4 it is
  /// the limit of each NUMA node. The emulated kernel has an option of its own:
  /// EmulationOptions::most_helpers.
  /// since: 5.15; older kernels keep their limits
  /// follows: io_uring_register(2), IORING_REGISTER_IOWQ_MAX_WORKERS
  std::uint32_t file_helpers = 32;
  std::uint32_t waiting_helpers = 256;

  /// For the lowest latency: how long a worker watches its queue and its ring before it sleeps, if its last
  /// waits were short (less than three times this); 100 µs is a good value. The other side is then answered
  /// sooner, by the time that it takes to wake a thread. What it costs depends on the machine: where waking
  /// is dear it saves CPU, elsewhere a request costs up to four times as much (docs/BENCHMARKS.md, "gaps"). A
  /// longer wait ends the watching until several waits in a row have been short again. Each time that
  /// watching finds nothing, more short waits in a row are needed before the worker watches again, so a
  /// worker with nothing to do sleeps. With 0, or on a machine with one processor, a worker never watches.
  AnyDuration spin_before_sleep = std::chrono::nanoseconds(0);

  /// A sandbox: the opcodes that the worker may ask of the kernel. Every other request fails with EACCES,
  /// from the kernel itself: also one that was not made by this library, and after the process's memory has
  /// been corrupted. `read`, `async_cancel` and `close` are always allowed, because the worker needs them.
  /// With an empty list everything is. On the emulated kernel it is a check, and no protection.
  ///
  ///     Worker worker{{.allow = {Opcode::accept, Opcode::recv, Opcode::send}}};
  ///
  /// since: 5.10 · follows: io_uring_register(2), IORING_REGISTER_RESTRICTIONS
  std::vector<Opcode> allow = {};

  /// The name of the worker's own thread, as in top(1). The kernel keeps 15 characters.
  std::string name = "corering";

  /// While stopping: how long shielded clean-up code may go on. After that it is cancelled too. What is still
  /// there is named through `on_stuck`, again and again at this interval, until nothing is left: a worker
  /// never ends while an operation is in flight.
  AnyDuration stop_patience = std::chrono::seconds(5);

  /// Called on the worker's thread with the tasks that keep it from stopping, each with its operation,
  /// descriptor, place and waiting time. It must neither wait nor throw. If it is not set, they are printed
  /// on stderr.
  std::function<void(const TaskDump&)> on_stuck = nullptr;

  /// Where system calls go: &real_kernel(), &emulated_kernel(), or one for tests. See prefer_kernel().
  /// keep alive: the kernel, longer than the worker
  Kernel* kernel = &default_kernel();
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
/// exit() in a task ends the process at once: no task ends, and no worker stops. Objects of static storage
/// duration are destroyed as always; a Worker or a WorkerPool among them leaves its threads to the system. To
/// end in order, call request_stop() and return from main.
///
/// After fork() the worker belongs to the parent. The child may call exec or _exit, or exit(): there the
/// worker's destructor does nothing, and neither does request_stop(). Starting or joining it ends the child
/// with a message, and so does a post, unless the worker was awake at the fork: then what is posted is lost.
/// A child can make workers of its own.
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
  [[nodiscard]] Result<void> start(InitCallback init_callback = nullptr,
                                   std::source_location where = std::source_location::current());

  /// Runs the worker on the calling thread until it has been stopped.
  [[nodiscard]] Result<void> run(InitCallback init_callback = nullptr,
                                 std::source_location where = std::source_location::current());

  /// Makes one turn of the loop on the calling thread: posts, timers, ready coroutines, submission,
  /// completions. It sleeps at most `patience` until there is something to do. Returns false if the worker
  /// has been stopped and has ended.
  /// thread: the first call opens the ring and binds the worker to its thread, which must also make the later
  ///   calls and destroy the worker
  [[nodiscard]] Result<bool> turn(AnyDuration patience = Duration::zero(),
                                  std::source_location where = std::source_location::current());

  /// For a worker that is a guest in somebody else's event loop (epoll, Asio, ...). Returns a descriptor that
  /// is readable when the worker has something to do: a post, a completion, a timer, a request to stop. Watch
  /// it, and whenever it is readable, call turn(), until that returns false:
  ///
  ///     const int fd = worker.descriptor().value();
  ///     watch(fd, [&] { if (!worker.turn().value()) unwatch(fd); });
  ///
  /// That is all: the descriptor is armed, and each turn() arms it again before it returns. It hands to the
  /// kernel what is filled, tells the other threads that the worker sleeps, and looks once more at what they
  /// have posted. A turn that leaves something to do makes the descriptor readable at once. So both loops get
  /// their turns, however busy the other one is. A turn too many does no harm.
  ///
  /// A wait of your loop may fail with EINTR, as after a signal: wait again. Your loop may be told of levels
  /// or of edges. A worker that nobody watches waits for its next turn(), and loses nothing.
  /// thread: as turn(); call it before the first turn(), because a ring that turn() opens cannot be watched
  /// keep alive: the worker; it owns the descriptor, so neither read nor close it. After the worker's end it
  ///   stays readable
  /// errors: setup_category(); after an error you may call it again
  [[nodiscard]] Result<int> descriptor(std::source_location where = std::source_location::current());

  /// Asks the worker to stop, as described above. Returns at once. Asking again does nothing.
  /// thread: any; async-signal-safe
  void request_stop() noexcept;

  /// Waits for the worker's own thread to end, which it does only after request_stop(). Returns at once if
  /// that thread never started.
  void join(std::source_location where = std::source_location::current());

  /// Starts `task` on this worker. On the worker itself, the task runs after what is ready there; from
  /// another thread it goes through the MPSC queue.
  /// errors: ECANCELED when the worker is stopping or has ended; the task is then destroyed without having
  ///   run
  /// thread: any
  template <class T>
  [[nodiscard]] SpawnResult<T> spawn(Task<T> task,
                                     std::source_location where = std::source_location::current()) {
    return detail::spawn_on(*this, std::move(task), where);
  }
  /// The same for a task that has a name in traces: worker.spawn(serve(client), "serve").
  template <class T>
  [[nodiscard]] SpawnResult<T> spawn(Task<T> task, TaskName name,
                                     std::source_location where = std::source_location::current()) {
    return detail::spawn_on(*this, std::move(task), where, name);
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
  /// errors: throws std::bad_alloc, also when it is the worker that has no memory for the answer
  [[nodiscard]] std::optional<TaskDump> dump_tasks(AnyDuration patience = std::chrono::seconds(1));

  /// Returns what it has done so far, as numbers.
  /// thread: any
  /// errors: throws std::bad_alloc
  [[nodiscard]] WorkerStats stats() const;

  /// Returns its name (WorkerOptions::name).
  [[nodiscard]] const std::string& name() const noexcept { return options_.name; }

  /// Returns what the kernel that it uses is called (Kernel::name()): "io_uring", or "io_uring, emulated". It
  /// is known before the worker runs, and stays valid as long as that kernel.
  /// thread: any
  [[nodiscard]] std::string_view kernel_name() const noexcept { return options_.kernel->name(); }

  /// Returns the flags that the ring was granted (uapi::setup_*), or 0 before it is open.
  [[nodiscard]] std::uint32_t setup_flags() const noexcept;

  /// Returns the worker whose loop runs the calling code, or null.
  [[nodiscard]] static Worker* current() noexcept;

  [[nodiscard]] Loop& loop() noexcept { return *loop_; }

 private:
  friend class WorkerPool;
  enum class State : std::uint8_t {
    fresh,    ///< nobody has started it, or a start has failed
    running,  ///< its ring has been opened
    refused,  ///< it never ran, and what was posted to it has been refused
  };
  /// For a worker that is fresh: refuses what was posted to it, and what will be.
  void refuse() noexcept;
  void begin_to_refuse() noexcept;
  void report_stuck() noexcept;
  /// Returns true where nothing may be ended: in a forked child, or when a task has called exit().
  [[nodiscard]] bool is_left_to_the_system() const noexcept;
  void leave_to_the_system() noexcept;
  void assert_never_ran(std::source_location where) const noexcept;
  Result<void> set_up(InitCallback& init_callback, std::exception_ptr& thrown);
  void assert_stepped_here(std::source_location where) const noexcept;
  void begins_to_run() noexcept;

  WorkerOptions options_;
  std::unique_ptr<Loop> loop_;
  State state_ = State::fresh;  ///< written by the thread that starts it
  std::thread thread_;
  std::thread::id stepped_by_;  ///< the thread that calls turn()
};

}  // namespace corering
