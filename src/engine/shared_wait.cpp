/// shared_wait.cpp — the way back to the waiter's thread.
#include <corering/base/outside.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/shared_wait.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

bool SharedWait::suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
  here::require_worker(
      "a coroutine waits for other threads only on a worker: a plain thread uses the functions that block",
      promise);
  require_scope(promise);
  home_ = here::loop();
  node_.coroutine = coroutine;
  CORERING_ASSERT(!waits_, "a wait begins once at a time");
  waits_ = true;
  begin_wait(promise);
  if (trace::enabled()) [[unlikely]]
    record_begin(coroutine);
  here::expect_homecoming();
  if (!here::refuses_waits(promise)) return true;
  resume_cancelled();
  return false;
}

void SharedWait::wake() noexcept {
  if (home_ == nullptr) return woken_.set();
  if (home_ != here::loop()) return post_home(*home_, node_);
  here::forgo_homecoming();
  here::schedule(node_.coroutine);
}

void SharedWait::resume_cancelled() noexcept {
  cancelled_ = true;
  here::forgo_homecoming();
  here::schedule(node_.coroutine);
}

Result<void> SharedWait::finish() noexcept {
  if (waits_ && trace::enabled()) [[unlikely]]
    record_end(!cancelled_);
  waits_ = false;
  end_wait();
  if (cancelled_) return std::unexpected(cancellation_error(promise_));
  return {};
}

void SharedWait::begin_block() noexcept {
  CORERING_ASSERT(here::loop() == nullptr, "a worker's thread would block: co_await instead");
  CORERING_ASSERT(os::world() == nullptr,
                  "a thread with a simulated world would block for ever: wait in a task, with sync_wait()");
  waits_ = true;
}

bool SharedWait::block_until(TimePoint deadline) noexcept {
  if (deadline != TimePoint::max()) return woken_.wait_until(deadline);
  woken_.wait();
  return true;
}

}  // namespace corering
