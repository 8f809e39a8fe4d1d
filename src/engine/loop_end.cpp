/// loop_end.cpp — how a loop is drained, how it stops, and what it waits for before it is gone.
#include <algorithm>
#include <utility>

#include <corering/engine/cancel_protocol.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {

using namespace detail;

namespace {

constexpr Duration poster_nap = std::chrono::microseconds(20);
constexpr Duration shortest_patience = std::chrono::milliseconds(10);  // between two reports

}  // namespace

// ---- draining ----

QueuedWait::Line& Loop::begin_drain() noexcept {
  mailbox_.refuse_posts();
  return drainers_;
}

namespace {

/// Returns the strand at the root of the tree of members to which this one belongs.
const Strand& top_of(const Strand& strand) noexcept {
  const Strand* top = &strand;
  while (top->parent() != nullptr) top = top->parent();
  return *top;
}

}  // namespace

void Loop::release_drained() noexcept {
  if (!only_drains()) return;
  while (!drainers_.empty()) drainers_.front().wake();
}

// Returns true if every strand that is here, or expected here, belongs to the tree of a strand that drains.
// The first other one is enough, and it is found first the next time: among many tasks that wait, a turn
// looks at one.
bool Loop::only_drains() noexcept {
  if (!mailbox_.queue().empty() || !orphans_.empty()) return false;
  const auto is_other = [this](const Strand& strand) {
    bool drains = false;
    drainers_.for_each([&](const QueuedWait& drainer) {
      drains = drains || &top_of(*drainer.promise()->scope->strand()) == &top_of(strand);
    });
    return !drains;
  };
  const auto is_of_other = [&is_other](const Scope& scope) { return is_other(*scope.strand()); };
  return strands_.bring_to_front(is_other) == nullptr &&
         scopes_.bring_to_front(is_of_other) == nullptr;  // some of these are elsewhere
}

// ---- stopping ----

bool Loop::may_work_while_stopping(const Scope* scope) const noexcept {
  return shields_hold_ && scope != nullptr && scope->is_shielded();
}

void Loop::begin_stop() noexcept {
  stopping_ = true;
  sq_.hide_free_sqes(true);
  if (trace::enabled()) [[unlikely]]
    trace::record(trace::Kind::stopping, trace::no_opcode, this);
  mailbox_.refuse_posts();
  patience_ends_ = saturating_add(kernel_.now(), options_.stop_patience);
  cancel_everything(!shields_hold_);
}

namespace {

/// The part of a strand that its worker must cancel: what lies below the scopes that other workers have
/// opened.
struct OwnPart {
  Wait* first;
  bool in_a_shield;  ///< in a shield that lies above it, or around the whole strand
};

OwnPart own_part_of(Strand& strand, const Loop& here) noexcept {
  OwnPart own{.first = &strand, .in_a_shield = strand.is_shielded()};
  for (Scope* scope = &strand; scope != nullptr;) {
    Wait* const below = scope->waiting();
    if (scope->home() != nullptr && scope->home() != &here) {
      own = {.first = below, .in_a_shield = scope->is_shielded()};
    }
    scope = below != nullptr ? below->as_scope() : nullptr;
  }
  return own;
}

}  // namespace

void Loop::cancel_everything(bool through_shields) noexcept {
  const CancelCause cause{.reason = CancelReason::asked(), .through_shields = through_shields};
  strands_.for_each([this, &cause](Strand& strand) {
    const OwnPart own = own_part_of(strand, *this);
    if (own.in_a_shield && !cause.through_shields) return;
    CancelProtocol::walk(own.first, cause);
  });
  // These are coroutines that must come back, wherever they are.
  scopes_.for_each([&cause](Scope& scope) {
    if (cause.through_shields || !scope.is_shielded()) CancelProtocol::request(scope, cause);
  });
  while (!orphans_.empty()) orphans_.front().cancel(cause);
  // Those that are answered may park something again, so the list is taken first.
  IntrusiveList<Completion> parked;
  while (!parked_.empty()) parked.push_back(parked_.pop_front());
  while (!parked.empty()) {
    Completion& completion = parked.pop_front();
    parked_.push_back(completion);
    if (completion.promise_ == nullptr || completion.promise_->scope == nullptr)
      answer(completion, -ECANCELED);
  }
}

void Loop::lose_patience() noexcept {
  shields_hold_ = false;
  patience_ends_ = saturating_add(kernel_.now(), std::max(options_.stop_patience, shortest_patience));
  options_.on_stuck();  // before what is stuck is let go: another worker may be quick
  cancel_everything(true);
}

bool Loop::is_quiet() const noexcept {
  return in_flight_ == 0 && cancels_.asked() == 0 && closes_in_flight_ == 0 && expected_homecomings_ == 0 &&
         ready_.empty() && parked_.empty() && timers_.empty() && strands_.empty() && scopes_.empty();
}

// The queue is closed: posters cannot take the asleep mark any more, and those that took it are counted.
void Loop::end() noexcept {
  CORERING_ASSERT(stopping_ && is_quiet(), "a loop ends when nothing is left");
  await_promised_wakes();
  cancel_wake_read();
  detach();
}

// If we closed the eventfd while a poster is about to write it, the poster would write to whatever gets the
// number next. A poster is about to write for a moment only, unless it has lost its processor.
void Loop::await_promised_wakes() noexcept {
  mailbox_.queue().await_wakes([this](const auto&, std::uint64_t) { kernel_.nap(poster_nap); });
}

void Loop::cancel_wake_read() noexcept {
  bool asked = false;
  while (mailbox_.is_wake_read_armed() || cancels_.asked() > 0) {
    if (Sqe* const sqe = asked ? nullptr : find_sqe(); sqe != nullptr) {
      cancels_.fill_for_own(*sqe, wake_read_tag, control_tag);
      asked = true;
    }
    wait_for_kernel();
  }
}

void Loop::detach() noexcept {
  CORERING_ASSERT(is_quiet() && cancels_.empty() && orphans_.empty(),
                  "a ring is closed when the kernel knows nothing of ours any more");
  while (!resources_.empty()) resources_.pop_front().ring_closes();
  for (Uses& uses : uses_) {
    while (!uses.uses.empty()) (void)uses.uses.pop_front();  // streams have ended, and may outlive us
  }
  ring_.close();
  mailbox_.close();
  ended_ = true;
}

void Loop::begin_to_refuse() noexcept {
  if (ended_) return;
  const Running here(*this);
  shields_hold_ = false;  // without a ring, no clean-up is possible
  begin_stop();
}

bool Loop::refuse_what_is_there() noexcept {
  const Running here(*this);
  while (!ended_ && (!mailbox_.queue().empty() || !ready_.empty())) {
    drain_posts();
    ready_.run(ready_budget);
  }
  ended_ = ended_ || (is_quiet() && mailbox_.queue().try_close());
  return ended_;
}

void Loop::refuse_everything() noexcept {
  begin_to_refuse();
  while (!refuse_what_is_there()) kernel_.nap(memory_nap);  // for the coroutines that are still away
}

}  // namespace corering
