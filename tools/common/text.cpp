/// text.cpp — reads UTF-8 one character at a time, and decides what becomes of each.
#include "common/text.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace tools {
namespace {

/// One character, or one byte that does not belong to any.
struct Character {
  std::uint32_t code = 0;
  std::size_t bytes = 1;
  bool valid = false;
};

/// How many bytes a character has, by its first byte; 0 if none begins so.
std::size_t length_by(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

// Each length has its least code, so that nothing can be written in two ways. Surrogates are no characters.
bool is_allowed(std::uint32_t code, std::size_t bytes) {
  constexpr std::array<std::uint32_t, 5> least = {0, 0, 0x80, 0x800, 0x10000};
  return code >= least[bytes] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

Character first_of(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t bytes = length_by(first);
  if (bytes == 0 || bytes > text.size()) return {.code = first};
  std::uint32_t code = bytes == 1 ? first : first & (0x7fU >> bytes);
  for (const char c : text.substr(1, bytes - 1)) {
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) return {.code = first};
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  }
  if (!is_allowed(code, bytes)) return {.code = first};
  return {.code = code, .bytes = bytes, .valid = true};
}

bool is_control(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) ||  // C0, DEL, C1: what terminals obey
         code == 0x2028 || code == 0x2029 ||              // line and paragraph separators
         code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);  // the direction of the line
}

std::string number(const char* pattern, std::uint32_t code) {
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), pattern, code);
  return digits.data();
}

/// Copies the text, except that `replaced` says what stands in place of a character that is not shown.
template <class Replace>
std::string replace_each(std::string_view text, const Replace& replaced) {
  std::string result;
  while (!text.empty()) {
    const Character one = first_of(text);
    const std::string instead = replaced(one);
    result += instead.empty() ? text.substr(0, one.bytes) : std::string_view(instead);
    text.remove_prefix(one.bytes);
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text) {
  return replace_each(text, [](const Character& one) -> std::string {
    if (one.valid && !is_control(one.code)) return {};
    return number(one.code < 0x100 ? "\\x%02x" : "\\u%04x", one.code);
  });
}

std::string json_string(std::string_view text) {
  const std::string inside = replace_each(text, [](const Character& one) -> std::string {
    if (!one.valid) return "\xef\xbf\xbd";
    if (one.code == '"' || one.code == '\\') return std::string("\\") + static_cast<char>(one.code);
    return is_control(one.code) ? number("\\u%04x", one.code) : std::string();
  });
  return '"' + inside + '"';
}

}  // namespace tools
