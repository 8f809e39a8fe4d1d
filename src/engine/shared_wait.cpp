/// shared_wait.cpp — the way back to the waiter's thread.
#include <corering/engine/shared_wait.hpp>

namespace corering {

bool SharedWaiter::suspend(std::coroutine_handle<> coroutine, Frame* frame) noexcept {
  engine::require_worker(
      "a coroutine waits for other threads only on a worker: a plain thread uses the functions that block",
      frame);
  engine::require_scope(frame);
  home_ = here::loop();
  node_.coroutine = coroutine;
  waits_ = true;
  begin_wait(frame);
  engine::expect_homecoming();
  if (!engine::refuses_waits(frame)) return true;
  resume_cancelled();
  return false;
}

void SharedWaiter::wake() noexcept {
  if (home_ == nullptr) return woken_.set();
  if (home_ != here::loop()) return engine::post_home(*home_, node_);
  engine::forgo_homecoming();
  engine::schedule(node_.coroutine);
}

void SharedWaiter::resume_cancelled() noexcept {
  cancelled_ = true;
  engine::forgo_homecoming();
  engine::schedule(node_.coroutine);
}

Result<void> SharedWaiter::finish() noexcept {
  waits_ = false;
  end_wait();
  if (cancelled_) return std::unexpected(engine::cancellation_error(frame_));
  return {};
}

void SharedWaiter::begin_block() noexcept {
  CORERING_ASSERT(here::loop() == nullptr, "a worker's thread would block: co_await instead");
  waits_ = true;
}

bool SharedWaiter::block_until(TimePoint deadline) noexcept {
  if (deadline != TimePoint::max()) return woken_.wait_until(deadline);
  woken_.wait();
  return true;
}

}  // namespace corering
