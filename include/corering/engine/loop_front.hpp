/// loop_front.hpp — the part of a worker's loop that awaiters reach without a call.
///
/// Nearly every operation begins in the same way: an SQE is free, the scope is not cancelled, and nothing is
/// recorded. That takes a few loads and stores in the loop. Every co_await of an operation makes them, so
/// they are inlined there. The loop's functions do everything out of the ordinary.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <corering/base/assert.hpp>
#include <corering/base/thread_word.hpp>
#include <corering/engine/promise_base.hpp>
#include <corering/engine/scope.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/ring.hpp>

namespace corering {

/// The base of Loop.
/// thread: the worker's
class LoopFront {
 public:
  LoopFront(LoopFront&&) = delete;

  /// Returns false if something is out of the ordinary, or is recorded: then begin() must not be called.
  [[nodiscard, gnu::always_inline]] bool may_begin_in(const Scope* scope) const noexcept {
    return !trace::enabled() && may_begin_recorded_in(scope);
  }
  [[nodiscard, gnu::always_inline]] bool may_begin_recorded_in(const Scope* scope) const noexcept {
    return sq_.knows_free_sqe() && scope != nullptr && !scope->is_cancelled();
  }
  /// Returns the SQE, which must be filled at once. From now on `wait` is what the scope waits for.
  [[nodiscard, gnu::always_inline]] Sqe& begin(Wait& wait, Scope& scope) noexcept {
    CORERING_DEBUG_ASSERT(scope.waiting() == nullptr, "a coroutine waits for one thing at a time");
    scope.waits_for(&wait, turn_ticks_);
    ++in_flight_;
    return sq_.take_sqe();
  }
  /// Counts a request that begins. Where the opcode is a constant, this is one instruction.
  [[gnu::always_inline]] void count_begun(const Request& request) noexcept {
    count(begun_[request.head & last_kind]);
    if (request.is_for_a_helper()) count(for_helpers_);
  }
  [[nodiscard]] const Sqe& last_begun() const noexcept { return sq_.last_taken(); }

  /// Returns the loop that this is the front of, or null where no loop runs.
  [[nodiscard]] Loop* loop() const noexcept { return self_; }

 protected:
  /// Adds one to a number that only this thread writes, and that any thread may read.
  [[gnu::always_inline]] static void count(std::uint64_t& number) noexcept {
    const std::atomic_ref counter(number);
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  explicit LoopFront(Loop& self) noexcept : self_(&self) {}
  /// For a front that begins nothing and belongs to no loop.
  struct Nobody {};
  constexpr explicit LoopFront(Nobody) noexcept {}  // it knows of no free SQE
  constexpr ~LoopFront() = default;

  SubmissionQueue sq_;
  std::uint64_t turn_ticks_ = 0;   // the trace's clock, read when this turn began or shortly before
  std::uint64_t in_flight_ = 0;    // operations that the kernel has not answered
  std::uint64_t for_helpers_ = 0;  // requests that a helper thread of the kernel does
  // How many requests of each kind have begun: by opcode, of which there are fewer than 64.
  static constexpr std::uint32_t last_kind = 63;
  static_assert(opcode_names.size() <= last_kind + 1);
  std::array<std::uint64_t, last_kind + 1> begun_{};

 private:
  Loop* self_ = nullptr;
};

namespace here {

/// Returns the front of the loop that runs on the calling thread or, on any other thread, one that begins
/// nothing. "Which worker am I on?" is asked here and nowhere else.
[[nodiscard]] LoopFront& find_front() noexcept;
[[nodiscard, gnu::always_inline]] inline LoopFront& front() noexcept {
  return *static_cast<LoopFront*>(CORERING_THREAD_WORD("corering_front", &find_front()));
}

/// Returns the loop that runs the calling code, or null on a thread without a worker.
[[nodiscard, gnu::always_inline]] inline Loop* loop() noexcept { return front().loop(); }

}  // namespace here

}  // namespace corering
