/// result.hpp — how the world's failures are returned: a value, or the kernel's errno.
#pragma once

#include <expected>
#include <system_error>

#include <corering/base/version.hpp>

namespace corering {

/// The result of an operation. The error is an errno in `std::system_category()`, so it compares with
/// `std::errc` and prints as the system's text. Set-up errors use `setup_category()` (uring/setup_error.hpp)
/// instead.
template <class T>
using Result = std::expected<T, std::error_code>;

namespace detail {

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

}  // namespace detail

/// Makes the failure side of a Result from a positive errno.
[[nodiscard]] inline std::unexpected<std::error_code> failure(int errno_value) noexcept {
  return std::unexpected(std::error_code(errno_value, std::system_category()));
}

}  // namespace corering
