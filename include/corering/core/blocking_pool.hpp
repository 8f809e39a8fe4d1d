/// blocking_pool.hpp — threads for what io_uring cannot do without blocking.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <sched.h>
#include <thread>
#include <vector>

#include <corering/base/result.hpp>
#include <corering/engine/shared_wait.hpp>

namespace corering {

/// One piece of work that blocks. Lives in the frame of the coroutine that waits for it.
class BlockingJob : public SharedWait {
 public:
  /// On a thread of the pool; throws nothing.
  virtual void run() noexcept = 0;
};

struct BlockingPoolOptions {
  /// Threads at most; each is started when there is work and every other one is busy, and stays.
  std::size_t max_threads = 16;
};

/// A bounded number of threads and a line of jobs, first in, first out; the line itself is not bounded,
/// because a job lies in the frame of who waits for it. Its threads run on the processors that are
/// open to the thread that makes it, also when a pinned worker starts them. Shared by any number of workers.
/// Destroyed when nobody waits for it any more; the destructor joins its threads. See offload()
/// (sync/offload.hpp).
class BlockingPool {
 public:
  explicit BlockingPool(BlockingPoolOptions options = {}) noexcept;
  BlockingPool(BlockingPool&&) = delete;
  ~BlockingPool();

  /// Puts the job in line. When no thread can be started and there is none, the errno (EAGAIN), and nothing
  /// has happened.
  Result<void> submit(BlockingJob& job) noexcept;

  /// True: the job was still in line and will not run.
  [[nodiscard]] bool withdraw(BlockingJob& job) noexcept;

  [[nodiscard]] std::size_t threads() const noexcept;

 private:
  void live() noexcept;

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
};

}  // namespace corering
