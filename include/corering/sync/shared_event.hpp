/// shared_event.hpp — an event that any thread may set, reset and wait for.
#pragma once

#include <coroutine>
#include <mutex>

#include <corering/engine/queued_wait.hpp>
#include <corering/engine/shared_wait.hpp>

namespace corering {

/// As Event, for any number of workers and plain threads. What was written before set() is visible to whom it
/// lets go on. It may be destroyed as soon as every wait has returned, even while set() is on its way out.
class SharedEvent {
 public:
  explicit SharedEvent(bool set = false) noexcept : set_(set) {}
  SharedEvent(SharedEvent&&) = delete;

  [[nodiscard]] bool is_set() const noexcept;

  /// Everybody who waits goes on, each on its own worker or thread; whoever comes later does not wait.
  void set() noexcept;
  void reset() noexcept;

  class Awaiter;
  /// For coroutines, on a worker: waits until it is set. Resumes on that worker. If the scope is cancelled
  /// meanwhile, fails with its reason.
  auto wait() noexcept { return WaitOperation<Awaiter, SharedEvent>(*this); }

  /// For plain threads: blocks until it is set, or until the deadline; then false.
  void wait_blocking() noexcept { (void)wait_blocking_until(TimePoint::max()); }
  [[nodiscard]] bool wait_blocking_until(TimePoint deadline) noexcept;

 private:
  class Blocked;

  [[nodiscard]] bool line_up(Awaiter& wait) noexcept;
  [[nodiscard]] bool step_out(SharedWait& wait) noexcept;

  mutable std::mutex mutex_;
  // Under the mutex:
  IntrusiveList<SharedWait> line_;
  bool set_;
};

/// Waits for a shared event. See SharedEvent::wait().
class [[nodiscard]] SharedEvent::Awaiter final : public SharedWait {
 public:
  explicit Awaiter(SharedEvent& event) noexcept : event_(event) {}
  bool await_ready() const noexcept { return event_.is_set(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (suspend(coroutine, promise_of(coroutine)) && !event_.line_up(*this)) wake();
  }
  Result<void> await_resume() noexcept { return finish(); }

 private:
  Wait* cancel(const CancelCause&) noexcept override {
    if (event_.step_out(*this)) resume_cancelled();
    return nullptr;
  }
  void describe(std::string& text) const override { text += "a shared event"; }

  SharedEvent& event_;
};

}  // namespace corering
