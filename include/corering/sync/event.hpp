/// event.hpp — a condition that coroutines of one worker wait for.
#pragma once

#include <coroutine>

#include <corering/engine/queued_wait.hpp>

namespace corering {

/// Set or not, until somebody changes it. Made anywhere, used on one worker, without atomics. Nobody may wait
/// when it is destroyed. Since nothing else runs on a worker between two co_awaits, `while (!condition)
/// co_await event.wait()` is all that a condition variable would be here, and there is none.
class Event {
 public:
  explicit Event(bool set = false) noexcept : set_(set) {}
  Event(Event&&) = delete;

  [[nodiscard]] bool is_set() const noexcept { return set_; }

  /// Everybody who waits becomes ready, in the order of waiting, and whoever comes later does not wait.
  void set() noexcept;

  /// From now on they wait again. Those that set() has made ready stay so.
  void reset() noexcept { set_ = false; }

  /// Lets go on who waits now, without setting it.
  void notify_all() noexcept;
  /// ... or only who has waited longest.
  void notify_one() noexcept;

  class Awaiter;
  /// Waits until it is set; does not suspend when it is. If the scope is cancelled meanwhile, fails with its
  /// reason.
  WaitOperation<Awaiter, Event> wait() noexcept { return WaitOperation<Awaiter, Event>(*this); }

 private:
  QueuedWait::Line line_;
  OnOneWorker owner_;
  bool set_;
};

/// Waits for an event. See Event::wait().
class [[nodiscard]] Event::Awaiter final : public QueuedWait {
 public:
  explicit Awaiter(Event& event) noexcept : event_(event) {}
  bool await_ready() const noexcept {
    event_.owner_.check();
    return event_.set_;
  }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    wait_in(event_.line_, coroutine, promise_of(coroutine));
  }
  Result<void> await_resume() noexcept { return finish(); }
  void describe(std::string& text) const override { text += "an event"; }

 private:
  Event& event_;
};

}  // namespace corering
