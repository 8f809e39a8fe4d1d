/// this_task.hpp — what a coroutine may ask about itself.
#pragma once

#include <corering/base/time.hpp>
#include <corering/engine/here.hpp>

namespace corering {
namespace detail {

class CancelledQuestion {
 public:
  CancelledQuestion() noexcept = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    answer_ = here::is_cancelled_by_now(promise_of(coroutine));
    return false;
  }
  bool await_resume() const noexcept { return answer_; }

 private:
  bool answer_ = false;
};

class DeadlineQuestion {
 public:
  DeadlineQuestion() noexcept = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    const PromiseBase* const promise = promise_of(coroutine);
    if (promise != nullptr && promise->scope != nullptr) answer_ = promise->scope->deadline();
    return false;
  }
  TimePoint await_resume() const noexcept { return answer_; }

 private:
  TimePoint answer_ = TimePoint::max();
};

}  // namespace detail

/// `co_await is_cancelled()`: returns true when any wait that this coroutine begins would be refused, because
/// its scope is cancelled, its deadline has passed, or its worker stops. It does not suspend: it looks at the
/// clock and at what other threads have asked for, which takes some 50 ns. A loop that computes without
/// waiting should ask this now and then.
[[nodiscard]] inline detail::CancelledQuestion is_cancelled() noexcept { return {}; }

/// `co_await current_deadline()`: returns the nearest deadline that applies to this coroutine, or
/// TimePoint::max(). It does not suspend.
[[nodiscard]] inline detail::DeadlineQuestion current_deadline() noexcept { return {}; }

}  // namespace corering
