/// operation.hpp — an operation: a small value that knows one SQE, and what its answer means.
#pragma once

#include <concepts>
#include <coroutine>
#include <source_location>

#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/core/completion.hpp>
#include <corering/core/switch_to_worker.hpp>
#include <corering/core/task.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

/// What the kernel's `res` means, by the type of the result. A late success that nobody takes is disposed of
/// by that type: an Fd closes itself.
template <class T>
Result<T> decode(std::int32_t res) noexcept {
  if (res < 0) return failure(-res);
  if constexpr (std::is_void_v<T>) {
    return {};
  } else if constexpr (std::same_as<T, Fd>) {
    return Fd(res);
  } else {
    return static_cast<T>(res);
  }
}

/// Waits for one operation. See IoOperation::operator co_await.
template <class T>
class [[nodiscard]] IoAwaiter : private Completion {
 public:
  IoAwaiter(const Request& request, std::source_location where) noexcept : Completion(request, where) {}

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { start(coroutine); }
  Result<T> await_resume() noexcept { return decode<T>(finish()); }
};

/// One request to the kernel, not yet made. Copies freely; does nothing until it is awaited. What the request
/// points to (buffers, paths, addresses) must stay alive until the awaiting coroutine has been resumed.
///
/// `co_await op` on a worker fills an SQE at once and resumes on that worker with the result. On a thread
/// without a worker it ends the program with a message; `co_await op.on(worker)` is the way from there. A
/// stopping worker answers ECANCELED.
template <class T>
class [[nodiscard("an operation does nothing until it is awaited")]] IoOperation {
 public:
  explicit IoOperation(const Request& request,
                       std::source_location where = std::source_location::current()) noexcept
      : request_(request), where_(where) {}

  IoAwaiter<T> operator co_await() const noexcept { return IoAwaiter<T>(request_, where_); }

  /// The same operation on `worker`, wherever it is awaited: hops there (SwitchToWorker), then fills the SQE.
  /// Awaited on another worker, it comes back to that one with the result; awaited on a thread without a
  /// worker, the coroutine stays on `worker`. ECANCELED when the worker is stopping or has ended.
  Task<Result<T>> on(Worker& worker) const { return hop_and_await(worker, *this); }

 private:
  static Task<Result<T>> hop_and_await(Worker& worker, IoOperation operation) {
    engine::Homecoming home(worker);
    const Result<void> hopped = co_await SwitchToWorker(worker, operation.where_);
    if (!hopped) co_return std::unexpected(hopped.error());
    Result<T> result = co_await operation;
    co_await home;
    co_return result;
  }

  Request request_;
  std::source_location where_;
};

}  // namespace corering
