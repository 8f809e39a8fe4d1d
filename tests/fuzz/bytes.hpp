/// bytes.hpp — what a fuzz target makes of its input: numbers, choices and texts, and no end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <span>
#include <string_view>

namespace corering::fuzz {

/// After the last byte it gives zeros.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) noexcept : left_(data, size) {}

  [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
  std::uint8_t next() noexcept {
    if (left_.empty()) return 0;
    const std::uint8_t byte = left_.front();
    left_ = left_.subspan(1);
    return byte;
  }
  std::uint16_t next16() noexcept {
    const unsigned low = next();
    return static_cast<std::uint16_t>(low | unsigned{next()} << 8);
  }
  template <class List>
  auto one_of(const List& list) noexcept {
    return *(std::begin(list) + next() % std::size(list));
  }
  std::string_view rest() noexcept { return {reinterpret_cast<const char*>(left_.data()), left_.size()}; }

 private:
  std::span<const std::uint8_t> left_;
};

/// The property that an input has broken ends the program.
inline void must(bool holds, std::source_location where = std::source_location::current()) noexcept {
  if (holds) return;
  std::fprintf(stderr, "ERROR: %s:%u: this has to hold\n", where.file_name(), where.line());
  std::abort();
}

}  // namespace corering::fuzz
