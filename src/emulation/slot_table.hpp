/// slot_table.hpp — the slots of a ring for files that have no number in the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "emulation/world.hpp"

namespace corering::emulation {

/// An emulated slot holds a descriptor of its own, which counts towards RLIMIT_NOFILE.
/// thread: the ring's; put() and put_anywhere() may also be called by another ring's thread while the
///   registry's lock is held (inbox.hpp)
class SlotTable {
 public:
  explicit SlotTable(World& world) noexcept : world_(world) {}
  SlotTable(SlotTable&&) = delete;
  ~SlotTable() { (void)close(); }

  /// As REGISTER_FILES2: `files` may be null for empty slots. Return 0 or -errno.
  int open(std::uint32_t count, const std::int32_t* files) noexcept;
  int close() noexcept;

  /// As REGISTER_FILES_UPDATE and FILES_UPDATE: -1 empties a slot. Returns how many were done, or -errno.
  int update(std::uint32_t first, const std::int32_t* files, std::uint32_t count) noexcept;
  /// As FILES_UPDATE without an index: the table picks the slots, and writes their numbers into `files`.
  int update_anywhere(std::int32_t* files, std::uint32_t count) noexcept;

  /// Returns the descriptor in a slot, or -EBADF.
  [[nodiscard]] int at(std::uint32_t slot) const noexcept;

  /// Puts a descriptor, which the table then owns, into a slot. `file_index` is as in an SQE: from 1, or
  /// uapi::file_index_alloc. Returns 0, or the slot that was picked, or -errno: then the descriptor is still
  /// the caller's.
  int put(std::uint32_t file_index, int fd) noexcept;
  /// Empties a slot, whose descriptor is then the caller's. Returns that, or -errno.
  int take(std::uint32_t slot) noexcept;
  /// Empties a slot, and closes its descriptor. Returns 0 or -errno.
  int remove(std::uint32_t slot) noexcept;

 private:
  [[nodiscard]] bool make_slots(std::uint32_t count) noexcept;
  int update_one(std::uint32_t slot, std::int32_t file) noexcept;
  int put_anywhere(int fd) noexcept;
  int put_copy(std::uint32_t slot, int fd) noexcept;

  World& world_;
  std::vector<std::atomic<int>> slots_;
  std::atomic<std::uint32_t> hint_ = 0;
};

}  // namespace corering::emulation
