/// any_time_point.hpp — a point in time as functions take it, in any unit and without overflow.
#pragma once

#include <chrono>
#include <concepts>

#include <corering/base/any_duration.hpp>

namespace corering {

/// A time of the library's clock in any unit; see AnyDuration.
class AnyTimePoint {
 public:
  template <class Unit>
    requires std::convertible_to<Unit, AnyDuration>
  constexpr AnyTimePoint(std::chrono::time_point<Clock, Unit> time) noexcept  // NOLINT: meant to convert
      : value_(AnyDuration(time.time_since_epoch())) {}
  constexpr operator TimePoint() const noexcept { return value_; }  // NOLINT: meant to convert

 private:
  TimePoint value_;
};

}  // namespace corering
