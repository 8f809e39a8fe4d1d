/// any_duration.hpp — a duration as functions take it, in any unit and without overflow.
#pragma once

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <utility>

#include <corering/base/time.hpp>

namespace corering {

/// A duration in any unit, as functions and options take it. What does not fit in nanoseconds becomes
/// Duration::max(), which means "never", or Duration::min(): hours::max() is a long time and does not wrap
/// around.
class AnyDuration {
 public:
  constexpr AnyDuration() noexcept = default;  ///< zero
  template <std::integral Rep, class Period>
    requires std::convertible_to<std::chrono::duration<Rep, Period>, Duration>
  constexpr AnyDuration(std::chrono::duration<Rep, Period> duration) noexcept {  // NOLINT: meant to convert
    using Unit = std::chrono::duration<std::int64_t, Period>;
    if (std::cmp_greater(duration.count(), std::chrono::duration_cast<Unit>(Duration::max()).count())) {
      value_ = Duration::max();
    } else if (std::cmp_less(duration.count(), std::chrono::duration_cast<Unit>(Duration::min()).count())) {
      value_ = Duration::min();
    } else {
      value_ = Unit(static_cast<std::int64_t>(duration.count()));
    }
  }
  constexpr operator Duration() const noexcept { return value_; }  // NOLINT: meant to convert
  friend constexpr auto operator<=>(AnyDuration, AnyDuration) noexcept = default;

 private:
  Duration value_{};
};

}  // namespace corering
