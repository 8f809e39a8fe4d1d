/// slot_table.cpp — files in slots.
#include "emulation/slot_table.hpp"

#include <algorithm>
#include <cerrno>
#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

constexpr int empty_slot = -1;
constexpr std::int32_t skip = -2;               // IORING_REGISTER_FILES_SKIP, for updates
constexpr std::uint32_t most_slots = 1U << 20;  // as the kernel: its own limit is RLIMIT_NOFILE

}  // namespace

bool SlotTable::make_slots(std::uint32_t count) noexcept try {
  slots_ = std::vector<std::atomic<int>>(count);
  for (std::atomic<int>& slot : slots_) slot = empty_slot;
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

int SlotTable::open(std::uint32_t count, const std::int32_t* files) noexcept {
  if (!slots_.empty()) return -EBUSY;
  if (count > most_slots) return -EMFILE;
  if (files != nullptr && std::find(files, files + count, skip) != files + count) return -EBADF;
  if (!make_slots(count)) return -ENOMEM;
  const int filled = files == nullptr ? 0 : update(0, files, count);
  if (files == nullptr || filled == static_cast<int>(count)) return 0;
  (void)close();
  return filled < 0 ? filled : -EBADF;
}

int SlotTable::close() noexcept {
  if (slots_.empty()) return -ENXIO;
  for (std::uint32_t i = 0; i < slots_.size(); ++i) (void)remove(i);
  slots_.clear();
  return 0;
}

int SlotTable::at(std::uint32_t slot) const noexcept {
  const int fd = slot < slots_.size() ? slots_[slot].load(std::memory_order_acquire) : empty_slot;
  return fd < 0 ? -EBADF : fd;
}

int SlotTable::put(std::uint32_t file_index, int fd) noexcept {
  if (slots_.empty()) return -ENXIO;
  if (file_index == uapi::file_index_alloc) return put_anywhere(fd);
  if (file_index - 1 >= slots_.size()) return -EINVAL;
  if (const int old = slots_[file_index - 1].exchange(fd); old >= 0) world_.close(old);
  return 0;
}

int SlotTable::put_anywhere(int fd) noexcept {
  const auto count = static_cast<std::uint32_t>(slots_.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t slot = (hint_ + i) % count;
    int expected = empty_slot;
    if (!slots_[slot].compare_exchange_strong(expected, fd)) continue;
    hint_ = slot + 1;
    return static_cast<int>(slot);
  }
  return -ENFILE;
}

int SlotTable::take(std::uint32_t slot) noexcept {
  if (slots_.empty()) return -ENXIO;
  if (slot >= slots_.size()) return -EINVAL;
  const int fd = slots_[slot].exchange(empty_slot);
  if (fd < 0) return -EBADF;
  hint_ = slot;
  CORERING_DEBUG_ASSERT(slot < slots_.size(), "the hint is a slot");
  return fd;
}

int SlotTable::remove(std::uint32_t slot) noexcept {
  const int fd = take(slot);
  if (fd >= 0) world_.close(fd);
  return std::min(fd, 0);
}

int SlotTable::put_copy(std::uint32_t slot, int fd) noexcept {
  const int copy = world_.duplicate(fd, false);
  if (copy < 0) return copy;
  const int result = put(slot, copy);
  if (result < 0) world_.close(copy);
  return result;
}

int SlotTable::update_one(std::uint32_t slot, std::int32_t file) noexcept {
  if (file == skip) return 0;
  if (file == world_.descriptor()) return -EBADF;  // no ring can be in a table
  if (file != empty_slot) return put_copy(slot + 1, file);
  (void)remove(slot);
  return 0;
}

int SlotTable::update(std::uint32_t first, const std::int32_t* files, std::uint32_t count) noexcept {
  if (slots_.empty()) return -ENXIO;
  if (std::uint64_t{first} + count > slots_.size()) return -EINVAL;
  for (std::uint32_t i = 0; i < count; ++i) {
    const int result = update_one(first + i, files[i]);
    if (result < 0) return i > 0 ? static_cast<int>(i) : result;
  }
  return static_cast<int>(count);
}

int SlotTable::update_anywhere(std::int32_t* files, std::uint32_t count) noexcept {
  if (slots_.empty()) return -ENXIO;
  for (std::uint32_t i = 0; i < count; ++i) {
    const int slot = put_copy(uapi::file_index_alloc, files[i]);
    if (slot < 0) return i > 0 ? static_cast<int>(i) : slot;
    files[i] = slot;
  }
  return static_cast<int>(count);
}

}  // namespace corering::emulation
