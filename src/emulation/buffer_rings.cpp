/// buffer_rings.cpp — choosing provided buffers, and giving their rest back.
#include "emulation/buffer_rings.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

/// How many buffers one bundle takes at most.
constexpr std::size_t most_in_a_bundle = 256;

}  // namespace

std::uint16_t BufferRings::Group::available() const noexcept {
  return static_cast<std::uint16_t>(std::atomic_ref(buffers[0].tail).load(std::memory_order_acquire) - head);
}

int BufferRings::add(const uapi::BufferRingRegister& wish) noexcept {
  if (groups_.contains(wish.group)) return -EEXIST;
  return note(wish);
}

int BufferRings::note(const uapi::BufferRingRegister& wish) noexcept try {
  groups_[wish.group] = {.buffers = reinterpret_cast<uapi::RingBuffer*>(wish.address),
                         .mask = wish.entries - 1,
                         .is_incremental = (wish.flags & uapi::pbuf_ring_inc) != 0};
  return 0;
} catch (const std::bad_alloc&) {
  return -ENOMEM;
}

int BufferRings::remove(std::uint16_t group) noexcept { return groups_.erase(group) == 1 ? 0 : -ENOENT; }

int BufferRings::choose_several(Group& group, Submission& operation, std::uint64_t most) noexcept {
  std::uint64_t length = 0;
  const std::size_t there = std::min<std::size_t>(group.available(), most_in_a_bundle);
  try {
    if (!operation.chosen.several) operation.chosen.several = std::make_unique<std::vector<iovec>>();
    operation.chosen.several->clear();
    for (std::size_t i = 0; i < there && (most == 0 || length < most); ++i) {
      const uapi::RingBuffer& buffer = group.at(static_cast<std::uint16_t>(group.head + i));
      const std::uint64_t size =
          most == 0 ? buffer.length : std::min<std::uint64_t>(buffer.length, most - length);
      operation.chosen.several->push_back({reinterpret_cast<void*>(buffer.address), size});
      length += size;
    }
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  operation.parts = operation.chosen.several->data();
  operation.part_count = static_cast<std::uint32_t>(operation.chosen.several->size());
  operation.expected = length;
  return 0;
}

int BufferRings::choose(Submission& operation, std::uint64_t most, bool bundle) noexcept {
  const auto found = groups_.find(operation.sqe.buf_index);
  if (found == groups_.end() || found->second.available() == 0) return -ENOBUFS;
  Group& group = found->second;
  const uapi::RingBuffer& buffer = group.at(group.head);
  operation.sqe.addr = buffer.address;
  operation.sqe.len =
      most == 0 ? buffer.length : static_cast<std::uint32_t>(std::min<std::uint64_t>(most, buffer.length));
  operation.expected = operation.sqe.len;
  if (bundle) {
    if (const int error = choose_several(group, operation, most); error < 0) return error;
  }
  Chosen& chosen = operation.chosen;
  CORERING_ASSERT(!chosen.is_taken || chosen.count == 0, "nobody chooses while a helper has its buffers");
  chosen.group = operation.sqe.buf_index;
  chosen.first = buffer.id;
  chosen.count = bundle ? operation.part_count : 1;
  chosen.is_taken = chosen.is_partly_left = false;
  return 0;
}

void BufferRings::take(Submission& operation) noexcept {
  Chosen& chosen = operation.chosen;
  const auto found = groups_.find(chosen.group);
  if (chosen.count == 0 || chosen.is_taken || found == groups_.end()) return;
  chosen.is_taken = true;
  CORERING_DEBUG_ASSERT(chosen.count <= found->second.available(), "what was chosen is there");
  found->second.head = static_cast<std::uint16_t>(found->second.head + chosen.count);
}

void BufferRings::use_up(Group& group, std::uint64_t bytes, Chosen& chosen) noexcept {
  for (std::uint32_t i = 0; i < chosen.count; ++i) {
    uapi::RingBuffer& buffer = group.at(group.head);
    const auto used = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, buffer.length));
    if (group.is_incremental && (used < buffer.length || used == 0)) {
      buffer.address += used;
      buffer.length -= used;
      chosen.is_partly_left = true;
      return;
    }
    ++group.head;
    bytes -= used;
    if (bytes == 0) return;
  }
}

std::uint32_t BufferRings::commit(Submission& operation, std::uint64_t bytes) noexcept {
  Chosen& chosen = operation.chosen;
  if (chosen.count == 0) return 0;
  const auto found = groups_.find(chosen.group);
  if (!chosen.is_taken && found != groups_.end()) use_up(found->second, bytes, chosen);
  chosen.count = 0;
  return uapi::cqe_buffer | (chosen.is_partly_left ? uapi::cqe_buf_more : 0) |
         std::uint32_t{chosen.first} << uapi::cqe_buffer_shift;
}

}  // namespace corering::emulation
