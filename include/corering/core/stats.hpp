/// stats.hpp — what workers have done so far, as numbers, and in the text format of Prometheus.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/types.h>
#include <vector>

#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/base/time.hpp>
#include <corering/trace/histogram.hpp>

namespace corering {

/// How long something took, each time.
struct TimeStats {
  std::string kind;          ///< "read", "send", ...
  std::string stage = {};    ///< "kernel", ...; empty: all of it
  std::uint64_t errors = 0;  ///< how many of them failed, cancelled ones included
  double ns_per_tick = 1;

  [[nodiscard]] std::uint64_t count() const noexcept;
  /// Returns the time that `share` of them (0.5, 0.99) do not exceed, to 2 %; zero if there are none.
  [[nodiscard]] Duration quantile(double share) const noexcept;

  std::shared_ptr<trace::Histogram> ticks = nullptr;  ///< on the trace's clock; null: none
};

/// How many operations of one kind there were.
struct OperationCount {
  std::string kind;          ///< "read", "send", ...
  std::uint64_t begun = 0;   ///< handed to the kernel, or answered from the page cache at once
  std::uint64_t failed = 0;  ///< those that the kernel answered with an error, cancelled ones included
};

/// Counted since the worker was made. The counters are always on. They are read one after the other while the
/// worker goes on, so two of them may differ by what happened in between.
struct WorkerStats {
  std::string worker;        ///< its name
  std::string kernel;        ///< Worker::kernel_name()
  std::uint64_t number = 0;  ///< no other worker of the process ever has it; 0: no times have been kept

  std::uint64_t turns = 0;          ///< of the loop; one that watches its ring (spin_before_sleep) makes many
  std::uint64_t enters = 0;         ///< calls of io_uring_enter(2)
  std::uint64_t failed_enters = 0;  ///< those that the kernel refused for now: EAGAIN, EBUSY, ENOMEM
  std::uint64_t sleeps = 0;         ///< those that could wait
  std::uint64_t submitted = 0;      ///< SQEs, the library's own included
  std::uint64_t woken = 0;          ///< times that a post woke the worker from its sleep
  std::uint64_t posts = 0;          ///< coroutines and calls that came from other threads
  std::uint64_t parked = 0;  ///< operations that found no SQE, because the kernel took none at the moment
  /// Requests that a helper thread of the kernel (io-wq) does in any case: those with IOSQE_ASYNC
  /// (forced_async(), the close of a socket that lingers), and those with an opcode that the kernel always
  /// gives away (fsync, statx, splice, rename, ...). What else the kernel gives to a helper only it knows: a
  /// read that is not in the page cache and cannot be waited for, an open that creates. `iotrace record`
  /// shows these, from the tracepoint io_uring_queue_async_work.
  std::uint64_t for_helpers = 0;
  /// Operations by kind, those kinds of which there were any. Those that a cancelled scope refuses are left
  /// out. A stream counts each time that it asks the kernel again. An end by cancellation is no failure of a
  /// stream, and no timeout fails when its time has come.
  std::vector<OperationCount> operation_counts;
  /// Sleeps that ended 100 ms or more after the timer that was to end them was due. The kernel was late, or
  /// the machine had no processor for the worker. A worker that is a guest wakes when its host calls turn().
  std::uint64_t late_waits = 0;
  /// How late such sleeps ended, all of them; quantile(1) is the worst. Those that something else ended
  /// before are not among them. It is always kept.
  TimeStats lateness{.kind = "lateness"};

  /// What is kept only while somebody asks for it: trace::start({.level = trace::Level::hist}), or
  /// CORERING_TRACE=hist, or `iotrace attach`. An operation takes until its coroutine has the result, from
  /// when the coroutine that awaits it was resumed. Operations of other libraries' coroutines, and those that
  /// get many replies, are left out.
  std::vector<TimeStats> operations;
  /// The same in parts. "batch": until io_uring_enter(2) is called; "kernel": from then until the completion
  /// is taken, or from the begin, if that is more than 256 calls ago; "resume": from then to the result.
  std::vector<TimeStats> operation_stages;
  /// What is not of one kind of operation. Coroutines that are posted: "queue": until the worker takes them;
  /// "wake": until it has woken, if it slept; "dispatch": from when it takes them until they run;
  /// "wake_to_run": all of that. "run": how long a coroutine runs until it waits again.
  std::vector<TimeStats> worker_stages;
  /// A turn takes until io_uring_enter(2) is called.
  TimeStats turn{.kind = "turn"};
  std::uint64_t stalls = 0;     ///< turns longer than 10 ms
  std::uint64_t completed = 0;  ///< CQEs, the library's own included
  std::uint64_t in_flight = 0;  ///< operations with the kernel, when the worker last entered it
  std::uint64_t ready = 0;      ///< coroutines that could run, at that moment
  std::uint64_t timers = 0;     ///< timers that were armed, at that moment

  /// Adds the other's numbers.
  /// errors: throws std::bad_alloc
  WorkerStats& operator+=(const WorkerStats& other);
};

/// Opens the memory in which another process keeps its workers' times. It is there from the moment when
/// somebody first wanted times and a worker had something to do; trace::Attachment wants them.
/// errors: ESRCH: there is no such process; ENOENT: it keeps no times; EACCES: it belongs to somebody else
[[nodiscard]] Result<Fd> open_times(pid_t process);

/// Reads the workers that are there at the moment: their names, `operations`, `turn` and `in_flight`. The
/// process goes on meanwhile.
/// errors: EBADMSG: this is no such memory, or that of another version
[[nodiscard]] Result<std::vector<WorkerStats>> read_times(const Fd& times);

/// Returns the text format of Prometheus, version 0.0.4: one sample a worker and number. Serve it with
/// `Content-Type: text/plain; version=0.0.4`, as examples/metrics.cpp does.
/// errors: throws std::bad_alloc
[[nodiscard]] std::string write_prometheus(std::span<const WorkerStats> workers);

}  // namespace corering
