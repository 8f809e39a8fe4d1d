/// registered_buffers.hpp — buffers whose pages the ring holds, so that no operation has to look them up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <utility>

#include <corering/base/result.hpp>

namespace corering {

namespace detail {
class BufferTable;
}

/// Names a part of a registered buffer for an operation. Only FixedBuffer makes it, so the bytes always lie
/// in the buffer that the index names.
class FixedSpan {
 public:
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] std::uint16_t index() const noexcept { return index_; }

  [[nodiscard]] FixedSpan first(std::size_t count) const noexcept {
    return FixedSpan(index_, bytes_.first(count));
  }
  [[nodiscard]] FixedSpan subspan(std::size_t offset) const noexcept {
    return FixedSpan(index_, bytes_.subspan(offset));
  }

 private:
  friend class FixedBuffer;
  FixedSpan(std::uint16_t index, std::span<std::byte> bytes) noexcept : bytes_(bytes), index_(index) {}
  std::span<std::byte> bytes_;
  std::uint16_t index_;
};

/// Owns one lent buffer of RegisteredBuffers, and gives it back when it is destroyed. The buffer is aligned
/// to the largest power of two that divides its size. If its size is a multiple of 512, it is aligned to at
/// least 512 bytes, so it also serves O_DIRECT.
class FixedBuffer {
 public:
  FixedBuffer() noexcept = default;
  FixedBuffer(FixedBuffer&& other) noexcept
      : table_(std::exchange(other.table_, nullptr)), bytes_(other.bytes_), index_(other.index_) {}
  FixedBuffer& operator=(FixedBuffer&& other) noexcept {
    FixedBuffer taken(std::move(other));
    std::swap(table_, taken.table_);
    std::swap(bytes_, taken.bytes_);
    std::swap(index_, taken.index_);
    return *this;
  }
  ~FixedBuffer();

  [[nodiscard]] bool is_lent() const noexcept { return table_ != nullptr; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  /// Returns all of it, for an operation.
  [[nodiscard]] FixedSpan all() const noexcept { return FixedSpan(index_, bytes_); }
  [[nodiscard]] FixedSpan first(std::size_t count) const noexcept { return all().first(count); }

 private:
  friend class detail::BufferTable;
  FixedBuffer(detail::BufferTable& table, std::uint16_t index, std::span<std::byte> bytes) noexcept
      : table_(&table), bytes_(bytes), index_(index) {}

  detail::BufferTable* table_ = nullptr;
  std::span<std::byte> bytes_;
  std::uint16_t index_ = 0;
};

struct RegisteredBuffersOptions {
  std::uint16_t count = 16;
  std::size_t size = 64 * 1024;  ///< bytes per buffer, up to 1 GiB
  bool huge_pages = false;       ///< asks for huge pages; where there are none, ordinary ones are used
};

/// Owns a ring's registered buffers; a ring has one table of them. It belongs to one worker. Destroy it
/// there, or after the worker has ended, when nothing is lent. Without CAP_IPC_LOCK the memory counts against
/// RLIMIT_MEMLOCK.
class RegisteredBuffers {
 public:
  /// Makes the buffers and registers them.
  /// thread: on a worker
  /// errors: EBUSY when its ring has some already; SizeErrc for 0 buffers, or a size of 0 or above 1 GiB;
  ///   ENOMEM, which may also mean that RLIMIT_MEMLOCK (ulimit -l) is too low
  [[nodiscard]] static Result<RegisteredBuffers> create(
      RegisteredBuffersOptions options = {}, std::source_location where = std::source_location::current());

  RegisteredBuffers(RegisteredBuffers&& other) noexcept : table_(std::exchange(other.table_, nullptr)) {}
  RegisteredBuffers& operator=(RegisteredBuffers&& other) noexcept {
    RegisteredBuffers taken(std::move(other));
    std::swap(table_, taken.table_);
    return *this;
  }
  ~RegisteredBuffers();

  /// Lends a buffer that nobody has. When all are lent, is_lent() of the result is false.
  [[nodiscard]] FixedBuffer lend() noexcept;

  [[nodiscard]] std::uint16_t capacity() const noexcept;
  [[nodiscard]] std::uint16_t lent() const noexcept;
  [[nodiscard]] bool uses_huge_pages() const noexcept;

 private:
  explicit RegisteredBuffers(detail::BufferTable* table) noexcept : table_(table) {}
  detail::BufferTable* table_;
};

}  // namespace corering
