/// loop_front.hpp — the part of a worker's loop that awaiters reach without a call.
///
/// Nearly every operation begins in the same way: an SQE is free, the scope is not cancelled, nothing is
/// recorded. That is a few loads and stores in the loop, which every co_await of an operation makes, so they
/// are inlined there. What is out of the ordinary is behind the loop's functions.
#pragma once

#include <cstdint>

#include <corering/base/assert.hpp>
#include <corering/base/thread_word.hpp>
#include <corering/engine/promise_base.hpp>
#include <corering/engine/scope.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/ring.hpp>

namespace corering {

/// The base of Loop. Belongs to the worker's thread.
class LoopFront {
 public:
  LoopFront(LoopFront&&) = delete;

  /// False when something is out of the ordinary, or recorded: begin() is not for now.
  [[nodiscard, gnu::always_inline]] bool may_begin_in(const Scope* scope) const noexcept {
    return !trace::enabled() && may_begin_recorded_in(scope);
  }
  [[nodiscard, gnu::always_inline]] bool may_begin_recorded_in(const Scope* scope) const noexcept {
    return !looks_closer_ && sq_.knows_free_sqe() && scope != nullptr && !scope->is_cancelled();
  }
  /// The SQE, to be filled at once, for what `wait` is from now on, in that scope.
  [[nodiscard, gnu::always_inline]] Sqe& begin(Wait& wait, Scope& scope) noexcept {
    CORERING_DEBUG_ASSERT(scope.waiting() == nullptr, "a coroutine waits for one thing at a time");
    scope.waits_for(&wait, turn_ticks_);
    ++in_flight_;
    return sq_.take_sqe();
  }
  [[nodiscard]] const Sqe& last_begun() const noexcept { return sq_.last_taken(); }

  /// The loop it is the front of; null where no loop runs.
  [[nodiscard]] Loop* loop() const noexcept { return self_; }

 protected:
  explicit LoopFront(Loop& self) noexcept : self_(&self) {}
  /// Begins nothing, and belongs to no loop.
  struct Nobody {};
  constexpr explicit LoopFront(Nobody) noexcept : looks_closer_(true) {}
  constexpr ~LoopFront() = default;

  SubmissionQueue sq_;
  std::uint64_t turn_ticks_ = 0;  // the trace's clock, read when this turn began or shortly before
  std::uint64_t in_flight_ = 0;   // operations the kernel has not answered
  bool looks_closer_ = false;     // stopping, or operations are parked: begin() is not for now

 private:
  Loop* self_ = nullptr;
};

namespace here {

/// That of the loop that runs on the calling thread; on any other thread one that begins nothing. "Which
/// worker am I on?" is asked here and nowhere else.
[[nodiscard]] LoopFront& find_front() noexcept;
[[nodiscard, gnu::always_inline]] inline LoopFront& front() noexcept {
  return *static_cast<LoopFront*>(CORERING_THREAD_WORD("corering_front", &find_front()));
}

/// The loop that runs the calling code, or null on a thread without a worker.
[[nodiscard, gnu::always_inline]] inline Loop* loop() noexcept { return front().loop(); }

}  // namespace here

}  // namespace corering
