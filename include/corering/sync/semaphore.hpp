/// semaphore.hpp — lets a limited number of coroutines go on at a time.
#pragma once

#include <coroutine>
#include <cstddef>
#include <optional>
#include <utility>

#include <corering/engine/queued_wait.hpp>

namespace corering {

/// Hands out permits. Fair: the coroutine that has waited longest is served first, and nobody passes it, not
/// even by asking for less. Destroy it when nobody waits and every permit is back or kept.
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
      Permit taken(std::move(other));
      std::swap(semaphore_, taken.semaphore_);
      std::swap(count_, taken.count_);
      return *this;
    }
    ~Permit() { release(); }
    void release() noexcept {
      if (Semaphore* const semaphore = std::exchange(semaphore_, nullptr); semaphore != nullptr) {
        semaphore->give(count_);
      }
    }
    /// Uses the permits up: they do not come back. So a semaphore can count what a producer gives and
    /// consumers take.
    void keep() noexcept {
      CORERING_ASSERT(semaphore_ != nullptr, "permits were kept that had been released, kept or moved");
      semaphore_ = nullptr;
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
  /// Takes the permits if acquire() would not wait. Returns nothing if it would.
  [[nodiscard]] std::optional<Permit> try_acquire(std::size_t count = 1) noexcept {
    if (!take(count)) return std::nullopt;
    return Permit(*this, count);
  }

  /// Adds permits that nobody acquired, for example when a producer has made something. There are never more
  /// than a std::size_t can count: what is above that is dropped.
  void give(std::size_t count = 1) noexcept;

  /// Returns how many permits nobody has at the moment.
  [[nodiscard]] std::size_t available() const noexcept { return free_; }

 private:
  [[nodiscard]] bool take(std::size_t count) noexcept {
    owner_.check();
    if (!line_.empty() || free_ < count) return false;
    free_ -= count;
    return true;
  }
  void serve() noexcept;

  QueuedWait::Line line_;
  OnOneWorker owner_;
  std::size_t free_;
};

/// Waits for permits. See Semaphore::acquire().
class [[nodiscard]] Semaphore::Awaiter final : public QueuedWait {
 public:
  Awaiter(Semaphore& semaphore, std::size_t count) noexcept : semaphore_(semaphore), count_(count) {}
  bool await_ready() const noexcept { return semaphore_.take(count_); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    wait_in(semaphore_.line_, coroutine, promise_of(coroutine));
  }
  [[nodiscard]] Result<Permit> await_resume() noexcept {
    if (const Result<void> ours = finish(); !ours) return std::unexpected(ours.error());
    return Permit(semaphore_, count_);
  }
  void describe(std::string& text) const override { text += "a semaphore"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::semaphore; }

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
