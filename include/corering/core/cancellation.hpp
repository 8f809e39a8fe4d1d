/// cancellation.hpp — asking an error whether it is a cancellation.
#pragma once

#include <system_error>

#include <corering/engine/cancel_reason.hpp>

namespace corering {

/// Returns true if the wait ended because its scope was cancelled or its deadline passed, and not for another
/// reason. A loop that retries after errors must ask this first, because every further wait would end in the
/// same way.
[[nodiscard]] bool is_cancellation(const std::error_code& error) noexcept;

}  // namespace corering
