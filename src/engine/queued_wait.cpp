/// queued_wait.cpp — joining a line, and leaving it.
#include <corering/engine/queued_wait.hpp>

namespace corering {

bool SuspendedWaiter::suspend(std::coroutine_handle<> coroutine, Frame* frame) noexcept {
  engine::require_worker(
      "a coroutine waits for others only on a worker: hop first, with co_await SwitchToWorker(worker)",
      frame);
  engine::require_scope(frame);
  coroutine_ = coroutine;
  begin_wait(frame);
  if (!engine::refuses_waits(frame)) return true;
  resume_cancelled();
  return false;
}

Result<void> SuspendedWaiter::finish() noexcept {
  coroutine_ = nullptr;
  end_wait();
  if (cancelled_) return std::unexpected(engine::cancellation_error(frame_));
  return {};
}

Waiter* QueuedWaiter::cancel(const CancelCause&) noexcept {
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
