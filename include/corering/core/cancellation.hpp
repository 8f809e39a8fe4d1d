/// cancellation.hpp — asking an error whether it is a cancellation.
#pragma once

#include <system_error>

#include <corering/engine/cancel_reason.hpp>

namespace corering {

/// True when the wait ended because its scope was cancelled or its deadline passed, and not for a reason of
/// its own: what a loop that retries after errors asks first, because every further wait would end the same.
[[nodiscard]] bool is_cancellation(const std::error_code& error) noexcept;

}  // namespace corering
