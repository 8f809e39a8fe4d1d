/// blocking_pool.cpp — a thread of the pool: take a job, run it, hand its coroutine back.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <pthread.h>
#include <system_error>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/core/blocking_pool.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>

namespace corering {

BlockingPool::BlockingPool(BlockingPoolOptions options) noexcept
    : max_threads_(std::max<std::size_t>(options.max_threads, 1)) {
  CPU_ZERO(&processors_);
  sched_getaffinity(0, sizeof processors_, &processors_);
}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    CORERING_ASSERT(line_.empty(), "a pool was destroyed while coroutines waited for it");
    stopping_ = true;
  }
  if (simulated_ != nullptr) simulated_->has_pool = false;
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<void> BlockingPool::submit(BlockingJob& job) noexcept {
  if (Outside* const world = os::world(); world != nullptr) {
    if (simulated_ == nullptr) simulated_ = std::make_shared<Simulated>();
    line_.push_back(job);
    ++length_;
    if (simulated_->busy < max_threads_) begin_in(*world);
    return {};
  }
  {
    const std::lock_guard lock(mutex_);
    if (length_ >= idle_ && threads_.size() < max_threads_) {
      try {
        threads_.emplace_back([this] { live(); });
      } catch (const std::system_error&) {
        // The threads that exist will take the job.
        if (threads_.empty()) return std::unexpected(setup_error(SetupStep::thread, EAGAIN));
      } catch (const std::bad_alloc&) {
        if (threads_.empty()) return failure(ENOMEM);
      }
    }
    line_.push_back(job);
    ++length_;
  }
  work_.notify_one();
  return {};
}

bool BlockingPool::withdraw(BlockingJob& job) noexcept {
  const std::lock_guard lock(mutex_);
  if (!job.is_linked()) return false;
  job.unlink();
  --length_;
  return true;
}

std::size_t BlockingPool::threads() const noexcept {
  const std::lock_guard lock(mutex_);
  return threads_.size();
}

void BlockingPool::live() noexcept {
  pthread_setname_np(pthread_self(), "corering-block");
  pthread_setaffinity_np(pthread_self(), sizeof processors_, &processors_);
  // Signals are for the program's own threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    work_.wait(lock, [this] { return stopping_ || !line_.empty(); });
    --idle_;
    if (line_.empty()) return;
    auto& job = static_cast<BlockingJob&>(line_.pop_front());
    --length_;
    lock.unlock();
    run(job);
    lock.lock();
  }
}

void BlockingPool::run(BlockingJob& job) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(trace::Kind::popped, trace::no_opcode, static_cast<const Wait*>(&job));
  job.run();
  job.wake();  // after this the job is gone
}

// ---- in a simulated world ----

/// One of the jobs that run at the same time.
class BlockingPool::Busy {
 public:
  explicit Busy(std::shared_ptr<Simulated> pool) noexcept : pool_(std::move(pool)) { ++pool_->busy; }
  Busy(Busy&&) noexcept = default;
  ~Busy() {
    if (pool_ != nullptr) --pool_->busy;
  }
  [[nodiscard]] bool has_pool() const noexcept { return pool_->has_pool; }

 private:
  std::shared_ptr<Simulated> pool_;
};

// As with threads, a job can be withdrawn until it begins, and then it has to end. Until then somebody waits
// for it, so the pool is there.
void BlockingPool::begin_in(Outside& world) {
  world.run_elsewhere([this, &world, busy = Busy(simulated_)]() mutable {
    if (!busy.has_pool() || line_.empty()) return;
    auto& job = static_cast<BlockingJob&>(line_.pop_front());
    --length_;
    world.run_elsewhere([this, &world, &job, its_end = std::optional(std::move(busy))]() mutable {
      its_end.reset();
      if (!line_.empty()) begin_in(world);
      run(job);  // perhaps the pool is gone after this
    });
  });
}

}  // namespace corering
