/// operation.hpp — an operation: a small value that knows one SQE, and what its answer means.
#pragma once

#include <cerrno>
#include <concepts>
#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/core/switch_to_worker.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/completion.hpp>
#include <corering/engine/ring_resource.hpp>

namespace corering {

/// Says what a reply of the kernel means when it is not an error; the type of the result decides. If nobody
/// takes a late success, that type disposes of it: an Fd closes itself.
///
/// This is the usual payload of an operation. Besides decode(), another payload may have
///  - `void prepare(Request&)`, called when the payload lies where it stays, for what the kernel reads by
///    address;
///  - `void dispose(const Reply&)`, for what comes along with an error;
///  - `void filed(Reply&)`, called while the CQ is being walked, in the order of the CQEs;
///  - `static constexpr bool gathers`, beside filed(), for an operation that may be answered in parts: each
///  part
///    is filed, and the last one, as filed() leaves it, is the answer to the whole;
///  - `bool is_success(const Reply&)`, for a negative result that does not count as an error;
///  - `static constexpr bool reads_now`, for a read that may be answered without an SQE;
///  - `void rewrite(Request&, const Capabilities&)`, which turns a ProbedOperation into one that an old
///    kernel knows;
///  - `using Base = NotifiedCompletion`, for zero-copy sends.
template <class T>
struct Answer {
  T decode(const Reply& reply) const noexcept {
    if constexpr (std::is_void_v<T>) {
      return;
    } else if constexpr (std::same_as<T, Reply>) {
      return reply;
    } else {
      return static_cast<T>(reply.res);
    }
  }
};

namespace detail {

/// Lets the payload see its reply when it is filed, not when the coroutine runs.
template <class Payload>
class FiledCompletion : public Completion {
 protected:
  explicit FiledCompletion(const Request& request) noexcept : Completion(request, true) {}
  void file_through(Payload& payload) noexcept { payload_ = &payload; }

 private:
  // If an operation that has one result is answered more than once, what the answers brought is given back,
  // and the operation fails: we do not know what the kernel has done.
  void received(const Reply& reply) noexcept final {
    Reply filed = reply;
    payload_->filed(filed);
    if constexpr (!requires { Payload::gathers; }) {
      if (!reply.is_last() || surprised_) {
        payload_->dispose(filed);
        surprised_ = true;
        filed = {.res = -EPROTO};
      }
    }
    if (reply.is_last()) resume_with(filed);
  }
  Payload* payload_ = nullptr;
  bool surprised_ = false;
};

template <class Payload>
struct BaseOf {
  using type = Completion;
};
template <class Payload>
  requires requires(Payload payload, Reply reply) { payload.filed(reply); }
struct BaseOf<Payload> {
  using type = FiledCompletion<Payload>;
};
template <class Payload>
  requires requires { typename Payload::Base; }
struct BaseOf<Payload> {
  using type = typename Payload::Base;
};

/// Returns the result that a reply means; `error` says why an operation has failed.
template <class T, class Payload, class Error>
Result<T> result_of(Payload& payload, const Reply& reply, Error&& error) {
  bool success = reply.res >= 0;
  if constexpr (requires { payload.is_success(reply); }) success = payload.is_success(reply);
  if (!success) {
    if constexpr (requires { payload.dispose(reply); }) payload.dispose(reply);
    return std::unexpected<std::error_code>(error(reply.res));
  }
  if constexpr (std::is_void_v<T>) {
    payload.decode(reply);
    return {};
  } else {
    return payload.decode(reply);
  }
}

}  // namespace detail

/// Waits for one operation. See IoOperation::operator co_await.
template <class T, class Payload = Answer<T>>
class [[nodiscard]] IoAwaiter : protected detail::BaseOf<Payload>::type {
 public:
  explicit IoAwaiter(const Request& request, const Payload& payload = Payload())
      : detail::BaseOf<Payload>::type(request), payload_(payload), request_(request) {
    if constexpr (requires { payload_.prepare(request_); }) payload_.prepare(request_);
    if constexpr (requires { this->file_through(payload_); }) this->file_through(payload_);
  }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    this->begin(coroutine, promise_of(coroutine), request_);
  }
  [[nodiscard]] Result<T> await_resume() noexcept {
    return detail::result_of<T>(payload_, this->finish(),
                                [this](std::int32_t res) { return this->error_of(res); });
  }

 protected:
  [[no_unique_address]] Payload payload_;
  Request request_;
};

/// Waits for one operation, which is handed over while the awaiter is made. `co_await` uses this in the
/// coroutines of the library. Such a coroutine suspends right after, so nothing can come between. (In an
/// expression with two co_awaits, g++ 12 makes both awaiters first if await_resume does not return a class; a
/// Result is a class.)
template <class T, class Payload>
class [[nodiscard]] DirectAwaiter : private detail::BaseOf<Payload>::type {
  static_assert(std::is_class_v<Result<T>>, "see above");
  static constexpr bool gets_many = !std::same_as<typename detail::BaseOf<Payload>::type, Completion>;
  static constexpr bool may_read_now = requires { Payload::reads_now; };

