/// text.hpp — how a tool shows bytes that came from outside: names of files, variables of the environment.
#pragma once

#include <string>
#include <string_view>

namespace tools {

/// Returns the text as a terminal may show it. Valid UTF-8 stays as it is. Control characters, characters
/// that change the direction of the line, and bytes that are no UTF-8 are shown by their number, as in
/// "\x1b".
[[nodiscard]] std::string printable(std::string_view text);

/// Returns the text as a JSON string, in quotes. Valid UTF-8 stays as it is, control characters are escaped,
/// and each byte that is no UTF-8 becomes U+FFFD, because JSON cannot hold it.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace tools
