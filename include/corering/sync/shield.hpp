/// shield.hpp — lets clean-up code finish although its task is cancelled.
#pragma once

#include <utility>

#include <corering/engine/scoped_await.hpp>

namespace corering {
namespace detail {

class ShieldScope : public Scope {
 protected:
  void enter(PromiseBase* outer) noexcept { open(outer, Shield::yes); }
  void leave() noexcept {}
};

template <class Inner>
class [[nodiscard]] ShieldAwaiter : public ScopedAwaiter<ShieldScope, Inner> {
 public:
  explicit ShieldAwaiter(Inner&& inner) : ScopedAwaiter<ShieldScope, Inner>(std::forward<Inner>(inner)) {}
  await_result_t<Inner> await_resume() { return this->inner_result(); }
  [[nodiscard]] await_result_t<Inner> await_resume()
    requires is_result<await_result_t<Inner>>
  {
    return this->inner_result();
  }
};

template <class Inner>
class [[nodiscard("a shield does nothing until it is awaited")]] Shielded {
 public:
  explicit Shielded(Inner inner) : inner_(std::move(inner)) {}
  ShieldAwaiter<Inner> operator co_await() && { return ShieldAwaiter<Inner>(std::move(inner_)); }
  void operator co_await() & = delete;  // write co_await std::move(it): it can be awaited once

 private:
  Inner inner_;
};

}  // namespace detail

/// Awaits `awaitable` on a worker, out of reach of what cancels the caller: it works although the caller's
/// scope has been cancelled or is cancelled meanwhile, and without the caller's deadline. Put a deadline
/// inside (with_timeout), because clean-up should not wait for ever either. A stopping worker lets it work
/// for WorkerOptions::stop_patience.
template <Awaitable Inner>
auto shield(Inner&& awaitable) {
  return detail::Shielded<std::remove_cvref_t<Inner>>(std::forward<Inner>(awaitable));
}

}  // namespace corering
