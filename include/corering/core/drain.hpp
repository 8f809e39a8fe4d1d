/// drain.hpp — waiting until a worker's other tasks have finished.
#pragma once

#include <coroutine>

#include <corering/engine/queued_wait.hpp>

namespace corering {

/// Waits for a worker to be drained. See Worker::drain().
class [[nodiscard]] Drainer : public QueuedWait {
 public:
  explicit Drainer(Loop& loop) noexcept : loop_(loop) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
    suspend(coroutine, promise_of(coroutine));
  }
  [[nodiscard]] Result<void> await_resume() noexcept { return finish(); }

  void describe(std::string& text) const override;

 private:
  void suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;

  Loop& loop_;
};

using DrainOperation = WaitOperation<Drainer, Loop>;

}  // namespace corering
