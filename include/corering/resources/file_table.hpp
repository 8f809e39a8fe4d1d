/// file_table.hpp — files that the ring knows by slot: no look-up and no reference count per operation, and
/// no descriptor of the process.
#pragma once

#include <cstdint>
#include <utility>

#include <corering/base/result.hpp>
#include <corering/engine/completion.hpp>
#include <corering/resources/descriptor.hpp>

namespace corering {

namespace detail {
class FileSlots;
}

/// Owns one slot of a FileTable, and the file in it. Given to operations of that table's worker in the place
/// of a descriptor. Destroyed on that worker, or after it has ended; no operation on it may be in flight.
class FixedFile {
 public:
  FixedFile() noexcept = default;
  FixedFile(FixedFile&& other) noexcept
      : slots_(std::exchange(other.slots_, nullptr)), number_(other.number_) {}
  FixedFile& operator=(FixedFile&& other) noexcept {
    std::swap(slots_, other.slots_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~FixedFile() { reset(); }

  [[nodiscard]] bool is_open() const noexcept { return slots_ != nullptr; }
  [[nodiscard]] std::uint32_t slot() const noexcept { return number_; }
  /// Nothing, if it is not is_open().
  operator Descriptor() const noexcept {  // NOLINT: meant to convert
    return is_open() ? Descriptor::slot(number_) : Descriptor(-1);
  }

  /// Closes it. io_uring_register(2), which does not wait.
  void reset() noexcept;
  /// The kernel has closed it.
  void release() noexcept;

 private:
  friend class detail::FileSlots;
  FixedFile(detail::FileSlots& slots, std::uint32_t number) noexcept : slots_(&slots), number_(number) {}

  detail::FileSlots* slots_ = nullptr;
  std::uint32_t number_ = 0;
};

/// A ring's table of files; a ring has one. The operations that open something take it to put the file into
/// the table instead of giving it a descriptor: async_openat(table, ...), async_accept(table, ...). Made and
/// destroyed on one worker (or after that has ended), when every FixedFile of it is gone.
class FileTable {
 public:
  /// On a worker. EBUSY when its ring has a table already; EINVAL for 0 slots or more than 1 million; EMFILE
  /// above RLIMIT_NOFILE.
  [[nodiscard]] static Result<FileTable> create(std::uint32_t slots);

  FileTable(FileTable&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
  FileTable& operator=(FileTable&& other) noexcept {
    std::swap(slots_, other.slots_);
    return *this;
  }
  ~FileTable();

  [[nodiscard]] std::uint32_t capacity() const noexcept;
  [[nodiscard]] std::uint32_t used() const noexcept;

  [[nodiscard]] detail::FileSlots& slots() const noexcept { return *slots_; }

 private:
  explicit FileTable(detail::FileSlots* slots) noexcept : slots_(slots) {}
  detail::FileSlots* slots_;
};

namespace detail {

/// Takes over the slot that the kernel has picked.
class SlotAnswer {
 public:
  explicit SlotAnswer(const FileTable& table) noexcept : slots_(&table.slots()) {}
  explicit SlotAnswer(FileSlots& slots) noexcept : slots_(&slots) {}
  FixedFile decode(const Reply& reply) const noexcept;

 protected:
  [[nodiscard]] FileSlots& slots() const noexcept { return *slots_; }

 private:
  FileSlots* slots_;
};

/// Keeps the table's slots while a stream may still be answered, also when the table is gone.
class HeldSlots {
 public:
  explicit HeldSlots(FileSlots& slots) noexcept;
  HeldSlots(HeldSlots&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
  ~HeldSlots();
  [[nodiscard]] FileSlots& operator*() const noexcept { return *slots_; }

 private:
  FileSlots* slots_;
};

/// Of an operation that writes the slot numbers into memory, as FILES_UPDATE does.
class InstalledAnswer : public SlotAnswer {
 public:
  InstalledAnswer(const FileTable& table, int fd) noexcept : SlotAnswer(table), fd_(fd) {}
  void prepare(Request& request) noexcept { request.addr = reinterpret_cast<std::uintptr_t>(&fd_); }
  FixedFile decode(const Reply&) const noexcept {
    return SlotAnswer::decode({.res = fd_});  // the kernel has put the slot's number in its place
  }

 private:
  std::int32_t fd_;
};

}  // namespace detail
}  // namespace corering
