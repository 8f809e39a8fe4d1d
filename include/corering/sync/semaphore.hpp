/// semaphore.hpp — lets a limited number of coroutines go on at a time.
#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

#include <corering/engine/queued_wait.hpp>

namespace corering {

/// Hands out permits. Fair: the coroutine that has waited longest is served first, and nobody passes it, not
/// even by asking for less. Destroy it when nobody waits and all permits are back.
/// thread: one worker, as with Mutex
class Semaphore {
 public:
  explicit Semaphore(std::size_t permits) noexcept : free_(permits) {}
  Semaphore(Semaphore&&) = delete;
  ~Semaphore() {
    CORERING_ASSERT(line_.empty(), "a semaphore was destroyed while a coroutine waited for it");
  }

  /// Has permits until it is destroyed or release() is called.
  class [[nodiscard]] Permit {
   public:
    Permit(Permit&& other) noexcept
        : semaphore_(std::exchange(other.semaphore_, nullptr)), count_(other.count_) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(semaphore_, other.semaphore_);
      std::swap(count_, other.count_);
      return *this;
    }
    ~Permit() { release(); }
    void release() noexcept {
      if (Semaphore* const semaphore = std::exchange(semaphore_, nullptr); semaphore != nullptr) {
        semaphore->give(count_);
      }
    }

   private:
    friend class Semaphore;
    Permit(Semaphore& semaphore, std::size_t count) noexcept : semaphore_(&semaphore), count_(count) {}
    Semaphore* semaphore_;
    std::size_t count_;
  };

  class Awaiter;
  class Operation;
  /// Waits for `count` permits, all at once: Result<Permit>.
  /// suspends: unless they are free and nobody waits · resumes: same worker
  /// cancelled: fails with the scope's reason, without permits
  /// too many: a request for more than there are in all waits until it is cancelled
  Operation acquire(std::size_t count = 1) noexcept;

  /// Adds permits that nobody acquired, for example when a producer has made something.
  void give(std::size_t count = 1) noexcept;

  /// Returns how many permits nobody has at the moment.
  [[nodiscard]] std::size_t available() const noexcept { return free_; }

 private:
  void serve() noexcept;

  QueuedWait::Line line_;
  OnOneWorker owner_;
  std::size_t free_;
};

/// Waits for permits. See Semaphore::acquire().
class [[nodiscard]] Semaphore::Awaiter final : public QueuedWait {
 public:
  Awaiter(Semaphore& semaphore, std::size_t count) noexcept : semaphore_(semaphore), count_(count) {}
  bool await_ready() const noexcept {
    semaphore_.owner_.check();
    if (!semaphore_.line_.empty() || semaphore_.free_ < count_) return false;
    semaphore_.free_ -= count_;
    return true;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    wait_in(semaphore_.line_, coroutine, promise_of(coroutine));
  }
  Result<Permit> await_resume() noexcept {
    if (const Result<void> ours = finish(); !ours) return std::unexpected(ours.error());
    return Permit(semaphore_, count_);
  }
  void describe(std::string& text) const override { text += "a semaphore"; }

 private:
  friend class Semaphore;
  // It may have kept smaller requests waiting.
  void gave_up() noexcept override { semaphore_.serve(); }

  Semaphore& semaphore_;
  std::size_t count_;
};

class [[nodiscard("it does nothing until it is awaited")]] Semaphore::Operation {
 public:
  Operation(Semaphore& semaphore, std::size_t count) noexcept : semaphore_(&semaphore), count_(count) {}
  Awaiter operator co_await() const noexcept { return Awaiter(*semaphore_, count_); }

 private:
  Semaphore* semaphore_;
  std::size_t count_;
};

inline Semaphore::Operation Semaphore::acquire(std::size_t count) noexcept { return Operation(*this, count); }

}  // namespace corering
