/// sync_wait.hpp — how a plain thread waits for a coroutine.
#pragma once

#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

#include <corering/base/one_shot.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/awaitable.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/strand.hpp>

namespace corering {
namespace detail {

template <class T>
class Root;

/// The strand of a coroutine that a plain thread waits for.
class RootStrand final : public Strand {
 public:
  /// Says what the thread waits for.
  void ends_with(std::coroutine_handle<> root, OneShot& ended) noexcept {
    root_ = root;
    ended_ = &ended;
  }
  void on_end() noexcept override;

 private:
  std::coroutine_handle<> root_;
  OneShot* ended_ = nullptr;
};

template <class T>
struct RootPromise : ReturnsOutcome<T> {
  RootStrand strand;

  RootPromise() noexcept { this->scope = &strand; }

  /// It notes no place, unlike that of PromiseBase: the place is that of the sync_wait.
  template <class Awaitable>
  decltype(auto) await_transform(Awaitable&& awaitable) noexcept {
    return pass_through(static_cast<Awaitable&&>(awaitable));
  }

  struct FinalAwaiter {
    FinalAwaiter() noexcept = default;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<RootPromise> self) const noexcept {
      self.promise().strand.end();
    }
    void await_resume() const noexcept {}
  };

  Root<T> get_return_object() noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
};

/// Starts `root` on the calling thread and blocks until it has ended, wherever it ends.
/// `where` is the place of the sync_wait.
void run_root(std::coroutine_handle<> root, OneShot& ended, std::source_location where);

/// Owns the coroutine between a plain thread and what it awaits.
template <class T>
class Root {
 public:
  using promise_type = RootPromise<T>;
  explicit Root(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  Root(Root&&) = delete;
  ~Root() { coroutine_.destroy(); }

  T run(std::source_location where) {
    OneShot ended;
    coroutine_.promise().awaiting = where;
    coroutine_.promise().strand.ends_with(coroutine_, ended);
    run_root(coroutine_, ended, where);
    return coroutine_.promise().outcome.take();
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
Root<T> RootPromise<T>::get_return_object() noexcept {
  return Root<T>(std::coroutine_handle<RootPromise>::from_promise(*this));
}

template <class T, class Awaitable>
Root<T> make_root(Awaitable&& awaitable) {
  co_return co_await std::forward<Awaitable>(awaitable);
}

}  // namespace detail

/// Awaits a task, an operation (`.on(worker)`), a JoinHandle or any other awaitable from a plain thread, and
/// blocks that thread until the result is there. Exceptions come out of it. What runs on a worker needs that
/// worker to be started: until then the worker's queue only keeps the coroutine, and this waits. After a
/// second it says on stderr which worker that is.
/// thread: any that runs no worker. On a worker's thread it would wait for itself, so it ends the program
///   with a message; use `co_await` there
template <class Awaitable>
auto sync_wait(Awaitable&& awaitable, std::source_location where = std::source_location::current())
    -> std::remove_cvref_t<await_result_t<Awaitable>> {
  using T = std::remove_cvref_t<await_result_t<Awaitable>>;
  return detail::make_root<T>(std::forward<Awaitable>(awaitable)).run(where);
}

}  // namespace corering
