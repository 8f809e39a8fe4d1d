/// file_table.hpp — files that the ring knows by slot. They need no look-up and no reference count per
/// operation, and no descriptor of the process.
#pragma once

#include <cstdint>
#include <source_location>
#include <utility>

#include <corering/base/result.hpp>
#include <corering/engine/completion.hpp>
#include <corering/resources/descriptor.hpp>

namespace corering {

namespace detail {
class FileSlots;
}

/// Owns one slot of a FileTable, and the file in it. Operations of that table's worker take it instead of a
/// descriptor. Destroy it on that worker, or after the worker has ended, when no operation on it is in
/// flight.
class FixedFile {
 public:
  FixedFile() noexcept = default;
  FixedFile(FixedFile&& other) noexcept
      : slots_(std::exchange(other.slots_, nullptr)), number_(other.number_) {}
  FixedFile& operator=(FixedFile&& other) noexcept {
    FixedFile taken(std::move(other));
    std::swap(slots_, taken.slots_);
    std::swap(number_, taken.number_);
    return *this;
  }
  ~FixedFile() { reset(); }

  [[nodiscard]] bool is_open() const noexcept { return slots_ != nullptr; }
  [[nodiscard]] std::uint32_t slot() const noexcept { return number_; }
  /// Names the slot, or no file at all if is_open() is false.
  operator Descriptor() const noexcept {  // NOLINT: meant to convert
    return is_open() ? Descriptor::slot(number_) : Descriptor(-1);
  }

  /// Closes the file, by io_uring_register(2), which does not wait.
  void reset() noexcept;
  /// Gives up the slot after the kernel has closed the file.
  void release() noexcept;

 private:
  friend class detail::FileSlots;
  FixedFile(detail::FileSlots& slots, std::uint32_t number) noexcept : slots_(&slots), number_(number) {}

  detail::FileSlots* slots_ = nullptr;
  std::uint32_t number_ = 0;
};

/// Owns a ring's table of files; a ring has one table. Operations that open something take the table, and put
/// the file into it instead of giving it a descriptor: async_openat(table, ...), async_accept(table, ...).
/// Make it on a worker. Destroy it there, or after that worker has ended, when every FixedFile of it is gone.
class FileTable {
 public:
  /// Makes a table.
  /// thread: on a worker
  /// errors: EBUSY when its ring has a table already; SizeErrc for 0 slots or more than 1 million; EMFILE
  ///   above RLIMIT_NOFILE
  [[nodiscard]] static Result<FileTable> create(std::uint32_t slots,
                                                std::source_location where = std::source_location::current());

  FileTable(FileTable&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
  FileTable& operator=(FileTable&& other) noexcept {
    FileTable taken(std::move(other));
    std::swap(slots_, taken.slots_);
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

/// Keeps the table's slots while replies to a stream may still come, even when the table is gone.
class HeldSlots {
 public:
  explicit HeldSlots(FileSlots& slots) noexcept;
  HeldSlots(HeldSlots&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
  ~HeldSlots();
  [[nodiscard]] FileSlots& operator*() const noexcept { return *slots_; }

 private:
  FileSlots* slots_;
};

/// Reads the answer of an operation that writes the slot numbers into memory, as FILES_UPDATE does.
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
