/// scope.cpp — opening, closing, and the walk of a cancellation.
#include <corering/engine/here.hpp>
#include <corering/engine/scope.hpp>
#include <corering/engine/strand.hpp>

#include "engine/loop.hpp"

namespace corering {

void Waiter::begin_wait(Frame* frame) noexcept { begin_wait(frame, here::loop()); }

void Waiter::begin_wait(Frame* frame, const Loop* here) noexcept {
  frame_ = frame;
  if (frame == nullptr || frame->scope == nullptr) return;
  frame->scope->waits_for(this, here != nullptr ? here->turn_ticks() : 0);
}

void Scope::inherit(const Scope* outer, Shield shield) noexcept {
  shields_ = shield == Shield::yes;
  shielded_ = shields_ || (outer != nullptr && outer->shielded_);
  if (outer == nullptr || shields_) return;
  reason_ = outer->reason_;
  deadline_ = outer->deadline_;
}

void Scope::open(Frame* outer, Shield shield) noexcept {
  Loop* const here = here::loop();
  engine::require_worker(
      "a deadline, a shield, a group or a stop token was awaited on a thread without a worker: put "
      ".on(worker) "
      "behind the deadline, or run all of it in a task, as in sync_wait(worker.spawn(task()).value())",
      outer);
  engine::require_scope(outer);
  home_ = here;
  strand_ = outer->scope->strand_;
  inherit(outer->scope, shield);
  // A worker that stops has cancelled what was there; this came later, and may be about to leave it.
  if (here->refuses_waits(this) && !cancelled()) reason_ = CancelReason::asked();
  here->opened(*this);
  begin_wait(outer, here);
}

void Scope::close() noexcept {
  end_wait();
  unlink();
  home_ = nullptr;
}

bool Scope::is_home() const noexcept { return here::loop() == home_; }

void Scope::go_home(PostNode& node) noexcept { strand_->go_home(*home_, node); }

Waiter* Scope::cancel(const CancelCause& cause) noexcept {
  if (shields_ && !cause.through_shields) return nullptr;
  // Cancelled before: then only a shield below may still stand.
  if (cancelled() && !cause.through_shields) return nullptr;
  if (!cancelled()) reason_ = cause.reason;
  cancel_members(cause);
  return waiting_;
}

void Scope::cancel_now(const CancelCause& cause) noexcept {
  if (!cancelled()) reason_ = cause.reason;
  cancel_members(cause);
  for (Waiter* next = waiting_; next != nullptr;) next = next->cancel(cause);
}

void Scope::request_cancel(const CancelCause& cause) noexcept { strand_->request_cancel_of(*this, cause); }

void Scope::ask(const CancelCause& cause) noexcept {
  if (cause.through_shields) requested_through_shields_.store(true, std::memory_order_relaxed);
  int none = 0;
  requested_.compare_exchange_strong(none, cause.reason.value(), std::memory_order_release,
                                     std::memory_order_relaxed);
}

CancelCause Scope::take_request() noexcept {
  const CancelReason reason = CancelReason::from_value(requested_.exchange(0, std::memory_order_acquire));
  if (!reason) return {};
  return {.reason = reason,
          .through_shields = requested_through_shields_.exchange(false, std::memory_order_relaxed)};
}

void Scope::describe(std::string& text) const { text += "what is inside a scope"; }

}  // namespace corering
