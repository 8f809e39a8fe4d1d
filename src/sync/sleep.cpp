/// sleep.cpp — a sleeper in the worker's timer heap.
#include <corering/sync/sleep.hpp>

namespace corering {

void SleepAwaiter::suspend(std::coroutine_handle<> coroutine, Frame* frame) noexcept {
  engine::require_worker(
      "a sleep was awaited on a thread without a worker: name one, as in sleep_for(time).on(worker), or hop "
      "first, with co_await SwitchToWorker(worker)",
      frame);
  coroutine_ = coroutine;
  begin_wait(frame);
  if (engine::refuses_waits(frame)) {
    cancelled_ = true;
    return engine::schedule(coroutine);
  }
  timer_.fire = [](TimerNode& self) noexcept {
    SleepAwaiter& sleeper = static_cast<Timer&>(self).sleeper;
    sleeper.unlink();
    engine::schedule(sleeper.coroutine_);
  };
  if (frame == nullptr || frame->scope == nullptr) engine::look_after(*this);
  engine::arm(timer_, deadline_);
}

Result<void> SleepAwaiter::await_resume() noexcept {
  coroutine_ = nullptr;
  end_wait();
  if (cancelled_) return std::unexpected(engine::cancellation_error(frame_));
  return {};
}

Waiter* SleepAwaiter::cancel(const CancelCause&) noexcept {
  if (!timer_.armed()) return nullptr;
  unlink();
  engine::disarm(timer_);
  cancelled_ = true;
  engine::schedule(coroutine_);
  return nullptr;
}

void SleepAwaiter::describe(std::string& text) const {
  text += deadline_ == TimePoint::max() ? "sleep without end" : "sleep";
}

}  // namespace corering