 public:
  [[gnu::always_inline]] DirectAwaiter(PromiseBase& promise, const Request& request,
                                       const Payload& payload) noexcept
      : detail::BaseOf<Payload>::type(request), payload_(payload) {
    Request prepared = request;
    if constexpr (requires { payload_.prepare(prepared); }) payload_.prepare(prepared);
    if constexpr (requires { this->file_through(payload_); }) this->file_through(payload_);
    if constexpr (may_read_now) {
      if (this->read_now(promise, prepared)) return;
    }
    this->begin(promise, prepared, gets_many);
  }

  bool await_ready() const noexcept { return may_read_now && this->is_answered(); }
  void await_suspend(std::coroutine_handle<> coroutine) noexcept { this->begun(coroutine); }
  [[nodiscard]] Result<T> await_resume() noexcept {
    return detail::result_of<T>(payload_, this->finish(),
                                [this](std::int32_t res) { return this->error_of(res); });
  }

 private:
  [[no_unique_address]] Payload payload_;
};

namespace detail {

/// Awaits `operation` on `worker`, and then comes back to the worker where it was awaited, if there was one.
template <class T, class Operation>
Task<Result<T>> await_on(Worker& worker, Operation operation) {
  Visit visit(co_await OwnPromise());
  const Result<void> hopped = co_await SwitchToWorker(worker, SwitchToWorker::ForOperation());
  Result<T> result = failure(ECANCELED);
  std::exception_ptr thrown;
  try {
    if (hopped) {
      result = co_await std::move(operation);
    }
  } catch (...) {
    thrown = std::current_exception();  // it goes home in this case, too
  }
  co_await visit;  // also after a refusal: a worker that never ran refuses on whatever thread destroys it
  if (thrown) std::rethrow_exception(thrown);
  co_return result;
}

}  // namespace detail

/// Names an operation while it is in flight, for others that act on it: async_cancel(tag), async_poll_update,
/// async_timeout_update.
/// keep alive: the tag, longer than the operation · thread: one worker
class OperationTag {
 public:
  OperationTag() noexcept = default;
  OperationTag(OperationTag&&) = delete;
  ~OperationTag() {
    CORERING_ASSERT(user_data_ == 0, "an operation's tag was destroyed while the operation was in flight");
  }

  [[nodiscard]] bool in_flight() const noexcept { return user_data_ != 0; }
  /// Returns the SQE's user_data, or 0 when nothing is in flight. No operation has the user_data 0.
  [[nodiscard]] std::uint64_t user_data() const noexcept { return user_data_; }

 private:
  template <class Awaiter>
  friend class TaggedAwaiter;
  std::uint64_t user_data_ = 0;
};

/// Waits for an operation and lets its tag name it.
template <class Awaiter>
class [[nodiscard]] TaggedAwaiter : public Awaiter {
 public:
  template <class... Arguments>
  explicit TaggedAwaiter(OperationTag& tag, Arguments&&... arguments)
      : Awaiter(std::forward<Arguments>(arguments)...), tag_(tag) {}

  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    CORERING_ASSERT(!tag_.in_flight(), "one tag was given to two operations at the same time");
    tag_.user_data_ = this->user_data();
    return Awaiter::await_suspend(coroutine);
  }
  [[nodiscard]] auto await_resume() noexcept {
    tag_.user_data_ = 0;
    return Awaiter::await_resume();
  }

 private:
  OperationTag& tag_;
};

template <class Operation>
class [[nodiscard("an operation does nothing until it is awaited")]] TaggedOperation {
 public:
  TaggedOperation(Operation operation, OperationTag& tag) : operation_(std::move(operation)), tag_(&tag) {}
  auto operator co_await() const {
    return TaggedAwaiter<typename Operation::Awaiter>(*tag_, operation_.request(), operation_.payload());
  }

 private:
  Operation operation_;
  OperationTag* tag_;
};

/// One request to the kernel, not yet made. It copies freely and does nothing until it is awaited. `co_await
/// op` fills an SQE at once.
/// suspends: always, except that the page cache may answer a read at once · resumes: same worker
/// cancelled: the kernel is asked to cancel the operation, which still ends by its own answer. That may be a
///   success. If it is cancelled, or did not start because the scope was already cancelled, the error is the
///   scope's: ECANCELED, or the deadline that has passed (engine/cancel_reason.hpp)
/// keep alive: what the request points to (buffers, paths, addresses), until the awaiting coroutine has been
///   resumed
/// thread: a worker's. Elsewhere it ends the program with a message; use `co_await op.on(worker)` there
template <class T, class Payload = Answer<T>>
class [[nodiscard("an operation does nothing until it is awaited")]] IoOperation {
 public:
  using Value = T;
  using Awaiter = IoAwaiter<T, Payload>;

