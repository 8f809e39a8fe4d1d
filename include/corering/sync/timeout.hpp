/// timeout.hpp — deadlines: everything that is awaited under a deadline inherits it.
#pragma once

#include <optional>
#include <source_location>
#include <utility>

#include <corering/base/any_duration.hpp>
#include <corering/base/any_time_point.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/core/operation.hpp>
#include <corering/engine/scoped_await.hpp>

namespace corering {
namespace detail {

/// A deadline: a duration from the await, or a point in time.
struct Limit {
  std::optional<Duration> duration;
  TimePoint time;
  std::source_location where;
};

/// This scope is cancelled at its deadline, unless a deadline around it is nearer.
class DeadlineScope : public Scope {
 protected:
  explicit DeadlineScope(const Limit& limit) noexcept : limit_(limit), timer_(*this) {}

  void enter(PromiseBase* outer);
  void leave() noexcept;

  [[nodiscard]] bool has_passed() const noexcept { return static_cast<bool>(passed_); }

  /// Returns `error`, or this deadline's error if `error` only says that this deadline has cancelled it.
  [[nodiscard]] std::error_code own_error(const std::error_code& error) const noexcept {
    return has_passed() && is_cancellation(error) ? passed_.error() : error;
  }
  [[nodiscard]] std::error_code own_error() const noexcept { return passed_.error(); }

 private:
  struct Timer : TimerNode {
    explicit Timer(DeadlineScope& of) noexcept : scope(of) {}
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

  [[nodiscard]] ResultType await_resume() {
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
  void operator co_await() & = delete;  // write co_await std::move(it): it can be awaited once

  /// The same on `worker`, wherever it is awaited: it hops there and back as IoOperation::on() does. The time
  /// begins to run on `worker`.
  Task<ResultType> on(Worker& worker) && {
    return await_on<typename ResultType::value_type>(worker, std::move(*this));
  }

 private:
  Inner inner_;
  Limit limit_;
};

}  // namespace detail

/// Awaits `awaitable` (a task, an operation, a group, ...) on a worker for at most `duration`, counted from
/// the await. When the time is over, everything below is cancelled, and is still awaited to its end, so
/// nothing goes on without the caller's knowledge. If a deadline around this one is nearer, that one counts
/// instead. It costs no SQE and no allocation.
///
/// Yields Result<T> where the awaitable yields T or Result<T>. With zero or less the awaitable still starts,
/// and its result counts if it finishes without waiting. The longest duration of
/// a unit (hours::max()) means never.
/// resumes: same worker
/// errors: if a deadline has passed, an error that equals `std::errc::timed_out` and says how long that
///   deadline was and where it was set; it is the nearest one, which may be a caller's. If there is no memory
///   for its timer, throws std::bad_alloc, and the awaitable has not started
/// late success: a Result that is a success is passed on, so nothing that was read is lost; a T that is not a
///   Result is dropped
template <Awaitable Inner>
auto with_timeout(AnyDuration duration, Inner&& awaitable,
                  std::source_location where = std::source_location::current()) {
  return detail::Timeout<std::remove_cvref_t<Inner>>(std::forward<Inner>(awaitable),
                                                     {.duration = duration, .time = {}, .where = where});
}

/// The same with a point in time of CLOCK_MONOTONIC; max() means never.
template <Awaitable Inner>
auto with_deadline(AnyTimePoint deadline, Inner&& awaitable,
                   std::source_location where = std::source_location::current()) {
  return detail::Timeout<std::remove_cvref_t<Inner>>(
      std::forward<Inner>(awaitable), {.duration = std::nullopt, .time = deadline, .where = where});
}

}  // namespace corering
