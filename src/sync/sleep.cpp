/// sleep.cpp — a sleeper in the worker's timer heap.
#include <cerrno>

#include <corering/sync/sleep.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

void SleepAwaiter::suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
  here::require_worker(
      "a sleep was awaited on a thread without a worker: run the task on one, as in run(task()) or "
      "sync_wait(worker.spawn(task()).value()), name one, as in sleep_for(time).on(worker), or hop there "
      "first "
      "with co_await SwitchToWorker(worker)",
      promise);
  coroutine_ = coroutine;
  begin_wait(promise);
  if (trace::enabled()) [[unlikely]]
    record_begin(coroutine);
  if (here::refuses_waits(promise)) {
    cancelled_ = true;
    return here::schedule(coroutine);
  }
  timer_.fire = [](TimerNode& self) noexcept {
    SleepAwaiter& sleeper = static_cast<Timer&>(self).sleeper;
    sleeper.unlink();
    here::schedule(sleeper.coroutine_);
  };
  if (promise == nullptr || promise->scope == nullptr) here::look_after(*this);
  if (here::arm(timer_, deadline_)) return;
  unlink();
  no_memory_ = true;
  here::schedule(coroutine);
}

Result<void> SleepAwaiter::await_resume() noexcept {
  if (trace::enabled()) [[unlikely]]
    record_end(!cancelled_);
  coroutine_ = nullptr;
  end_wait();
  if (cancelled_) return std::unexpected(cancellation_error(promise_));
  if (no_memory_) return failure(ENOMEM);
  return {};
}

Wait* SleepAwaiter::cancel(const CancelCause&) noexcept {
  if (!timer_.is_armed()) return nullptr;
  unlink();
  here::disarm(timer_);
  cancelled_ = true;
  here::schedule(coroutine_);
  return nullptr;
}

void SleepAwaiter::describe(std::string& text) const {
  text += deadline_ == TimePoint::max() ? "sleep without end" : "sleep";
}

}  // namespace corering
