/// sleep.hpp — waiting for a time.
#pragma once

#include <coroutine>

#include <corering/base/any_duration.hpp>
#include <corering/base/any_time_point.hpp>
#include <corering/base/assert.hpp>
#include <corering/base/outside.hpp>
#include <corering/base/result.hpp>
#include <corering/core/operation.hpp>
#include <corering/engine/here.hpp>

namespace corering {

/// Waits for a point in time. See SleepOperation.
class [[nodiscard]] SleepAwaiter : private Wait {
 public:
  explicit SleepAwaiter(TimePoint deadline) noexcept : deadline_(deadline), timer_(*this) {}
  SleepAwaiter(SleepAwaiter&&) = delete;
  ~SleepAwaiter() override { CORERING_ASSERT(!coroutine_, "a coroutine was destroyed while it slept"); }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    suspend(coroutine, promise_of(coroutine));
  }
  [[nodiscard]] Result<void> await_resume() noexcept;

 private:
  struct Timer : TimerNode {
    explicit Timer(SleepAwaiter& of) noexcept : sleeper(of) {}
    SleepAwaiter& sleeper;
  };

  void suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;
  Wait* cancel(const CancelCause& cause) noexcept override;
  void describe(std::string& text) const override;
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::time; }

  TimePoint deadline_;
  Timer timer_;
  std::coroutine_handle<> coroutine_;
  bool cancelled_ = false;
  bool no_memory_ = false;
};

/// Waits for a point in time, when it is awaited on a worker. It costs no SQE.
/// suspends: always; if the time has passed, it resumes at once, in a coming turn
/// resumes: same worker, at the time or a little later, never earlier; TimePoint::max() means never
/// cancelled: fails with the scope's reason · errors: ENOMEM
class [[nodiscard("sleeping means awaiting")]] SleepOperation {
 public:
  explicit SleepOperation(TimePoint deadline) noexcept : deadline_(deadline) {}
  SleepAwaiter operator co_await() const noexcept { return SleepAwaiter(deadline_); }

  /// The same on `worker`, wherever it is awaited: it hops there and back as IoOperation::on() does.
  Task<Result<void>> on(Worker& worker) const { return detail::await_on<void>(worker, *this); }

 private:
  TimePoint deadline_;
};

/// Waits until `deadline`, a time of CLOCK_MONOTONIC.
inline SleepOperation sleep_until(AnyTimePoint deadline) noexcept { return SleepOperation(deadline); }

/// Waits at least `duration` from now, in any unit; the longest one (hours::max()) means never. With zero or
/// less it lets everything that is ready run first.
inline SleepOperation sleep_for(AnyDuration duration) noexcept {
  return SleepOperation(saturating_add(os::now(), duration));
}

}  // namespace corering
