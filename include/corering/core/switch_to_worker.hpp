/// switch_to_worker.hpp — how a coroutine moves to a worker, and comes back.
#pragma once

#include <coroutine>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/post.hpp>

namespace corering {

class Worker;

/// `co_await SwitchToWorker(worker)`: moves the coroutine to the worker's thread, through the worker's MPSC
/// queue. The eventfd is written only if the worker is asleep.
/// suspends: unless it is already there · resumes: on `worker`
/// cancelled: nothing happens, because clean-up code may have to hop
/// errors: ECANCELED when the worker is stopping or has ended. The coroutine then goes on where it is or, if
///   the worker is destroyed without having run, on the thread that destroys it
/// keep alive: the worker object, longer than the hop
class [[nodiscard]] SwitchToWorker {
 public:
  explicit SwitchToWorker(Worker& worker) noexcept;
  /// For await_on(): the hop belongs to the operation that follows. A trace shows both as one.
  struct ForOperation {};
  SwitchToWorker(Worker& worker, ForOperation) noexcept;
  SwitchToWorker(SwitchToWorker&&) = delete;
  ~SwitchToWorker() { CORERING_ASSERT(!waiting_, "a coroutine was destroyed while it hopped to a worker"); }

  bool await_ready() const noexcept { return here::loop() == &there_; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    return suspend(coroutine, promise_of(coroutine));
  }
  [[nodiscard]] Result<void> await_resume() noexcept;

 private:
  void record_await(const PromiseBase* promise) const noexcept;
  [[nodiscard]] bool suspend(std::coroutine_handle<> coroutine, const PromiseBase* promise) noexcept;

  Loop& there_;
  PostNode node_;
  bool waiting_ = false;
  const bool for_operation_ = false;
};

namespace detail {

/// `PromiseBase& own = co_await OwnPromise()`: the promise of the coroutine that awaits it. It does not
/// suspend.
class OwnPromise {
 public:
  OwnPromise() noexcept = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    promise_ = promise_of(coroutine);
    return false;
  }
  PromiseBase& await_resume() const noexcept { return *promise_; }

 private:
  PromiseBase* promise_ = nullptr;
};

/// Brings a coroutine of the library back to where it was. What the coroutine does between making this and
/// `co_await visit` may take it to other workers; the await brings it back. The worker does not end before
/// that. Made on a thread without a worker, it does nothing.
class [[nodiscard]] Visit : private Scope {
 public:
  explicit Visit(PromiseBase& own) noexcept;
  ~Visit() override {
    CORERING_ASSERT(back_to_ == nullptr, "a coroutine was destroyed while it was away from its worker");
  }

  bool await_ready() const noexcept;
  void await_suspend(std::coroutine_handle<> coroutine) noexcept;
  void await_resume() noexcept;

 private:
  PromiseBase& own_;
  Scope* outer_;
  Loop* back_to_;  ///< the worker to come back to; null if there is none, or if it has come back
  PostNode node_;
};

}  // namespace detail
}  // namespace corering
