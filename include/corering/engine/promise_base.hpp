/// promise_base.hpp — what a coroutine of the library knows about its place.
#pragma once

#include <concepts>
#include <coroutine>
#include <source_location>
#include <type_traits>

#include <corering/base/version.hpp>

namespace corering {

class Scope;

namespace detail {

/// Stands for an awaiter that lives elsewhere in the coroutine's frame. g++ 12 copies an awaiter that
/// await_transform returns by reference; this one may be copied.
template <class Awaiter>
class AwaiterReference {
 public:
  explicit AwaiterReference(Awaiter& awaiter) noexcept : awaiter_(awaiter) {}
  bool await_ready() { return awaiter_.await_ready(); }
  template <class Promise>
  decltype(auto) await_suspend(std::coroutine_handle<Promise> coroutine) {
    return awaiter_.await_suspend(coroutine);
  }
  decltype(auto) await_resume() { return awaiter_.await_resume(); }

 private:
  Awaiter& awaiter_;
};

/// Makes what await_transform returns for an awaitable that needs no special treatment.
template <class Awaitable>
decltype(auto) pass_through(Awaitable&& awaitable) noexcept {
  if constexpr (requires { awaitable.await_ready(); }) {
    return AwaiterReference<std::remove_reference_t<Awaitable>>(awaitable);
  } else {
    return static_cast<Awaitable&&>(awaitable);
  }
}

}  // namespace detail

/// The library's part of every promise of its coroutines: in which scope the coroutine runs, what awaits it,
/// and at which `co_await` it stands. Cancellation and deadlines are inherited from here, and dumps read the
/// chains of awaits here.
struct PromiseBase {
  Scope* scope = nullptr;                   ///< null when a coroutine of another library is at the root
  const PromiseBase* awaited_by = nullptr;  ///< null at the root
  std::source_location awaiting;            ///< the last co_await

  /// Notes the place; the awaitable itself passes through.
  template <class Awaitable>
  [[gnu::always_inline]] decltype(auto) await_transform(
      Awaitable&& awaitable, std::source_location where = std::source_location::current()) noexcept {
    awaiting = where;
    if constexpr (requires { awaitable.require_unused(where); }) awaitable.require_unused(where);
    if constexpr (requires { awaitable.begin_in(*this); }) {
      return awaitable.begin_in(*this);
    } else {
      return detail::pass_through(static_cast<Awaitable&&>(awaitable));
    }
  }

  /// Makes this coroutine one that the coroutine of `outer`, which may be null, awaits.
  void inherit(const PromiseBase* outer) noexcept {
    awaited_by = outer;
    scope = outer != nullptr ? outer->scope : nullptr;
  }
};

/// Returns where the program is at fault: the co_await at which the coroutine of `promise` stands, or the
/// caller's own place if that is not known.
[[nodiscard]] inline std::source_location place_of(
    const PromiseBase* promise, std::source_location otherwise = std::source_location::current()) noexcept {
  return promise != nullptr && promise->awaiting.line() != 0 ? promise->awaiting : otherwise;
}

/// Returns the library's part of the promise of `coroutine`, or null if the coroutine is not the library's.
template <class Promise>
[[nodiscard]] PromiseBase* promise_of(std::coroutine_handle<Promise> coroutine) noexcept {
  if constexpr (std::derived_from<Promise, PromiseBase>) {
    return &coroutine.promise();
  } else {
    return nullptr;
  }
}

}  // namespace corering
