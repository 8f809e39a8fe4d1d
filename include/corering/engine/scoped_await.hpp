/// scoped_await.hpp — awaiting something inside its own scope.
#pragma once

#include <coroutine>
#include <utility>

#include <corering/engine/awaitable.hpp>
#include <corering/engine/fake_coroutine.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/scope.hpp>

namespace corering::detail {

/// Opens a Kind of scope, awaits inside it, comes back to its worker, and closes it. A Kind is a Scope with
/// `enter(PromiseBase*)`, which opens it, and `leave()`, which undoes what else enter() did. It allocates
/// nothing.
template <class Kind, class Inner>
class [[nodiscard]] ScopedAwaiter : protected Kind, private FakeCoroutine {
 public:
  template <class... KindArguments>
  explicit ScopedAwaiter(Inner&& inner, KindArguments&&... arguments)
      : Kind(std::forward<KindArguments>(arguments)...),
        FakeCoroutine(&inner_ended),
        inner_(awaiter_of(std::forward<Inner>(inner))) {}

  bool await_ready() const noexcept { return false; }

  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> outer) {
    outer_ = outer;
    PromiseBase* const around = promise_of(outer);
    this->enter(around);
    inner_promise().awaited_by = around;
    inner_promise().scope = this;
    try {
      const std::coroutine_handle<> next = begin_await(inner_, handle());
      return next ? next : std::noop_coroutine();
    } catch (...) {
      finish();
      throw;
    }
  }

 protected:
  /// Returns what the awaited thing yields. Call it once, after that has ended.
  decltype(auto) inner_result() { return inner_.await_resume(); }

 private:
  static void inner_ended(void* self) { static_cast<ScopedAwaiter&>(FakeCoroutine::from(self)).come_home(); }

  void come_home() noexcept {
    if (!this->is_home()) {
      node_.coroutine = handle();
      return this->go_home(node_);
    }
    finish();
    // We do not resume it from here: a loop of awaits that end at once would grow the stack.
    here::schedule(outer_);
  }

  void finish() noexcept {
    this->leave();
    this->close();
  }

  std::coroutine_handle<> outer_;
  PostNode node_;
  awaiter_t<Inner> inner_;
};

}  // namespace corering::detail
