/// switch_to_worker.hpp — how a coroutine moves to a worker, and comes back.
#pragma once

#include <coroutine>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/post.hpp>

namespace corering {

class Worker;

/// `co_await SwitchToWorker(worker)`: the coroutine suspends here and goes on on the worker's thread, through
/// its MPSC queue; the eventfd is written only if the worker is asleep. Already there, it does not suspend.
/// ECANCELED when the worker is stopping or has ended: the coroutine goes on where it is (or, if the worker
/// is destroyed without having run, on the thread that destroys it). A hop is not cancelled: clean-up code
/// may have to make it. The worker object must outlive the hop.
class [[nodiscard]] SwitchToWorker {
 public:
  explicit SwitchToWorker(Worker& worker) noexcept;
  SwitchToWorker(SwitchToWorker&&) = delete;
  ~SwitchToWorker() { CORERING_ASSERT(!waiting_, "a coroutine was destroyed while it hopped to a worker"); }

  bool await_ready() const noexcept { return here::loop() == &there_; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    return suspend(coroutine, promise_of(coroutine));
  }
  [[nodiscard]] Result<void> await_resume() noexcept;

 private:
  [[nodiscard]] bool suspend(std::coroutine_handle<> coroutine, const PromiseBase* promise) noexcept;

  Loop& there_;
  PostNode node_;
  bool waiting_ = false;
};

namespace detail {

/// `PromiseBase& own = co_await OwnPromise()`: the frame of the coroutine that asks. Does not suspend.
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

/// What a coroutine of the library does between now and `co_await visit` may take it to other workers; then
/// it is back where it was. Made on a thread without a worker it is nothing. The worker does not end before.
class [[nodiscard]] Visit : private Scope {
 public:
  explicit Visit(PromiseBase& own) noexcept;
  ~Visit() override {
    CORERING_ASSERT(home_ == nullptr, "a coroutine was destroyed while it was away from its worker");
  }

  bool await_ready() const noexcept;
  void await_suspend(std::coroutine_handle<> coroutine) noexcept;
  void await_resume() noexcept;

 private:
  PromiseBase& own_;
  Scope* outer_;
  Loop* home_;  ///< to which it comes back; null when that is nowhere, or has happened
  PostNode node_;
};

}  // namespace detail
}  // namespace corering