  explicit IoOperation(const Request& request, const Payload& payload = Payload()) noexcept
      : request_(request), payload_(payload) {}

  Awaiter operator co_await() const noexcept { return Awaiter(request_, payload_); }
  /// For PromiseBase::await_transform.
  [[gnu::always_inline]] DirectAwaiter<T, Payload> begin_in(PromiseBase& promise) const noexcept {
    return DirectAwaiter<T, Payload>(promise, request_, payload_);
  }

  /// The same operation on `worker`, wherever it is awaited: it hops there (SwitchToWorker), then fills the
  /// SQE.
  /// resumes: on the worker where it is awaited; if that thread has no worker, the coroutine stays on
  ///   `worker`
  /// errors: also ECANCELED when the worker is stopping or has ended
  /// thread: any
  Task<Result<T>> on(Worker& worker) const { return detail::await_on<T>(worker, *this); }

  /// The same operation, but a helper thread of the kernel does it from the start (IOSQE_ASYNC).
  [[nodiscard]] IoOperation forced_async() const noexcept { return with(uapi::sqe_async << 8); }
  /// The same operation, with more bits in Request::head.
  [[nodiscard]] IoOperation with(std::uint32_t bits) const noexcept {
    IoOperation changed = *this;
    changed.request_.head |= bits;
    return changed;
  }

  /// The same operation, which `tag` names while it is in flight.
  TaggedOperation<IoOperation> tagged(OperationTag& tag) const {
    return TaggedOperation<IoOperation>(*this, tag);
  }

  [[nodiscard]] const Request& request() const noexcept { return request_; }
  [[nodiscard]] const Payload& payload() const noexcept { return payload_; }

 private:
  Request request_;
  [[no_unique_address]] Payload payload_;
};

// ---- operations that an older kernel may not have ----

namespace detail {

/// What such an operation needs from the kernel, and the system call that does the same without waiting, if
/// there is one.
struct Fallback {
  using Call = std::int32_t (*)(const Request& request);  ///< a result or -errno
  Need need;
  Call call = nullptr;
};

}  // namespace detail

template <class T, class Payload>
class [[nodiscard]] ProbedAwaiter : private IoAwaiter<T, Payload> {
 public:
  ProbedAwaiter(const Request& request, const Payload& payload, const detail::Fallback& fallback)
      : IoAwaiter<T, Payload>(request, payload), fallback_(fallback) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    const Capabilities& there = here::capabilities();
    made_ = there.has(fallback_.need);
    if constexpr (requires { this->payload_.rewrite(this->request_, there); }) {
      if (!made_) this->payload_.rewrite(this->request_, there);
      made_ = true;
    }
    promise_ = promise_of(coroutine);
    if (made_) {
      IoAwaiter<T, Payload>::await_suspend(coroutine);
    } else {
      here::schedule(coroutine);  // others run in between, as they would if an SQE had been filled
    }
  }
  [[nodiscard]] Result<T> await_resume() noexcept {
    if (made_) return IoAwaiter<T, Payload>::await_resume();
    if (here::refuses_waits(promise_)) return std::unexpected(cancellation_error(promise_));
    if (fallback_.call == nullptr) return std::unexpected(fallback_.need.unmet());
    return detail::result_of<T>(
        this->payload_, {.res = fallback_.call(this->request_)},
        [](std::int32_t res) { return std::error_code(-res, std::system_category()); });
  }

 private:
  detail::Fallback fallback_;
  PromiseBase* promise_ = nullptr;
  bool made_ = false;  // an SQE was filled
};

/// An IoOperation that not every kernel has. If the kernel does not have it, an older operation does the
/// same, or the system call of the same name is made on the worker, if that call never waits.
/// errors: std::errc::operation_not_supported, which names the kernel that has it, if nothing else can do the
///   same
template <class T, class Payload = Answer<T>>
class [[nodiscard("an operation does nothing until it is awaited")]] ProbedOperation {
 public:
  using Value = T;

  ProbedOperation(const Request& request, const detail::Fallback& fallback,
                  const Payload& payload = Payload()) noexcept
      : request_(request), payload_(payload), fallback_(fallback) {}

  ProbedAwaiter<T, Payload> operator co_await() const noexcept {
    return ProbedAwaiter<T, Payload>(request_, payload_, fallback_);
  }

  /// See IoOperation::on().
  Task<Result<T>> on(Worker& worker) const { return detail::await_on<T>(worker, *this); }

  /// For chains, where nothing can replace it. On a kernel that does not have it, it fails.
  [[nodiscard]] IoOperation<T, Payload> without_fallback() const noexcept {
    return IoOperation<T, Payload>(request_, payload_);
  }

 private:
  Request request_;
  [[no_unique_address]] Payload payload_;
  detail::Fallback fallback_;
};

}  // namespace corering
