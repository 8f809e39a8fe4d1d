/// ticks.hpp — the cheapest clock there is, and the way from its ticks to nanoseconds.
#pragma once

#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace corering::trace {

/// CLOCK_MONOTONIC_RAW in nanoseconds.
[[nodiscard]] inline std::int64_t raw_clock_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

/// True where the time stamp counter ticks evenly, whatever the core does: only there it may stand for time.
extern const bool use_tsc;

/// The time stamp counter, or else the raw clock.
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

/// The line through two moments.
class TickScale {
 public:
  TickScale(const ClockPair& from, const ClockPair& to) noexcept;
  [[nodiscard]] std::int64_t ns(std::uint64_t ticks) const noexcept;

 private:
  ClockPair origin_;
  double ns_per_tick_;
};

}  // namespace corering::trace
