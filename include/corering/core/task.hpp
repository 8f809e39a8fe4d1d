/// task.hpp — Task<T>: a coroutine that starts when it is awaited, and gives its result to what awaits it.
#pragma once

#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>
#include <variant>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/engine/frame_cache.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/promise_base.hpp>

namespace corering {

template <class T = void>
class Task;

namespace detail {

template <class T>
class SpawnedTask;

/// The result of a coroutine: a value or an exception.
template <class T>
class Outcome {
  static_assert(require_alignment_of_a_frame<T>());

 public:
  void set_exception() noexcept { outcome_.template emplace<2>(std::current_exception()); }
  template <class U>
  void set_value(U&& value) {
    outcome_.template emplace<1>(std::forward<U>(value));
  }
  /// Takes the result of `other`. If moving the value throws, the result is that exception.
  void take_over(Outcome& other) noexcept {
    if (other.outcome_.index() == 2) {
      outcome_.template emplace<2>(std::get<2>(std::move(other.outcome_)));
      return;
    }
    try {
      outcome_.template emplace<1>(std::get<1>(std::move(other.outcome_)));
    } catch (...) {
      set_exception();
    }
  }
  [[nodiscard]] std::exception_ptr exception() const noexcept {
    return outcome_.index() == 2 ? std::get<2>(outcome_) : nullptr;
  }
  T take() {
    if (outcome_.index() == 2) std::rethrow_exception(std::get<2>(std::move(outcome_)));
    return std::get<1>(std::move(outcome_));
  }

 private:
  std::variant<std::monostate, T, std::exception_ptr> outcome_;
};

template <>
class Outcome<void> {
 public:
  void set_exception() noexcept { exception_ = std::current_exception(); }
  void take_over(Outcome& other) noexcept { exception_ = std::move(other.exception_); }
  [[nodiscard]] std::exception_ptr exception() const noexcept { return exception_; }
  void take() {
    if (exception_) std::rethrow_exception(std::move(exception_));
  }

 private:
  std::exception_ptr exception_;
};

/// The part of a promise that keeps the result. There are two classes, because return_void and return_value
/// exclude each other.
template <class T>
struct ReturnsOutcome : CachedFrame, PromiseBase {
  Outcome<T> outcome;
  template <class U = T>
  void return_value(U&& value) {
    static_assert(std::is_constructible_v<T, U>,
                  "this co_return gives something that the task's type cannot be made of; to return an error "
                  "from a Task<Result<T>>, write co_return std::unexpected(error)");
    if constexpr (std::is_constructible_v<T, U>) outcome.set_value(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { outcome.set_exception(); }
};
template <>
struct ReturnsOutcome<void> : CachedFrame, PromiseBase {
  Outcome<void> outcome;
  void return_void() noexcept {}
  void unhandled_exception() noexcept { outcome.set_exception(); }
};

/// Goes on with `next` in place of the coroutine that suspends. clang always turns this into a jump, but g++
/// only sometimes. So with g++ it goes through the ready queue, and a long chain of synchronous completions
/// does not grow the stack.
inline std::coroutine_handle<> transfer_to(std::coroutine_handle<> next) noexcept {
#if defined(__clang__)
  return next;
#else
  here::schedule(next);
  return std::noop_coroutine();
#endif
}

template <class T>
struct TaskPromise : ReturnsOutcome<T> {
  std::coroutine_handle<> continuation;

  struct FinalAwaiter {
    FinalAwaiter() noexcept = default;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<TaskPromise> self) const noexcept {
      return transfer_to(self.promise().continuation);
    }
    void await_resume() const noexcept {}
  };

  Task<T> get_return_object() noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
};

}  // namespace detail

/// Owns a coroutine that has not been awaited yet. `co_await std::move(task)`, or `co_await` of a temporary,
/// starts it on the calling thread. Await it once; a task that is never awaited never runs. It runs in the
/// scope of the coroutine that awaits it, with that scope's cancellation and deadline. Exceptions pass
/// through.
/// resumes: where the task ended, which is the same worker unless the task hopped
template <class T>
class [[nodiscard("a task does nothing until it is awaited")]] Task {
  static_assert(!std::is_reference_v<T>,
                "a task cannot return a reference: return a pointer, or a std::reference_wrapper");

 public:
  using promise_type = detail::TaskPromise<T>;

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    Task taken(std::move(other));
    std::swap(coroutine_, taken.coroutine_);
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
    Awaiter(Awaiter&&) = delete;
    ~Awaiter() { coroutine_.destroy(); }
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      coroutine_.promise().continuation = awaiting;
      coroutine_.promise().inherit(promise_of(awaiting));
      return detail::transfer_to(coroutine_);
    }
    T await_resume() { return coroutine_.promise().outcome.take(); }
    [[nodiscard]] T await_resume()
      requires detail::is_result<T>
    {
      return coroutine_.promise().outcome.take();
    }

   private:
    std::coroutine_handle<promise_type> coroutine_;
  };

  Awaiter operator co_await() && noexcept {
    require_unused(std::source_location::current());
    return Awaiter(std::exchange(coroutine_, nullptr));
  }
  Awaiter operator co_await() & = delete;  // write co_await std::move(task): it can be awaited once

  /// For PromiseBase::await_transform, which knows the place of the co_await.
  void require_unused(std::source_location where) const noexcept {
    CORERING_ASSERT_AT(where, coroutine_, "a task can be awaited only once, and not after a move");
  }

 private:
  friend promise_type;
  friend detail::SpawnedTask<T>;
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
Task<T> detail::TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace corering
