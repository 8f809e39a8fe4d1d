/// sleep.hpp — waiting for a time.
#pragma once

#include <cerrno>
#include <coroutine>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/base/time.hpp>
#include <corering/core/engine.hpp>

namespace corering {

/// Resumes on the same worker at `deadline` or a little later, never earlier; at once, in a coming turn, when
/// it has passed. TimePoint::max() means never. ECANCELED when the worker stops first. Costs no SQE.
class [[nodiscard("sleeping means awaiting")]] SleepAwaiter {
 public:
  explicit SleepAwaiter(TimePoint deadline) noexcept : deadline_(deadline) {}
  SleepAwaiter(SleepAwaiter&&) = delete;
  ~SleepAwaiter() {
    CORERING_ASSERT(timer_.place == TimerNode::not_armed, "a coroutine was destroyed while it slept");
  }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept {
    timer_.coroutine = coroutine;
    engine::arm(timer_, deadline_);
  }
  Result<void> await_resume() const noexcept {
    if (timer_.cancelled) return failure(ECANCELED);
    return {};
  }

 private:
  TimePoint deadline_;
  TimerNode timer_;
};

/// Waits until `deadline`, a time of CLOCK_MONOTONIC. On a worker only. See SleepAwaiter.
inline SleepAwaiter sleep_until(TimePoint deadline) noexcept { return SleepAwaiter(deadline); }

/// Waits at least `duration` from now; zero or less yields to whatever is ready.
inline SleepAwaiter sleep_for(Duration duration) noexcept {
  return SleepAwaiter(saturating_add(Clock::now(), duration));
}

}  // namespace corering
