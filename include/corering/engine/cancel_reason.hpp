/// cancel_reason.hpp — why something was cancelled, as an error code that tells which deadline passed.
#pragma once

#include <source_location>
#include <system_error>

#include <corering/base/time.hpp>

namespace corering {

/// The category of errors that say how long the deadline was and where in the source it was set. They compare
/// equal to `std::errc::timed_out`.
[[nodiscard]] const std::error_category& deadline_category() noexcept;

/// Why a scope is cancelled. It is one int, so it is cheap to pass around.
class CancelReason {
 public:
  CancelReason() noexcept = default;

  /// Somebody asked for it: `std::errc::operation_canceled`.
  [[nodiscard]] static CancelReason asked() noexcept { return CancelReason(-1); }

  /// The deadline set at `where` has passed; `asked_for` is zero if the deadline was a point in time. It
  /// allocates nothing. It remembers the places of the first 511 deadlines in the source that pass.
  /// thread: any
  [[nodiscard]] static CancelReason deadline(Duration asked_for, std::source_location where) noexcept;

  [[nodiscard]] explicit operator bool() const noexcept { return value_ != 0; }
  [[nodiscard]] std::error_code error() const noexcept;

  /// Returns where the deadline was set, or no place (line 0) if it is none or was not remembered.
  [[nodiscard]] std::source_location where_set() const noexcept;

  /// The reason as an int that is not 0, and the way back.
  [[nodiscard]] int value() const noexcept { return value_; }
  [[nodiscard]] static CancelReason from_value(int value) noexcept { return CancelReason(value); }

  friend bool operator==(CancelReason, CancelReason) noexcept = default;

 private:
  explicit CancelReason(int value) noexcept : value_(value) {}

  int value_ = 0;  // 0: none; -1: asked; above: the deadline category's value
};

}  // namespace corering
