/// worker_pool.hpp — N workers, one per core if asked.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/core/worker.hpp>

namespace corering {

struct WorkerPoolOptions {
  /// How many workers there are; 0 means one per processor that this process may use: those it may run on,
  /// but no more than the quota of its cgroup pays for.
  std::size_t workers = 0;

  /// Pins worker i to the i-th processor that this process may use, and starts again with the first after the
  /// last.
  bool pin = false;

  /// The options of every worker. "/0", "/1", ... is added to `name`, and `pin` overrides `cpu`.
  WorkerOptions worker = {};
};

/// Owns the workers. The destructor stops all of them, then joins.
class WorkerPool {
 public:
  /// Called once per worker, on that worker's thread, with its number.
  using InitCallback = std::function<void(Worker&, std::size_t)>;

  explicit WorkerPool(WorkerPoolOptions options = {});
  WorkerPool(WorkerPool&&) = delete;
  ~WorkerPool();

  /// Starts every worker. On the first error, or exception of `init_callback`, it stops the workers that have
  /// already started, and lets those that have not refuse what was posted to them. Then the error is
  /// returned, or the exception comes out. The pool has ended then.
  Result<void> start(const InitCallback& init_callback = nullptr);

  /// Asks every worker to stop.
  /// thread: any; async-signal-safe
  void request_stop() noexcept;

  /// Waits for every worker's thread to end.
  void join();

  [[nodiscard]] std::size_t size() const noexcept { return workers_.size(); }
  [[nodiscard]] Worker& operator[](std::size_t index) noexcept { return *workers_[index]; }

  /// Returns what each worker has done so far.
  /// errors: throws std::bad_alloc
  [[nodiscard]] std::vector<WorkerStats> stats() const;

  /// Returns the workers one after another, again and again.
  /// thread: any
  [[nodiscard]] Worker& next() noexcept {
    return *workers_[next_.fetch_add(1, std::memory_order_relaxed) % workers_.size()];
  }

 private:
  void stop() noexcept;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<std::size_t> next_ = 0;
};

}  // namespace corering
