/// offload.hpp — runs a blocking function on a thread of a pool, and waits for it.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include <corering/core/blocking_pool.hpp>
#include <corering/engine/awaitable.hpp>
#include <corering/engine/member.hpp>

namespace corering {
namespace detail {

template <class Function>
class [[nodiscard]] OffloadAwaiter final : public BlockingJob {
 public:
  using T = std::invoke_result_t<Function&>;
  using ResultType = typename AsResult<std::remove_cvref_t<T>>::type;
  static_assert(require_alignment_of_a_frame<Kept<T>>());

  OffloadAwaiter(BlockingPool& pool, Function&& function)
      : pool_(pool), function_(std::forward<Function>(function)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    if (!suspend(coroutine, promise_of(coroutine))) return;
    if (const Result<void> submitted = pool_.submit(*this); !submitted) {
      refused_ = submitted.error();
      wake();
    }
  }
  [[nodiscard]] ResultType await_resume() {
    if (const Result<void> waited = finish(); !waited) return std::unexpected(waited.error());
    if (refused_) return std::unexpected(refused_);
    if (exception_) std::rethrow_exception(exception_);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return std::move(*result_);
    }
  }

 private:
  void run() noexcept override {
    try {
      if constexpr (std::is_void_v<T>) {
        std::invoke(function_);
      } else {
        result_.emplace(std::invoke(function_));
      }
    } catch (...) {
      exception_ = std::current_exception();
    }
  }
  Wait* cancel(const CancelCause&) noexcept override {
    if (waits() && pool_.withdraw(*this)) resume_cancelled();
    return nullptr;
  }
  void describe(std::string& text) const override { text += "a function on a blocking pool"; }

  BlockingPool& pool_;
  Function function_;
  std::optional<Kept<T>> result_;
  std::exception_ptr exception_;
  std::error_code refused_;
};

template <class Function>
class [[nodiscard("it does nothing until it is awaited")]] OffloadOperation {
 public:
  OffloadOperation(BlockingPool& pool, Function function) : pool_(&pool), function_(std::move(function)) {}
  OffloadAwaiter<Function> operator co_await() && {
    return OffloadAwaiter<Function>(*pool_, std::move(function_));
  }
  void operator co_await() & = delete;  // write co_await std::move(it): it can be awaited once

 private:
  BlockingPool* pool_;
  Function function_;
};

}  // namespace detail

/// `co_await offload(pool, function)`, on a worker: runs `function` on a thread of the pool, which it may
/// block. Yields Result<T>, whether the function returns T or Result<T>. What the function throws is thrown
/// here.
/// suspends: always · resumes: same worker
/// cancelled: fails with the scope's reason while it waits for a thread. Once the function runs, this waits
///   for it and its result counts, because there is no safe way to interrupt it
/// keep alive: what the function refers to, until this resumes; the function itself is moved into the awaiter
/// errors: EAGAIN when the system starts no thread
template <class Function>
  requires std::invocable<std::decay_t<Function>&>
auto offload(BlockingPool& pool, Function&& function) {
  return detail::OffloadOperation<std::decay_t<Function>>(pool, std::forward<Function>(function));
}

}  // namespace corering
