/// scope.cpp — opening, closing, and the walk of a cancellation.
#include <corering/core/scope.hpp>

#include <corering/base/assert.hpp>
#include <corering/core/strand.hpp>

#include "core/loop.hpp"

namespace corering {

void Waiter::begin_wait(Frame* frame) noexcept {
  frame_ = frame;
  if (frame == nullptr || frame->scope == nullptr) return;
  const Loop* const here = Loop::current();
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
  Loop* const here = Loop::current();
  CORERING_ASSERT(here != nullptr,
                  "a deadline, a shield, a group or a combinator was awaited on a thread without a worker: run it in a "
                  "task, as in sync_wait(*worker.spawn(task()))");
  home_ = here;
  const Scope* const around = outer != nullptr ? outer->scope : nullptr;
  if (around != nullptr) strand_ = around->strand_;
  inherit(around, shield);
  here->opened(*this);
  begin_wait(outer);
}

void Scope::close() noexcept {
  end_wait();
  unlink();
  home_ = nullptr;
}

bool Scope::is_home() const noexcept { return Loop::current() == home_; }

void Scope::go_home(PostNode& node) noexcept {
  if (strand_ != nullptr) return strand_->go_home(*home_, node);
  const bool pushed = home_->post_regardless(node);
  CORERING_ASSERT(pushed, "a worker ended before a scope that it had opened");
}

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

void Scope::request_cancel(CancelReason reason) noexcept {
  if (strand_ != nullptr) strand_->request_cancel(*this, reason);
}

void Scope::ask(CancelReason reason) noexcept {
  int none = 0;
  requested_.compare_exchange_strong(none, reason.value(), std::memory_order_release, std::memory_order_relaxed);
}

void Scope::describe(std::string& text) const { text += "what is inside a scope"; }

}  // namespace corering
