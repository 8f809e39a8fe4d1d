/// ticks.hpp — the cheapest clock of the machine, and how to turn its ticks into nanoseconds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <ctime>

#include "trace/layout.hpp"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace corering::trace {

/// Returns a clock of the kernel in nanoseconds.
[[nodiscard]] inline std::int64_t clock_ns(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

/// True if the time stamp counter ticks evenly, whatever the core does. Only then may it be used as a clock.
extern bool use_tsc;

/// Returns the time stamp counter, or else the raw clock.
[[nodiscard]] inline std::uint64_t ticks_now() noexcept {
#if defined(__x86_64__)
  if (use_tsc) [[likely]]
    return __rdtsc();
#endif
  return static_cast<std::uint64_t>(clock_ns(CLOCK_MONOTONIC_RAW));
}

/// Reads all clocks at one moment.
[[nodiscard]] layout::Moment moment_now() noexcept;

/// Returns how long a tick is, as measured since the program began.
[[nodiscard]] double ns_per_tick() noexcept;

/// Returns a time that a file says, or the nearest one within 36 years of zero: the difference of any two can
/// be written down.
[[nodiscard]] inline std::int64_t believable_time(std::int64_t ns) noexcept {
  return std::clamp(ns, -(std::int64_t{1} << 60), std::int64_t{1} << 60);
}

/// Turns ticks into nanoseconds of CLOCK_MONOTONIC_RAW along the line through two moments. Whatever the
/// moments are, the results are within 73 years of zero.
class TickScale {
 public:
  TickScale(const layout::Moment& from, const layout::Moment& to) noexcept;
  [[nodiscard]] std::int64_t ns(std::uint64_t ticks) const noexcept;
  [[nodiscard]] double ns_per_tick() const noexcept { return ns_per_tick_; }

 private:
  layout::Moment origin_;
  double ns_per_tick_;
};

}  // namespace corering::trace
