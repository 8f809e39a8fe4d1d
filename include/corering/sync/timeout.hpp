/// timeout.hpp — deadlines, which whatever is awaited under them inherits.
#pragma once

#include <optional>
#include <source_location>
#include <utility>

#include <corering/base/time.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/core/operation.hpp>
#include <corering/engine/scoped_await.hpp>

namespace corering {
namespace detail {

/// When a deadline is: so long after it is awaited, or at a time.
struct Limit {
  std::optional<Duration> duration;
  TimePoint time;
  std::source_location where;
};

/// A scope that is cancelled at its deadline, unless one around it is nearer.
class DeadlineScope : public Scope {
 protected:
  explicit DeadlineScope(const Limit& limit) noexcept : limit_(limit), timer_(*this) {}

  void enter(PromiseBase* outer) noexcept;
  void leave() noexcept;

  [[nodiscard]] bool has_passed() const noexcept { return static_cast<bool>(passed_); }

  /// `error`, or this deadline's if it is only a word for having been cancelled by it.
  [[nodiscard]] std::error_code own_error(const std::error_code& error) const noexcept {
    return has_passed() && is_cancellation(error) ? passed_.error() : error;
  }
  [[nodiscard]] std::error_code own_error() const noexcept { return passed_.error(); }

 private:
  struct Timer : TimerNode {
    explicit Timer(DeadlineScope& scope) noexcept : scope(scope) {}
    DeadlineScope& scope;
  };
  void pass() noexcept;

  Limit limit_;
  Timer timer_;
  CancelReason passed_;
};

template <class Inner>
class [[nodiscard]] TimeoutAwaiter : public ScopedAwaiter<DeadlineScope, Inner> {
 public:
  using T = await_result_t<Inner>;
  using ResultType = typename AsResult<std::remove_cvref_t<T>>::type;

  TimeoutAwaiter(Inner&& inner, const Limit& limit)
      : ScopedAwaiter<DeadlineScope, Inner>(std::forward<Inner>(inner), limit) {}

  ResultType await_resume() {
    if constexpr (std::is_void_v<T>) {
      this->inner_result();
      if (this->has_passed()) return std::unexpected(this->own_error());
      return {};
    } else {
      ResultType result = this->inner_result();
      if constexpr (is_result<std::remove_cvref_t<T>>) {
        if (!result) return std::unexpected(this->own_error(result.error()));
      } else {
        if (this->has_passed()) return std::unexpected(this->own_error());
      }
      return result;
    }
  }
};

template <class Inner>
class [[nodiscard("a deadline does nothing until it is awaited")]] Timeout {
 public:
  using ResultType = typename TimeoutAwaiter<Inner>::ResultType;

  Timeout(Inner inner, const Limit& limit) : inner_(std::move(inner)), limit_(limit) {}

  TimeoutAwaiter<Inner> operator co_await() && { return TimeoutAwaiter<Inner>(std::move(inner_), limit_); }

  /// The same on `worker`, wherever it is awaited; hops there and back as IoOperation::on() does. The time
  /// begins to run over there.
  Task<ResultType> on(Worker& worker) && {
    return await_on<typename ResultType::value_type>(worker, std::move(*this));
  }

 private:
  Inner inner_;
  Limit limit_;
};

}  // namespace detail

/// Awaits `awaitable` (a task, an operation, a group, ...) for at most `duration`, from when this is awaited,
/// on a worker, and resumes there. Everything below is cancelled when the time is over, and is still awaited
/// to its end, so nothing goes on behind the caller's back. A deadline around this one that is nearer counts
/// instead.
///
/// Yields Result<T> where the awaitable yields T or Result<T>. The error of a deadline that has passed says
/// how long it was and where it was set, and equals `std::errc::timed_out`; it is the nearest one's, which
/// may be a caller's. A Result that was a success all the same is passed on: nothing that was read is lost. A
/// T that is no Result is dropped then. Zero or less still lets begin and, if it can, end what needs no
/// waiting. Costs no SQE and no allocation.
template <Awaitable Inner>
auto with_timeout(Duration duration, Inner&& awaitable,
                  std::source_location where = std::source_location::current()) {
  return detail::Timeout<std::remove_cvref_t<Inner>>(std::forward<Inner>(awaitable),
                                                     {.duration = duration, .time = {}, .where = where});
}

/// The same with a point in time, of CLOCK_MONOTONIC; max() is never.
template <Awaitable Inner>
auto with_deadline(TimePoint deadline, Inner&& awaitable,
                   std::source_location where = std::source_location::current()) {
  return detail::Timeout<std::remove_cvref_t<Inner>>(
      std::forward<Inner>(awaitable), {.duration = std::nullopt, .time = deadline, .where = where});
}

}  // namespace corering
