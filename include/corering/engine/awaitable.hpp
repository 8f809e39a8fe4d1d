/// awaitable.hpp — awaiting by hand, for combinators: what the compiler does with `co_await`.
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include <corering/base/result.hpp>
#include <corering/engine/promise_base.hpp>

namespace corering {
namespace detail {

/// Returns the awaiter for an awaitable: what its `operator co_await` makes, a member or a free function, or
/// the awaitable itself.
template <class Awaitable>
decltype(auto) awaiter_of(Awaitable&& awaitable) {
  if constexpr (requires { std::forward<Awaitable>(awaitable).operator co_await(); }) {
    return std::forward<Awaitable>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<Awaitable>(awaitable)); }) {
    return operator co_await(std::forward<Awaitable>(awaitable));
  } else {
    return std::forward<Awaitable>(awaitable);
  }
}

template <class Awaitable>
using awaiter_t = decltype(awaiter_of(std::declval<Awaitable>()));

/// Begins to await. Returns what must be resumed now: `awaiting` itself if there is nothing to wait for, what
/// the awaiter starts, or null if the awaiter waits.
template <class Awaiter>
std::coroutine_handle<> begin_await(Awaiter& awaiter, std::coroutine_handle<PromiseBase> awaiting) {
  if (awaiter.await_ready()) return awaiting;
  using Suspended = decltype(awaiter.await_suspend(awaiting));
  if constexpr (std::is_void_v<Suspended>) {
    awaiter.await_suspend(awaiting);
    return nullptr;
  } else if constexpr (std::same_as<Suspended, bool>) {
    if (awaiter.await_suspend(awaiting)) return nullptr;
    return awaiting;
  } else {
    return awaiter.await_suspend(awaiting);
  }
}

/// Result<T> for T, and for Result<T> too.
template <class T>
struct AsResult {
  using type = Result<T>;
};
template <class T>
struct AsResult<Result<T>> {
  using type = Result<T>;
};

}  // namespace detail

/// The type of what `co_await awaitable` yields.
template <class Awaitable>
using await_result_t =
    decltype(std::declval<std::remove_reference_t<detail::awaiter_t<Awaitable>>&>().await_resume());

/// Something that can be awaited through its operator co_await, or that is an awaiter.
template <class T>
concept Awaitable = requires(std::remove_reference_t<detail::awaiter_t<T>>& awaiter) {
  { awaiter.await_ready() } -> std::convertible_to<bool>;
  awaiter.await_resume();
};

}  // namespace corering
