/// signal_handler.hpp — whether the caller runs in a signal handler.
#pragma once

namespace corering {

/// Looks for a signal's frame below the present one. It takes some microseconds.
/// thread: any, also in a signal handler
[[nodiscard]] bool is_in_signal_handler() noexcept;

}  // namespace corering
