/// file_offset.hpp — where in a file an operation works.
#pragma once

#include <cstdint>

namespace corering {

/// Where in a file an operation works: a number of bytes from its beginning, or current_position. A number
/// above 2^63-1, which no file has, is EINVAL. None of them means current_position by accident.
class FileOffset {
 public:
  constexpr FileOffset(std::uint64_t bytes) noexcept  // NOLINT: meant to convert
      : sqe_field_(bytes == own_position ? refused : bytes) {}

  /// Returns current_position.
  [[nodiscard]] static constexpr FileOffset at_current_position() noexcept {
    FileOffset made(0);
    made.sqe_field_ = own_position;
    return made;
  }

  /// Returns what the SQE has in its place.
  [[nodiscard]] constexpr std::uint64_t sqe_field() const noexcept { return sqe_field_; }

 private:
  static constexpr std::uint64_t own_position = ~std::uint64_t{0};  // the kernel's mark
  static constexpr std::uint64_t refused = std::uint64_t{1} << 63;
  std::uint64_t sqe_field_;
};

/// Reads or writes at the file's own position, as read(2) and write(2) do. A file that has no position, such
/// as a pipe or a terminal, needs this. Do not use it with O_DIRECT: the kernel does not move the position
/// for a request that ends later.
inline constexpr FileOffset current_position = FileOffset::at_current_position();

}  // namespace corering
