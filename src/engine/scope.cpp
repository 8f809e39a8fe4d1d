/// scope.cpp — opening, closing, and what a scope does when a cancellation reaches it.
#include <cerrno>

#include <corering/engine/here.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/scope.hpp>
#include <corering/engine/strand.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {

namespace {

/// A consumer waits for its next value, and a task for others, without anything being slow.
bool is_for_what_others_have(trace::WaitFor what) noexcept {
  using enum trace::WaitFor;
  return what == mutex || what == semaphore || what == channel_room || what == pool;
}

}  // namespace

void Wait::begin_wait(PromiseBase* promise) noexcept { begin_wait(promise, here::loop()); }

void Wait::begin_wait(PromiseBase* promise, const Loop* here) noexcept {
  promise_ = promise;
  if (promise == nullptr || promise->scope == nullptr) return;
  promise->scope->waits_for(this, here != nullptr ? here->turn_ticks() : 0);
}

void Wait::record_begin(std::coroutine_handle<> coroutine) const noexcept {
  trace::record(trace::Kind::wait_begins, static_cast<std::uint8_t>(name_in_trace()), this,
                task_in_trace(promise_, coroutine),
                promise_ != nullptr ? trace::key_of(promise_->awaiting) : 0);
}

void Wait::record_end(bool got) const noexcept {
  trace::record(trace::Kind::wait_ends, static_cast<std::uint8_t>(name_in_trace()), this, got ? 1 : 0);
  if (trace::captures() && is_for_what_others_have(name_in_trace())) notice_if_slow();
}

// A wait begins in the turn that its scope remembers.
void Wait::notice_if_slow() const noexcept {
  const std::uint64_t limit = trace::recorder::control.limits.slow.load(std::memory_order_relaxed);
  if (limit == 0 || promise_ == nullptr || promise_->scope == nullptr) return;
  const std::uint64_t since = promise_->scope->waiting_since(), now = trace::stamp();
  CORERING_DEBUG_ASSERT(since <= now, "a wait begins before it ends");
  if (since == 0 || now - since <= limit) return;
  trace::notice({.why = trace::KeptFor::waited,
                 .id = reinterpret_cast<std::uintptr_t>(this),
                 .since = since,
                 .now = now});
}

void Wait::record_cancel(const CancelReason& reason) const noexcept {
  const bool is_deadline = reason && reason != CancelReason::asked();
  trace::record(trace::Kind::cancel_asked, trace::no_opcode, this, is_deadline ? ETIMEDOUT : ECANCELED,
                is_deadline ? trace::key_of(reason.where_set()) : 0);
}

std::error_code cancellation_error(const PromiseBase* promise) noexcept {
  const bool cancelled = promise != nullptr && promise->scope != nullptr && promise->scope->is_cancelled();
  return (cancelled ? promise->scope->reason() : CancelReason::asked()).error();
}

void require_scope(const PromiseBase* promise) noexcept {
  if (promise != nullptr && promise->scope != nullptr && promise->scope->strand() != nullptr) return;
  fail_assertion("a task of the library is at the root",
                 "a coroutine of another library can await operations, sleeps, hops and joins; for "
                 "everything else, start a task of this library with spawn()",
                 place_of(promise));
}

void Scope::inherit(const Scope* outer, Shield shield) noexcept {
  shields_ = shield == Shield::yes;
  shielded_ = shields_ || (outer != nullptr && outer->shielded_);
  if (outer == nullptr || shields_) return;
  reason_ = outer->reason_;
  deadline_ = outer->deadline_;
}

void Scope::open(PromiseBase* outer, Shield shield) noexcept {
  Loop* const here = here::loop();
  here::require_worker(
      "a deadline, a shield, a group or a stop token was awaited on a thread without a worker: put "
      ".on(worker) "
      "after the deadline, or run all of it in a task, as in sync_wait(worker.spawn(task()).value())",
      outer);
  require_scope(outer);
  CORERING_ASSERT(home_ == nullptr, "a scope is opened once at a time");
  home_ = here;
  strand_ = outer->scope->strand_;
  inherit(outer->scope, shield);
  // A worker that stops has cancelled what was there. This scope came later, and may be about to leave the
  // worker.
  if (here->refuses_waits(this) && !is_cancelled()) reason_ = CancelReason::asked();
  here->opened(*this);
  begin_wait(outer, here);
}

void Scope::close() noexcept {
  CORERING_ASSERT(is_home(), "a scope is closed on the worker that opened it");
  end_wait();
  unlink();
  home_ = nullptr;
}

bool Scope::is_home() const noexcept { return here::loop() == home_; }

void Scope::go_home(PostNode& node) noexcept { strand_->go_home(*home_, node); }

Wait* Scope::cancel(const CancelCause& cause) noexcept {
  if (shields_ && !cause.through_shields) return nullptr;
  // It was cancelled before, so only a shield below it may still stand.
  if (is_cancelled() && !cause.through_shields) return nullptr;
  note_reason(cause.reason);
  cancel_members(cause);
  return waiting_;
}

void Scope::describe(std::string& text) const { text += "what is inside a scope"; }

}  // namespace corering
