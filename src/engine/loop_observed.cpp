/// loop_observed.cpp — what a loop tells of itself while somebody records, or keeps times.
#include <cerrno>
#include <utility>

#include "engine/loop.hpp"
#include "trace/probes.hpp"

namespace corering {

using namespace detail;
using trace::Kind;

namespace {

void record_processed(std::uint64_t stamp, const Cqe& cqe) noexcept {
  using namespace detail;
  const std::uint64_t id = (cqe.user_data & tag_bits) == many_tag ? cqe.user_data - many_tag : cqe.user_data;
  trace::record_at(stamp, Kind::processed, trace::no_opcode, reinterpret_cast<const void*>(id),
                   static_cast<std::uint64_t>(static_cast<std::uint32_t>(cqe.res)) << 32 | cqe.flags);
}

const trace::recorder::Limits& limits() noexcept { return trace::recorder::control.limits; }

/// A limit of 0 is none.
bool exceeds(const std::atomic<std::uint64_t>& limit, std::uint64_t ticks) noexcept {
  const std::uint64_t ticks_allowed = limit.load(std::memory_order_relaxed);
  return ticks_allowed != 0 && ticks > ticks_allowed;
}

}  // namespace

[[gnu::noinline]] void Loop::observe_enter(bool may_sleep) noexcept {
  trace::follow_probes();
  const std::uint64_t now = trace::stamp();
  returned_ = 0;
  sleeps_ = may_sleep;
  turns_until_clock_ = 0;
  LoopTimes* const times = wanted_times();
  if (times != nullptr) times->note_enter(now, in_flight_);
  counters_.in_flight.set(in_flight_);
  counters_.ready.set(ready_.size());
  counters_.timers.set(timers_.size());
  if (trace::enabled()) record_call(now, may_sleep);
  end_observed_turn(now);
  if (times != nullptr) times->show(now);
}

// Does nothing if nobody noted when it began.
void Loop::end_observed_turn(std::uint64_t now) noexcept {
  trace::keep_what_was_noticed();
  const std::uint64_t began = std::exchange(turn_began_, 0);
  LoopTimes* const times = wanted_times();
  if (began == 0 || times == nullptr) return;
  times->note_turn(began, now);
  if (trace::captures() && exceeds(limits().stall, now - began)) keep_stall(began, now);
}

void Loop::observe_end() noexcept {
  const std::uint64_t now = trace::stamp();
  if (trace::enabled()) cpu_watch_.before_enter(now, this);
  end_observed_turn(now);
  if (LoopTimes* const times = wanted_times(); times != nullptr) times->show(0);
}

// ---- what is kept ----

void Loop::keep_stall(std::uint64_t began, std::uint64_t now) const noexcept {
  const auto id = reinterpret_cast<std::uintptr_t>(this);
  trace::notice({.why = trace::KeptFor::stall, .id = id, .since = began, .now = now});
  trace::keep_what_was_noticed();
}

namespace {

bool is_slow(LoopTimes& times, std::uint8_t opcode, std::uint64_t took) noexcept {
  const std::uint64_t share = limits().share.load(std::memory_order_relaxed);
  return exceeds(limits().slow, took) ||
         (share != 0 && took > times.slow(opcode, static_cast<double>(share) * 1e-6));
}

// Who cancels an operation knows that it fails.
bool has_failed(std::int32_t res) noexcept {
  return res < 0 && res != -ECANCELED && limits().failed.load(std::memory_order_relaxed) != 0;
}

[[gnu::noinline]] void notice_if_slow(LoopTimes& times, std::uint8_t opcode, std::int32_t res,
                                      trace::Noticed ended) noexcept {
  const bool failed = has_failed(res);
  if (!is_slow(times, opcode, ended.now - ended.since) && !failed) return;
  ended.why = failed ? trace::KeptFor::failed : trace::KeptFor::slow;
  trace::notice(ended);
}

}  // namespace

// ---- waits ----

[[gnu::noinline]] void Loop::note_lateness(TimePoint now) noexcept {
  const Duration late = now - wait_is_due_;
  lateness_.add(static_cast<std::uint64_t>(late.count()));
  counters_.timed_waits.add();
  if (late >= late_wait) counters_.late_waits.add();
}

// For a turn that somebody else asked for: what they do until the next one does not make its wait late.
void Loop::note_end_of_wait() noexcept {
  if (wait_is_due_ == TimePoint::max()) return;
  if (const TimePoint now = kernel_.now(); wait_is_due_ <= now) note_lateness(now);
  wait_is_due_ = TimePoint::max();
}

// ---- times ----

LoopTimes* Loop::wanted_times() noexcept {
  LoopTimes* times = times_.load(std::memory_order_relaxed);
  if (times == nullptr) times_.store(times = LoopTimes::make(), std::memory_order_release);
  return times;
}

/// Returns the time at which the kernel was left, for all that happens then.
std::uint64_t Loop::time_of_return() noexcept {
  if (returned_ == 0) returned_ = trace::stamp();
  if (std::exchange(sleeps_, false)) woken_ = returned_;
  return returned_;
}

// The same as work(). Without memory nothing happens. While a coroutine runs, turn_ticks_ is the time at
// which that began: so this is also when the operations that it awaits begin.
bool Loop::has_observed_work() {
  LoopTimes* const times = wanted_times();
  if (times == nullptr) return false;
  turns_until_clock_ = 0;  // the next one, too, even if this one need not enter the kernel
  end_observed_turn(turn_ticks_);
  turn_began_ = turn_ticks_;
  times->forget_popped();
  std::size_t until_popped = ready_.size();
  if (!mailbox_.queue().empty()) drain_posts();
  if (!timers_.empty()) expire_timers();
  bytes_to_read_now_ = read_now_budget;
  for (std::size_t ran = 0; ran < ready_budget && !ready_.empty(); ++ran) {
    if (until_popped > 0) {
      --until_popped;
    } else if (times->has_popped()) {
      times->note_dispatched(turn_began_, turn_ticks_);
    }
    ready_.run(1);
    const std::uint64_t now = trace::stamp();
    times->note_run(now - turn_ticks_);
    turn_ticks_ = now;
  }
  return true;
}

void Loop::observe_popped(std::uint32_t pushed) noexcept {
  if (LoopTimes* const times = wanted_times(); times != nullptr && turn_began_ != 0)
    times->note_popped(pushed, woken_, turn_began_);
}

void Loop::observe_plain(std::uint64_t now, const Cqe& cqe) noexcept {
  if (trace::enabled()) record_processed(now, cqe);
  const auto& completion = *reinterpret_cast<const Completion*>(cqe.user_data);
  if (!completion.is_with_kernel()) return;  // file_rare() says that this cannot be
  LoopTimes* const times = wanted_times();
  if (times == nullptr || completion.promise_ == nullptr || completion.promise_->scope == nullptr) return;
  times->note_answered(static_cast<std::uint8_t>(completion.opcode()),
                       completion.promise_->scope->waiting_since(), now, cqe.res < 0);
}

void Loop::observe_tagged(std::uint64_t now, const Cqe& cqe) const noexcept {
  if (trace::enabled()) record_processed(now, cqe);
}

void Loop::observe_resumed(const Completion& completion) noexcept {
  LoopTimes* const times = wanted_times();
  if (times == nullptr || completion.promise_ == nullptr || completion.promise_->scope == nullptr) return;
  const auto opcode = static_cast<std::uint8_t>(completion.opcode());
  const std::uint64_t since = completion.promise_->scope->waiting_since();
  CORERING_DEBUG_ASSERT(since <= turn_ticks_, "an operation begins before its coroutine has the result");
  times->note_resumed(opcode, completion.since_reaped(turn_ticks_), turn_ticks_ - since);
  if (trace::captures())
    notice_if_slow(*times, opcode, completion.reply_.res,
                   {.id = completion.user_data(), .since = since, .now = turn_ticks_});
}

// ---- events ----

[[gnu::noinline]] void Loop::record_call(std::uint64_t now, bool may_sleep) noexcept {
  trace::record_at(now, Kind::submitted, trace::no_opcode, this, ring_.unsubmitted(), may_sleep ? 1 : 0);
  cpu_watch_.before_enter(now, this);
}

[[gnu::noinline]] void Loop::observe_return(trace::Kind kind, int result) noexcept {
  returned_ = trace::stamp();
  trace::record_at(returned_, kind, trace::no_opcode, this, static_cast<std::uint64_t>(result));
  cpu_watch_.after_enter(returned_, this);
  if (ring_.has_overflown()) trace::record_at(returned_, Kind::cq_overflowed, trace::no_opcode, this);
}

}  // namespace corering
