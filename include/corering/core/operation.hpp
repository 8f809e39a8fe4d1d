/// operation.hpp — an operation: a small value that knows one SQE, and what its answer means.
#pragma once

#include <cerrno>
#include <concepts>
#include <coroutine>
#include <exception>
#include <source_location>

#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/core/completion.hpp>
#include <corering/core/switch_to_worker.hpp>
#include <corering/core/task.hpp>

namespace corering {

/// What the kernel's `res`, which is no error, means by the type of the result. A late success that nobody
/// takes is disposed of by that type: an Fd closes itself.
template <class T>
Result<T> decode(std::int32_t res) noexcept {
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
  explicit IoAwaiter(const Request& request) noexcept : Completion(request) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    start(coroutine, frame_of(coroutine));
  }
  Result<T> await_resume() noexcept {
    const std::int32_t res = finish();
    if (res < 0) return std::unexpected(error_of(res));
    return decode<T>(res);
  }
};

namespace detail {

/// Awaits `operation` on `worker`, and comes back to the worker it was awaited on, if it was on one.
template <class T, class Operation>
Task<Result<T>> await_on(Worker& worker, Operation operation) {
  Visit visit(co_await OwnFrame());
  const Result<void> hopped = co_await SwitchToWorker(worker);
  Result<T> result = failure(ECANCELED);
  std::exception_ptr thrown;
  try {
    if (hopped) {
      result = co_await std::move(operation);
    }
  } catch (...) {
    thrown = std::current_exception();  // it goes home, too
  }
  co_await visit;  // also when refused: a worker that never ran refuses on whatever thread destroys it
  if (thrown) std::rethrow_exception(thrown);
  co_return result;
}

}  // namespace detail

/// One request to the kernel, not yet made. Copies freely; does nothing until it is awaited. What the request
/// points to (buffers, paths, addresses) must stay alive until the awaiting coroutine has been resumed.
///
/// `co_await op` on a worker fills an SQE at once and resumes on that worker with the result. On a thread
/// without a worker it ends the program with a message; `co_await op.on(worker)` is the way from there. When
/// the awaiting coroutine's scope is cancelled, the kernel is asked to cancel the operation; it still ends by
/// its own answer, which may be a success. If it is cancelled, or was not begun because the scope is
/// cancelled already, the error is the scope's: ECANCELED, or which deadline has passed
/// (core/cancellation.hpp).
template <class T>
class [[nodiscard("an operation does nothing until it is awaited")]] IoOperation {
 public:
  explicit IoOperation(const Request& request) noexcept : request_(request) {}

  IoAwaiter<T> operator co_await() const noexcept { return IoAwaiter<T>(request_); }

  /// The same operation on `worker`, wherever it is awaited: hops there (SwitchToWorker), then fills the SQE.
  /// Awaited on another worker, it comes back to that one with the result; awaited on a thread without a
  /// worker, the coroutine stays on `worker`. ECANCELED when the worker is stopping or has ended.
  Task<Result<T>> on(Worker& worker) const { return detail::await_on<T>(worker, *this); }

 private:
  Request request_;
};

}  // namespace corering
