/// stream_error.hpp — how a stream of bytes can end.
#pragma once

#include <system_error>

namespace corering {

enum class StreamErrc {
  end = 1,         ///< nothing more will come; the peer, or the file, has ended
  unexpected_end,  ///< the end came in the middle of what was asked for
  too_long,        ///< the end of the line, or the delimiter, did not come within the limit
};

[[nodiscard]] const std::error_category& stream_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(StreamErrc error) noexcept {
  return {static_cast<int>(error), stream_category()};
}

/// Returns true for the regular end of a stream, which is not a failure.
[[nodiscard]] inline bool is_end(const std::error_code& error) noexcept {
  return error == make_error_code(StreamErrc::end);
}

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::StreamErrc> : std::true_type {};
