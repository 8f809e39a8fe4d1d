/// time.hpp — the one clock of the library, and arithmetic on it that cannot overflow.
#pragma once

#include <chrono>

namespace corering {

/// CLOCK_MONOTONIC, in which the kernel's waits are counted.
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;
static_assert(std::is_same_v<Duration, std::chrono::nanoseconds>, "deadlines are counted in nanoseconds");

/// Returns `from + by`. It stops at TimePoint::max() and min() and does not wrap around.
[[nodiscard]] constexpr TimePoint saturating_add(TimePoint from, Duration by) noexcept {
  if (by > Duration::zero() && from > TimePoint::max() - by) return TimePoint::max();
  if (by < Duration::zero() && from < TimePoint::min() - by) return TimePoint::min();
  return from + by;
}

/// Returns `to - from`. It stops at Duration::max() and min() and does not wrap around.
[[nodiscard]] constexpr Duration saturating_difference(TimePoint to, TimePoint from) noexcept {
  Duration::rep between = 0;
  if (!__builtin_sub_overflow(to.time_since_epoch().count(), from.time_since_epoch().count(), &between)) {
    return Duration(between);
  }
  return to > from ? Duration::max() : Duration::min();
}

}  // namespace corering
