/// blocking_pool.hpp — threads for what io_uring cannot do without blocking.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/engine/shared_wait.hpp>

namespace corering {

class Outside;

/// One piece of work that blocks. It lies in the frame of the coroutine that waits for it.
class BlockingJob : public SharedWait {
 public:
  /// Does the work. It is called on a thread of the pool and must not throw.
  virtual void run() noexcept = 0;
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::pool; }
};

struct BlockingPoolOptions {
  /// The largest number of threads. A thread is started when there is work and all others are busy, and it
  /// stays.
  std::size_t max_threads = 16;
};

/// A bounded number of threads, and a line of jobs, first in, first out. The line itself is not bounded,
/// because each job lies in the frame of the coroutine that waits for it. The threads run on the processors
/// that are open to the thread that makes the pool, even if a pinned worker starts them. Any number of
/// workers may share a pool. Destroy it when nobody waits for it any more; the destructor joins its threads.
/// In a simulated world (sim/sim.hpp) it has no threads: the world runs the jobs, and the seed says when.
/// See offload() (sync/offload.hpp).
class BlockingPool {
 public:
  explicit BlockingPool(BlockingPoolOptions options = {}) noexcept;
  BlockingPool(BlockingPool&&) = delete;
  ~BlockingPool();

  /// Puts the job in line.
  /// errors: EAGAIN or ENOMEM when the pool has no thread and cannot start one; then nothing has happened
  Result<void> submit(BlockingJob& job) noexcept;

  /// Takes the job out of the line. Returns true if the job was still in line; then it will not run.
  [[nodiscard]] bool withdraw(BlockingJob& job) noexcept;

  [[nodiscard]] std::size_t threads() const noexcept;

 private:
  void live() noexcept;
  static void run(BlockingJob& job) noexcept;
  void begin_in(Outside& world);

  const std::size_t max_threads_;
  cpu_set_t processors_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  // Under the mutex:
  IntrusiveList<SharedWait> line_;
  std::size_t length_ = 0;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;

  // In a simulated world, instead of threads. What is planned there knows it, too: it may outlive the pool,
  // or be forgotten with its world.
  struct Simulated {
    bool has_pool = true;
    std::size_t busy = 0;  ///< so many jobs run, or are about to
  };
  class Busy;
  std::shared_ptr<Simulated> simulated_;
};

}  // namespace corering
