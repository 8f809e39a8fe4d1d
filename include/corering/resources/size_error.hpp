/// size_error.hpp — which number given to a pool, a table or a queue does not fit.
#pragma once

#include <system_error>

namespace corering {

enum class SizeErrc {
  ring_count = 1,  ///< a BufferPool or a SendQueue: a power of two, 1 to 32768
  buffer_count,    ///< RegisteredBuffers: 1 or more
  buffer_size,     ///< 1 byte to 1 GiB
  slot_count,      ///< a FileTable: 1 to 1,048,576
};

/// Its errors equal `std::errc::invalid_argument`.
[[nodiscard]] const std::error_category& size_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(SizeErrc error) noexcept {
  return {static_cast<int>(error), size_category()};
}

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::SizeErrc> : std::true_type {};
