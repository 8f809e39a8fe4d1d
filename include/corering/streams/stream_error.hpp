/// stream_error.hpp — how a stream of bytes can end.
#pragma once

#include <system_error>

namespace corering {

enum class StreamErrc {
  end = 1,         ///< nothing more will come; the peer, or the file, has ended
  unexpected_end,  ///< ... in the middle of what was asked for
  too_long,        ///< no end of line, or of whatever was looked for, within the limit
};

[[nodiscard]] const std::error_category& stream_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(StreamErrc error) noexcept {
  return {static_cast<int>(error), stream_category()};
}

/// True for the regular end of a stream, which is no failure.
[[nodiscard]] inline bool is_end(const std::error_code& error) noexcept {
  return error == make_error_code(StreamErrc::end);
}

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::StreamErrc> : std::true_type {};
