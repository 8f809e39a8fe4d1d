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
  /// How many workers; 0 takes one per processor this process may use.
  std::size_t workers = 0;

  /// Pins worker i to the i-th processor this process may use, round and round.
  bool pin = false;

  /// For every worker; `name` gets "/0", "/1", ... appended, `cpu` is overridden by `pin`.
  WorkerOptions worker = {};
};

/// Owns the workers; the destructor stops all of them, then joins.
class WorkerPool {
 public:
  /// Called once per worker, on that worker's thread, with its number.
  using InitCallback = std::function<void(Worker&, std::size_t)>;

  explicit WorkerPool(WorkerPoolOptions options = {});
  WorkerPool(WorkerPool&&) = delete;
  ~WorkerPool();

  /// Starts every worker. On the first error those already started are stopped and the error is returned.
  Result<void> start(const InitCallback& init_callback = nullptr);

  /// Asks every worker to stop. Any thread, async-signal-safe.
  void request_stop() noexcept;

  /// Waits for every worker's thread.
  void join();

  [[nodiscard]] std::size_t size() const noexcept { return workers_.size(); }
  [[nodiscard]] Worker& operator[](std::size_t index) noexcept { return *workers_[index]; }

  /// The workers in turn; any thread.
  [[nodiscard]] Worker& next() noexcept {
    return *workers_[next_.fetch_add(1, std::memory_order_relaxed) % workers_.size()];
  }

 private:
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<std::size_t> next_ = 0;
};

}  // namespace corering
