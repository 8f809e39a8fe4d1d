/// byte_source.hpp — where the bytes of a trace file come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace corering::trace {

/// Where the bytes of a trace file come from.
class ByteSource {
 public:
  ByteSource() noexcept = default;
  ByteSource(ByteSource&&) = delete;
  virtual ~ByteSource() = default;

  /// Returns how many bytes could be read: fewer at the end, and none after it.
  [[nodiscard]] virtual std::size_t read(std::uint64_t offset, void* into, std::size_t bytes) const = 0;

  /// Returns true if all of it could be read.
  template <class T>
  [[nodiscard]] bool get(std::uint64_t offset, T& into) const {
    return read(offset, &into, sizeof into) == sizeof into;
  }
};

/// keep alive: the descriptor stays the caller's
class FileSource final : public ByteSource {
 public:
  explicit FileSource(int fd) noexcept : fd_(fd) {}
  [[nodiscard]] std::size_t read(std::uint64_t offset, void* into, std::size_t bytes) const override;

 private:
  int fd_;
};

/// keep alive: the bytes
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] std::size_t read(std::uint64_t offset, void* into, std::size_t bytes) const override;

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace corering::trace
