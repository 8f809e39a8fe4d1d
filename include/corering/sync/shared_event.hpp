/// shared_event.hpp — an event that any thread may set, reset and wait for.
#pragma once

#include <coroutine>
#include <mutex>

#include <corering/base/any_time_point.hpp>
#include <corering/engine/queued_wait.hpp>
#include <corering/engine/shared_wait.hpp>

namespace corering {

/// An Event for any number of workers and plain threads. What was written before set() is visible to
/// everybody that set() lets go on. You may destroy it as soon as every wait has returned, even while set()
/// has not quite returned.
class SharedEvent {
 public:
  explicit SharedEvent(bool set = false) noexcept : set_(set) {}
  SharedEvent(SharedEvent&&) = delete;

  [[nodiscard]] bool is_set() const noexcept;

  /// Lets everybody who waits go on, each on its own worker or thread. A later wait does not wait.
  void set() noexcept;
  void reset() noexcept;

  class Awaiter;
  /// Waits until the event is set.
  /// suspends: unless it is set · resumes: same worker
  /// cancelled: fails with the scope's reason
  /// thread: coroutines on a worker
  auto wait() noexcept { return WaitOperation<Awaiter, SharedEvent>(*this); }

  /// For plain threads: these block until the event is set. wait_blocking_until() returns false if the
  /// deadline comes first.
  void wait_blocking() noexcept { (void)wait_blocking_until(TimePoint::max()); }
  [[nodiscard]] bool wait_blocking_until(AnyTimePoint deadline) noexcept;

 private:
  class Blocked;

  [[nodiscard]] bool line_up(Awaiter& wait) noexcept;
  [[nodiscard]] bool step_out(SharedWait& wait) noexcept;

  mutable std::mutex mutex_;
  // The mutex guards these:
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
  [[nodiscard]] Result<void> await_resume() noexcept { return finish(); }

 private:
  Wait* cancel(const CancelCause&) noexcept override {
    if (event_.step_out(*this)) resume_cancelled();
    return nullptr;
  }
  void describe(std::string& text) const override { text += "a shared event"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::event; }

  SharedEvent& event_;
};

}  // namespace corering
