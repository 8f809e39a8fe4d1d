/// cancel_protocol.cpp — the two ways of a cancellation, in the order of their steps.
#include <memory>
#include <mutex>

#include <corering/base/assert.hpp>
#include <corering/engine/cancel_protocol.hpp>
#include <corering/engine/cancel_walk.hpp>
#include <corering/engine/strand.hpp>

#include "engine/loop.hpp"

namespace corering {

// ---- asked for, on any thread ----

void CancelProtocol::request(Scope& scope, const CancelCause& cause) noexcept {
  Strand& strand = *scope.strand_;
  const Loop* const here = here::loop();
  {
    const std::lock_guard lock(strand.lock_);
    if (strand.location_ == nullptr) return;  // the strand has ended
    if (strand.location_ != here) {
      leave_request(scope, cause);
      if (!strand.message_under_way_) send_message(strand);
      return;
    }
  }
  cancel_here(scope, cause);
}

void CancelProtocol::cancel_member(Strand& member, const CancelCause& cause) noexcept {
  if (!member.is_here()) return request(member, cause);
  if (cause.walk != nullptr) return cause.walk->line_up(member);
  walk(&member, cause);
}

// ---- the first way: down, on this thread ----

void CancelProtocol::cancel_here(Scope& scope, const CancelCause& cause) noexcept {
  scope.note_reason(cause.reason);
  scope.cancel_members(cause);
  walk(scope.waiting_, cause);
}

void CancelProtocol::walk(Wait* first, const CancelCause& cause) noexcept {
  CancelWalk(cause).go_down_from(first);
}

// ---- the second way: a request in the scope, and a message to its worker ----

void CancelProtocol::leave_request(Scope& scope, const CancelCause& cause) noexcept {
  if (cause.through_shields) scope.requested_through_shields_.store(true, std::memory_order_relaxed);
  int none = 0;
  scope.requested_.compare_exchange_strong(none, cause.reason.value(), std::memory_order_release,
                                           std::memory_order_relaxed);
}

// To be called with the strand's lock held.
void CancelProtocol::send_message(Strand& strand) noexcept {
  strand.message_under_way_ = true;
  std::construct_at(&strand.message_, &message_arrived);
  strand.message_.strand = &strand;
  // That worker hosts the strand, so it cannot have ended.
  const bool pushed = strand.location_->mailbox().post_regardless(strand.message_);
  CORERING_ASSERT(pushed, "a worker ended while it hosted a strand");
}

void CancelProtocol::message_arrived(PostNode& node, Loop& here) noexcept {
  Strand& strand = *node.strand;
  bool ended = false;
  {
    const std::lock_guard lock(strand.lock_);
    CORERING_ASSERT(strand.message_under_way_, "a strand's message arrived although none was under way");
    strand.message_under_way_ = false;
    ended = strand.ended_;
    if (!ended && strand.location_ != &here) return send_message(strand);  // it has moved on: follow it
  }
  if (ended) return strand.on_end();
  take_every_request(strand);  // the strand is here, and stays here while we are in this call
}

void CancelProtocol::take_every_request(Strand& strand) noexcept {
  for (Wait* next = &strand; next != nullptr;) {
    Scope* const scope = next->as_scope();
    if (scope == nullptr) return;
    if (const CancelCause cause = take_request(*scope); cause.reason) cancel_here(*scope, cause);
    next = scope->waiting();
  }
}

CancelCause CancelProtocol::take_request(Scope& scope) noexcept {
  const CancelReason reason =
      CancelReason::from_value(scope.requested_.exchange(0, std::memory_order_acquire));
  if (!reason) return {};
  return {.reason = reason,
          .through_shields = scope.requested_through_shields_.exchange(false, std::memory_order_relaxed)};
}

}  // namespace corering
