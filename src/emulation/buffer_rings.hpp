/// buffer_rings.hpp — the rings of provided buffers: memory that the program fills, and that we take from.
#pragma once

#include <cstdint>
#include <unordered_map>

#include <corering/uring/uapi.hpp>

#include "emulation/submission.hpp"

namespace corering::emulation {

/// thread: the ring's
class BufferRings {
 public:
  /// As REGISTER_PBUF_RING and UNREGISTER_PBUF_RING. Return 0 or -errno.
  int add(const uapi::BufferRingRegister& wish) noexcept;
  int remove(std::uint16_t group) noexcept;

  /// Chooses one buffer, or as many as there are for a bundle, and lets the call name it. The buffers stay in
  /// their ring until take() or commit(). Returns 0, or -ENOBUFS. `most` is the length that the SQE asks for;
  /// 0 means all of it.
  int choose(Submission& operation, std::uint64_t most, bool bundle) noexcept;
  /// Takes the chosen buffers out of their ring, before somebody else chooses them: a helper will fill them.
  void take(Submission& operation) noexcept;
  /// `bytes` of them have been used. Returns the CQE's flags.
  [[nodiscard]] std::uint32_t commit(Submission& operation, std::uint64_t bytes) noexcept;
  /// They were not used.
  static void put_back(Submission& operation) noexcept { operation.chosen.count = 0; }

 private:
  struct Group {
    uapi::RingBuffer* buffers = nullptr;
    std::uint32_t mask = 0;
    std::uint16_t head = 0;
    bool is_incremental = false;

    [[nodiscard]] uapi::RingBuffer& at(std::uint16_t index) const noexcept { return buffers[index & mask]; }
    [[nodiscard]] std::uint16_t available() const noexcept;
  };
  int note(const uapi::BufferRingRegister& wish) noexcept;
  static void use_up(Group& group, std::uint64_t bytes, Chosen& chosen) noexcept;
  static int choose_several(Group& group, Submission& operation, std::uint64_t most) noexcept;

  std::unordered_map<std::uint16_t, Group> groups_;
};

}  // namespace corering::emulation
