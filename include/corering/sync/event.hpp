/// event.hpp — a condition that coroutines of one worker wait for.
#pragma once

#include <coroutine>

#include <corering/engine/queued_wait.hpp>

namespace corering {

/// An event is set or not set, and stays so until somebody changes it. Nobody may wait when it is destroyed.
/// There is no condition variable, because nothing else runs on a worker between two co_awaits:
/// `while (!condition) co_await event.wait()` does all that one would do.
/// thread: made anywhere, used on one worker, without atomics
class Event {
 public:
  explicit Event(bool set = false) noexcept : set_(set) {}
  Event(Event&&) = delete;
  ~Event() { CORERING_ASSERT(line_.empty(), "an event was destroyed while a coroutine waited for it"); }

  [[nodiscard]] bool is_set() const noexcept { return set_; }

  /// Makes every coroutine that waits ready, in the order of waiting. They run later, from the worker's loop
  /// and after what is ready there, never inside this call. A later wait() does not wait.
  void set() noexcept;

  /// From now on wait() waits again. Coroutines that set() has made ready stay ready.
  void reset() noexcept { set_ = false; }

  /// Lets every coroutine that waits now go on, later as with set(), without setting the event.
  void notify_all() noexcept;
  /// The same, but only for the coroutine that has waited longest.
  void notify_one() noexcept;

  class Awaiter;
  /// Waits until the event is set, or until a notify function lets it go on.
  /// suspends: unless it is set · resumes: same worker
  /// cancelled: fails with the scope's reason
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
  [[nodiscard]] Result<void> await_resume() noexcept { return finish(); }
  void describe(std::string& text) const override { text += "an event"; }
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::event; }

 private:
  Event& event_;
};

}  // namespace corering
