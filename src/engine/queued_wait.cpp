/// queued_wait.cpp — joining a line, and leaving it.
#include <corering/engine/queued_wait.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

bool SuspendedWait::suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
  here::require_worker(
      "a coroutine waits for others only on a worker: hop first, with co_await SwitchToWorker(worker)",
      promise);
  require_scope(promise);
  CORERING_ASSERT(!coroutine_, "a wait begins once at a time");
  coroutine_ = coroutine;
  begin_wait(promise);
  if (trace::enabled()) [[unlikely]]
    record_begin(coroutine);
  if (!here::refuses_waits(promise)) return true;
  resume_cancelled();
  return false;
}

Result<void> SuspendedWait::finish() noexcept {
  if (coroutine_ && trace::enabled()) [[unlikely]]
    record_end(!cancelled_);
  coroutine_ = nullptr;
  end_wait();
  if (cancelled_) return std::unexpected(cancellation_error(promise_));
  return {};
}

Wait* QueuedWait::cancel(const CancelCause&) noexcept {
  if (!is_linked()) return nullptr;
  unlink();
  resume_cancelled();
  gave_up();
  return nullptr;
}

void OnOneWorker::check() noexcept {
  const Loop* const here = here::loop();
  if (home_ == nullptr) home_ = here;
  CORERING_ASSERT(here != nullptr && here == home_,
                  "an object that belongs to one worker (an event, mutex, semaphore, channel or latch) was "
                  "used on another "
                  "thread: hop to that worker first, or share a SharedEvent or SharedChannel");
}

}  // namespace corering
