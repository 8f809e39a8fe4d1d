/// sleep.hpp — waiting for a time.
#pragma once

#include <cerrno>
#include <coroutine>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/base/time.hpp>
#include <corering/core/engine.hpp>
#include <corering/core/operation.hpp>

namespace corering {

/// Waits for a point in time. See SleepOperation.
class [[nodiscard]] SleepAwaiter {
 public:
  explicit SleepAwaiter(TimePoint deadline) noexcept : deadline_(deadline) {}
  SleepAwaiter(SleepAwaiter&&) = delete;
  ~SleepAwaiter() { CORERING_ASSERT(!waiting_, "a coroutine was destroyed while it slept"); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept {
    timer_.coroutine = coroutine;
    waiting_ = true;
    engine::arm(timer_, deadline_);
  }
  Result<void> await_resume() noexcept {
    waiting_ = false;
    if (timer_.cancelled) return failure(ECANCELED);
    return {};
  }

 private:
  TimePoint deadline_;
  TimerNode timer_;
  bool waiting_ = false;
};

/// A time to wait for; awaited on a worker it resumes there, at the deadline or a little later, never
/// earlier; at once, in a coming turn, when it has passed. TimePoint::max() means never. ECANCELED when the
/// worker stops first. Costs no SQE.
class [[nodiscard("sleeping means awaiting")]] SleepOperation {
 public:
  explicit SleepOperation(TimePoint deadline) noexcept : deadline_(deadline) {}
  SleepAwaiter operator co_await() const noexcept { return SleepAwaiter(deadline_); }

  /// The same on `worker`, wherever it is awaited; hops there and back as IoOperation::on() does.
  Task<Result<void>> on(Worker& worker, std::source_location where = std::source_location::current()) const {
    return detail::await_on<void>(worker, *this, where);
  }

 private:
  TimePoint deadline_;
};

/// Waits until `deadline`, a time of CLOCK_MONOTONIC.
inline SleepOperation sleep_until(TimePoint deadline) noexcept { return SleepOperation(deadline); }

/// Waits at least `duration` from now; zero or less yields to whatever is ready.
inline SleepOperation sleep_for(Duration duration) noexcept {
  return SleepOperation(saturating_add(Clock::now(), duration));
}

}  // namespace corering
