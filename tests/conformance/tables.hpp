/// tables.hpp — what scripts register with their ring: files, buffers, and rings of buffers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <vector>

#include <gtest/gtest.h>

#include "conformance/script.hpp"

namespace corering::conformance {

/// The ring's table of files, which is empty at first. It goes with the ring.
class FileTable {
 public:
  FileTable(Script& script, std::uint32_t slots) : script_(script) {
    uapi::RsrcRegister wish{.count = slots, .flags = uapi::rsrc_register_sparse};
    EXPECT_EQ(script.registers(uapi::register_files2, &wish, sizeof wish), 0);
  }

  /// Puts a file there, or empties the slot with -1. Returns what the kernel answers.
  int put(std::uint32_t slot, int fd) {
    uapi::RsrcUpdate update{.offset = slot, .data = address(&fd)};
    return script_.registers(uapi::register_files_update, &update, 1);
  }

 private:
  Script& script_;
};

/// A ring of buffers that the kernel picks from, all of them of one size. It goes with the script's ring.
class BufferRing {
 public:
  BufferRing(Script& script, std::uint16_t group, std::uint32_t entries, std::size_t size,
             std::uint16_t flags = 0)
      : script_(script), group_(group), entries_(entries), buffers_(entries, std::string(size, '.')) {
    void* const memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(memory, MAP_FAILED);
    ring_ = static_cast<uapi::RingBuffer*>(memory);
    registered_ = registers(flags);
  }
  BufferRing(BufferRing&&) = delete;
  ~BufferRing() {
    uapi::BufferRingRegister gone{.group = group_};
    if (registered_ == 0) script_.registers(uapi::unregister_pbuf_ring, &gone, 1);
    ::munmap(ring_, page);
  }

  /// What the kernel answered when it was registered.
  [[nodiscard]] int registered() const noexcept { return registered_; }

  /// Lends the buffer to the kernel.
  BufferRing& lend(std::uint16_t id) {
    uapi::RingBuffer& entry = ring_[tail_ & (entries_ - 1)];
    entry.address = address(buffers_[id].data());
    entry.length = static_cast<std::uint32_t>(buffers_[id].size());
    entry.id = id;
    std::atomic_ref(ring_[0].tail).store(++tail_, std::memory_order_release);
    return *this;
  }
  BufferRing& lend_all() {
    for (std::uint16_t id = 0; id < entries_; ++id) lend(id);
    return *this;
  }

  [[nodiscard]] std::string text(std::uint16_t id, std::size_t size) const {
    return buffers_[id].substr(0, size);
  }
  [[nodiscard]] const std::string& buffer(std::uint16_t id) const { return buffers_[id]; }

 private:
  static constexpr std::size_t page = 4096;

  int registers(std::uint16_t flags) {
    uapi::BufferRingRegister wish{
        .address = address(ring_), .entries = entries_, .group = group_, .flags = flags};
    return script_.registers(uapi::register_pbuf_ring, &wish, 1);
  }

  Script& script_;
  std::uint16_t group_;
  std::uint32_t entries_;
  std::vector<std::string> buffers_;
  uapi::RingBuffer* ring_ = nullptr;
  std::uint16_t tail_ = 0;
  int registered_ = -1;
};

}  // namespace corering::conformance
