/// setup_error.hpp — why a worker could not be set up, and what to do about it.
#pragma once

#include <system_error>

namespace corering {

/// The step of a worker's set-up that failed; or, later, of the kernel's: its helper threads.
enum class SetupStep {
  ring,
  eventfd,
  thread,
  pinning,
  mask,
  sizes,
  helper,
  kernel,
  doorbell,
  restrictions,
  replay
};

/// The category of set-up errors. They name the failed step and the errno. Their message is one sentence that
/// says what to do, and they compare equal to the matching `std::errc`.
[[nodiscard]] const std::error_category& setup_category() noexcept;

/// Returns the error for `errno_value` at `step`.
[[nodiscard]] std::error_code setup_error(SetupStep step, int errno_value) noexcept;

}  // namespace corering
