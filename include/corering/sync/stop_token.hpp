/// stop_token.hpp — cancellation by a std::stop_token, from any thread.
#pragma once

#include <optional>
#include <stop_token>
#include <utility>

#include <corering/engine/cancel_protocol.hpp>
#include <corering/engine/scoped_await.hpp>

namespace corering {
namespace detail {

class StopTokenScope : public Scope {
 protected:
  explicit StopTokenScope(std::stop_token token) noexcept : token_(std::move(token)) {}

  void enter(PromiseBase* outer) noexcept {
    open(outer);
    callback_.emplace(std::move(token_), Cancel(*this));
  }
  // This waits for a call that is under way on another thread. After it nobody knows the scope.
  void leave() noexcept { callback_.reset(); }

 private:
  struct Cancel {
    explicit Cancel(StopTokenScope& what) noexcept : scope(what) {}
    void operator()() const noexcept { CancelProtocol::request(scope, {.reason = CancelReason::asked()}); }
    StopTokenScope& scope;
  };

  std::stop_token token_;
  std::optional<std::stop_callback<Cancel>> callback_;
};

template <class Inner>
class [[nodiscard]] StoppableAwaiter : public ScopedAwaiter<StopTokenScope, Inner> {
 public:
  StoppableAwaiter(Inner&& inner, std::stop_token token)
      : ScopedAwaiter<StopTokenScope, Inner>(std::forward<Inner>(inner), std::move(token)) {}
  await_result_t<Inner> await_resume() { return this->inner_result(); }
  [[nodiscard]] await_result_t<Inner> await_resume()
    requires is_result<await_result_t<Inner>>
  {
    return this->inner_result();
  }
};

template <class Inner>
class [[nodiscard("it does nothing until it is awaited")]] Stoppable {
 public:
  Stoppable(Inner inner, std::stop_token token) : inner_(std::move(inner)), token_(std::move(token)) {}
  StoppableAwaiter<Inner> operator co_await() && {
    return StoppableAwaiter<Inner>(std::move(inner_), std::move(token_));
  }
  void operator co_await() & = delete;  // write co_await std::move(it): it can be awaited once

 private:
  Inner inner_;
  std::stop_token token_;
};

}  // namespace detail

/// Awaits `awaitable` on a worker, and cancels everything below it when a stop is requested of `token`.
/// Yields what `awaitable` yields: operations that were cancelled say ECANCELED.
/// resumes: same worker, when `awaitable` has ended
/// thread: any thread may request the stop; request_stop() never waits for the worker
template <Awaitable Inner>
auto with_stop_token(std::stop_token token, Inner&& awaitable) {
  return detail::Stoppable<std::remove_cvref_t<Inner>>(std::forward<Inner>(awaitable), std::move(token));
}

}  // namespace corering
