/// ticks.hpp — the cheapest clock of the machine, and how to turn its ticks into nanoseconds.
#pragma once

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace corering::trace {

/// Returns CLOCK_MONOTONIC_RAW in nanoseconds.
[[nodiscard]] inline std::int64_t raw_clock_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

/// True if the time stamp counter ticks evenly, whatever the core does. Only then may it be used as a clock.
extern const bool use_tsc;

/// Returns the time stamp counter, or else the raw clock.
[[nodiscard]] inline std::uint64_t ticks_now() noexcept {
#if defined(__x86_64__)
  if (use_tsc) return __rdtsc();
#endif
  return static_cast<std::uint64_t>(raw_clock_ns());
}

/// One moment, read on both clocks.
struct ClockPair {
  std::uint64_t ticks = 0;
  std::int64_t ns = 0;

  [[nodiscard]] static ClockPair now() noexcept;
};

/// Turns ticks into nanoseconds along the line through two moments.
class TickScale {
 public:
  TickScale(const ClockPair& from, const ClockPair& to) noexcept;
  [[nodiscard]] std::int64_t ns(std::uint64_t ticks) const noexcept;

 private:
  ClockPair origin_;
  double ns_per_tick_;
};

}  // namespace corering::trace
