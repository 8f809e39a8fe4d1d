/// loop_counters.hpp — what a loop counts while it runs; it costs two instructions a turn.
#pragma once

#include <atomic>
#include <cstdint>

namespace corering {

/// One thread writes it, and any thread may read it.
class Counter {
 public:
  void add(std::uint64_t more = 1) noexcept { set(get() + more); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

/// Each turn adds to one of the first three, and to the next one: two instructions are all that it may cost.
/// thread: the worker's writes, any reads
struct LoopCounters {
  Counter sleeps;         ///< turns that called io_uring_enter(2), which could wait
  Counter peeks;          ///< turns that called it without a wait
  Counter skipped;        ///< turns that did not have to call it
  Counter submitted;      ///< SQEs
  Counter failed_enters;  ///< calls that the kernel refused for now
  Counter woken;          ///< times that a post woke the worker from its sleep
  Counter posts;          ///< what other threads have posted
  Counter parked;         ///< operations that found no SQE
  Counter timed_waits;    ///< sleeps that were to end with a timer, and lasted until then
  Counter late_waits;     ///< those that ended late_wait or more after that
  // While times are kept: CQEs, and what there was when the worker last entered the kernel.
  Counter completed;
  Counter in_flight;
  Counter ready;
  Counter timers;
};

}  // namespace corering
