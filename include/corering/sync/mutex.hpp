/// mutex.hpp — lets one coroutine at a time use something, over its co_awaits.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include <corering/engine/queued_wait.hpp>

namespace corering {

/// Protects something that is held over a co_await; without a co_await in between no mutex is needed. Fair:
/// it is handed over in the order of asking. Destroy it when nobody has it or waits for it.
/// thread: made anywhere, used on one worker, without atomics
class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(Mutex&&) = delete;
  ~Mutex() { CORERING_ASSERT(!locked_, "a mutex was destroyed while it was locked"); }

  /// Has the mutex until the guard is destroyed or unlock() is called.
  class [[nodiscard]] Guard {
   public:
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&& other) noexcept {
      Guard taken(std::move(other));
      std::swap(mutex_, taken.mutex_);
      return *this;
    }
    ~Guard() { unlock(); }
    void unlock() noexcept {
      if (Mutex* const mutex = std::exchange(mutex_, nullptr); mutex != nullptr) mutex->unlock();
    }

   private:
    friend class Mutex;
    explicit Guard(Mutex& mutex) noexcept : mutex_(&mutex) {}
    Mutex* mutex_;
  };

  class Awaiter;
  /// Waits until the mutex is handed to the caller: Result<Guard>.
  /// suspends: unless it is free · resumes: same worker, in the order of asking
  /// cancelled: fails with the scope's reason, without the lock
  WaitOperation<Awaiter, Mutex> lock() noexcept { return WaitOperation<Awaiter, Mutex>(*this); }

  /// Takes the mutex if it is free, without waiting. Returns nothing if it is not.
  [[nodiscard]] std::optional<Guard> try_lock() noexcept {
    owner_.check();
    if (std::exchange(locked_, true)) return std::nullopt;
    return Guard(*this);
  }

  [[nodiscard]] bool is_locked() const noexcept { return locked_; }

 private:
  void unlock() noexcept;

  QueuedWait::Line line_;
  OnOneWorker owner_;
  bool locked_ = false;
};

/// Waits for a mutex. See Mutex::lock().
class [[nodiscard]] Mutex::Awaiter final : public QueuedWait {
 public:
  explicit Awaiter(Mutex& mutex) noexcept : mutex_(mutex) {}
  bool await_ready() const noexcept {
    mutex_.owner_.check();
    if (mutex_.locked_) return false;
    return mutex_.locked_ = true;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    wait_in(mutex_.line_, coroutine, promise_of(coroutine));
  }
  [[nodiscard]] Result<Guard> await_resume() noexcept {
    if (const Result<void> ours = finish(); !ours) return std::unexpected(ours.error());
    return Guard(mutex_);
  }
  void describe(std::string& text) const override { text += "a mutex"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::mutex; }

 private:
  Mutex& mutex_;
};

}  // namespace corering
