/// timeout.cpp — a deadline in the worker's timer heap.
#include <new>

#include <corering/engine/cancel_protocol.hpp>
#include <corering/sync/timeout.hpp>

namespace corering::detail {

void DeadlineScope::enter(PromiseBase* outer) {
  open(outer);
  const TimePoint own = limit_.duration ? saturating_add(here::now(), *limit_.duration) : limit_.time;
  if (own >= deadline_) return;  // a deadline around it is nearer, or this one is never
  deadline_ = own;
  timer_.fire = [](TimerNode& self) noexcept { static_cast<Timer&>(self).scope.pass(); };
  if (here::arm(timer_, own)) return;
  close();
  throw std::bad_alloc();
}

void DeadlineScope::pass() noexcept {
  passed_ = CancelReason::deadline(limit_.duration.value_or(Duration::zero()), limit_.where);
  CancelProtocol::request(*this, {.reason = passed_});
}

void DeadlineScope::leave() noexcept {
  if (timer_.is_armed()) here::disarm(timer_);
}

}  // namespace corering::detail
