/// loop_times.hpp — how long a loop's operations, turns and tasks took, as histograms.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <corering/trace/histogram.hpp>

#include "engine/times_memory.hpp"

namespace corering {

/// In ticks of the trace's clock: whoever reads knows how long these are.
/// thread: the worker's adds, any reads; other processes read, too
class LoopTimes {
 public:
  struct Kind {
    trace::Histogram total;
    trace::Histogram batch;
    trace::Histogram kernel;
    trace::Histogram resume;
    std::atomic<std::uint64_t> errors = 0;
  };
  static constexpr std::size_t most_kinds = 128;  // opcodes

  /// What lies in the shared memory. At first, all of it is zero.
  struct Shared {
    /// Of all workers of the process only this one ever has it; 0: the slot is empty.
    std::atomic<std::uint32_t> number = 0;
    std::array<char, 16> worker{};
    std::atomic<std::uint64_t> in_flight = 0;
    std::array<std::atomic<bool>, most_kinds> has_occurred{};
    /// How long the worker was busy in a turn, from its begin to the call of io_uring_enter(2).
    trace::Histogram turns;
    trace::Histogram queue;
    trace::Histogram wake;
    trace::Histogram dispatch;
    trace::Histogram wake_to_run;
    trace::Histogram run;
    std::atomic<std::uint64_t> stalls = 0;
    std::array<Kind, most_kinds> kinds{};

    /// Returns null for operations that have not occurred.
    [[nodiscard]] const Kind* kind(std::uint8_t opcode) const noexcept {
      const std::size_t index = opcode % most_kinds;
      return has_occurred[index].load(std::memory_order_acquire) ? &kinds[index] : nullptr;
    }
  };
  static constexpr std::size_t bytes = (sizeof(Shared) + 4095) / 4096 * 4096;

  /// Returns null if there is no memory. The times are those of the calling thread.
  [[nodiscard]] static LoopTimes* make() noexcept;
  explicit LoopTimes(TimesMemory::Slot slot) noexcept;
  LoopTimes(LoopTimes&&) = delete;
  ~LoopTimes();

  /// An operation is answered, or its coroutine has the result.
  void note_answered(std::uint8_t opcode, std::uint64_t since, std::uint64_t now, bool has_failed) noexcept;
  void note_resumed(std::uint8_t opcode, std::uint64_t resume, std::uint64_t total) noexcept {
    shared_->kinds[opcode % most_kinds].resume.add(resume);
    shared_->kinds[opcode % most_kinds].total.add(total);
  }
  /// Returns what is slow for this kind.
  [[nodiscard]] std::uint64_t slow(std::uint8_t opcode, double share) noexcept;

  /// A turn ends where it calls io_uring_enter(2), or would call it.
  void note_turn(std::uint64_t began, std::uint64_t now) noexcept;
  void note_enter(std::uint64_t now, std::uint64_t in_flight) noexcept {
    enter_at_[enters_++ % most_enters] = now;
    shared_->in_flight.store(in_flight, std::memory_order_relaxed);
  }

  /// PostNode::pushed: the low bits of the time, in units of 64 ticks.
  [[nodiscard]] static std::uint32_t units_of(std::uint64_t stamp) noexcept {
    return static_cast<std::uint32_t>(stamp / ticks_per_unit) | 1;
  }
  /// A coroutine came out of the queue, in a turn that began at `now`; `woken` is when the worker last woke.
  void note_popped(std::uint32_t pushed, std::uint64_t woken, std::uint64_t now) noexcept;
  /// The next of those, in their order, runs.
  void note_dispatched(std::uint64_t popped, std::uint64_t now) noexcept;
  void forget_popped() noexcept { popped_ = dispatched_ = 0; }
  [[nodiscard]] bool has_popped() const noexcept { return dispatched_ < popped_; }
  void note_run(std::uint64_t ticks) noexcept { shared_->run.add(ticks); }

  /// Shows them in the trace file, if that was long ago or `now` is 0.
  void show(std::uint64_t now) noexcept;

  [[nodiscard]] const Shared& shared() const noexcept { return *shared_; }

 private:
  static constexpr std::uint64_t ticks_per_unit = 64;
  static constexpr std::uint64_t most_enters = 256;  // that are remembered
  static constexpr std::size_t most_popped = 256;

  // What is slower than Capture::slower_than_share; the worker asks the histogram now and then.
  struct Slow {
    std::uint64_t limit = UINT64_MAX;
    std::uint64_t until_asked = 1000;
  };

  [[nodiscard]] static std::uint64_t since(std::uint32_t units, std::uint64_t now) noexcept {
    const auto later = static_cast<std::int32_t>(units_of(now) - units);
    return later > 0 ? ticks_per_unit * static_cast<std::uint64_t>(later) : 0;  // it came in this turn
  }
  [[nodiscard]] std::uint64_t enter(std::uint64_t number) const noexcept {
    return enter_at_[number % most_enters];
  }
  [[nodiscard]] std::uint64_t first_enter_after(std::uint64_t since) const noexcept;

  TimesMemory::Slot slot_;
  Shared* shared_;
  std::uint64_t longest_;  // a turn that takes more ticks is a stall
  std::array<Slow, most_kinds> slow_{};
  std::array<std::uint64_t, most_enters> enter_at_{};
  std::uint64_t enters_ = 0;
  std::array<std::uint32_t, most_popped> pushed_{};  // of those that came out of the queue in this turn
  std::size_t popped_ = 0;
  std::size_t dispatched_ = 0;
  std::uint64_t shown_ = 0;  // when
};

}  // namespace corering
