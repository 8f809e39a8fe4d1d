/// async_generator.hpp — AsyncGenerator<T>: a coroutine that yields many values, and may wait between them.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/frame_cache.hpp>
#include <corering/engine/promise_base.hpp>

namespace corering {

/// Owns a coroutine that `co_yield`s. It runs only while a coroutine awaits next(), and then in the scope of
/// that coroutine, with its cancellation and its deadline. You may destroy it between two values: it ends
/// where it stands, and what it has on its stack is destroyed.
///
///     for (;;) {
///       const std::optional<Line> line = co_await lines.next();
///       if (!line) break;
///       ...
///     }
template <class T>
class [[nodiscard("a generator does nothing until next() is awaited")]] AsyncGenerator {
  static_assert(std::is_object_v<T>, "yield values; for references yield pointers");
  static_assert(detail::require_alignment_of_a_frame<T>());

 public:
  struct promise_type : CachedFrame, PromiseBase {
    std::optional<T> value;
    std::exception_ptr exception;
    std::coroutine_handle<> consumer;  ///< null between two values

    /// Gives the thread back to the consumer.
    struct Handover {
      Handover() noexcept = default;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
        return detail::transfer_to(std::exchange(self.promise().consumer, nullptr));
      }
      void await_resume() const noexcept {}
    };

    AsyncGenerator get_return_object() noexcept {
      return AsyncGenerator(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    Handover final_suspend() const noexcept { return {}; }
    Handover yield_value(T next) {
      value.emplace(std::move(next));
      return {};
    }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { exception = std::current_exception(); }
  };

  AsyncGenerator(AsyncGenerator&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  AsyncGenerator& operator=(AsyncGenerator&& other) noexcept {
    AsyncGenerator taken(std::move(other));
    std::swap(coroutine_, taken.coroutine_);
    return *this;
  }
  ~AsyncGenerator() {
    if (!coroutine_) return;
    CORERING_ASSERT(!coroutine_.promise().consumer,
                    "a generator was destroyed while a coroutine awaited its next value");
    coroutine_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
    bool await_ready() const noexcept { return coroutine_.done(); }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> consumer) noexcept {
      promise_type& promise = coroutine_.promise();
      promise.consumer = consumer;
      promise.inherit(promise_of(consumer));
      return detail::transfer_to(coroutine_);
    }
    std::optional<T> await_resume() {
      promise_type& promise = coroutine_.promise();
      if (promise.exception) std::rethrow_exception(std::exchange(promise.exception, nullptr));
      return std::exchange(promise.value, std::nullopt);
    }

   private:
    std::coroutine_handle<promise_type> coroutine_;
  };

  class [[nodiscard("it does nothing until it is awaited")]] Next {
   public:
    explicit Next(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
    Awaiter operator co_await() const noexcept { return Awaiter(coroutine_); }

   private:
    std::coroutine_handle<promise_type> coroutine_;
  };

  /// Runs the generator to its next value, and yields it. Yields nothing when the generator has ended.
  /// suspends: until the generator yields or ends
  /// resumes: where the generator yields: on the same worker, unless it hopped
  /// errors: an exception of the generator comes out once; after it the generator has ended
  /// keep alive: the generator, until this resumes; only one next() at a time
  Next next() noexcept {
    CORERING_ASSERT(
        coroutine_ && !coroutine_.promise().consumer,
        "only one next() may be awaited at a time, and the generator must not have been moved from");
    return Next(coroutine_);
  }

 private:
  explicit AsyncGenerator(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

}  // namespace corering
