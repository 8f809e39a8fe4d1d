/// times_memory.hpp — the memory in which a process keeps its workers' times, where others can read them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace corering {

/// A memfd that is called corering-times: a page for its head, and a slot for each worker. It is made when
/// times are first wanted. A slot takes memory only where it was written.
class TimesMemory {
 public:
  struct Head {
    std::array<char, 8> magic{};
    std::uint32_t version = 0;
    std::uint32_t pid = 0;
    std::uint64_t slot_bytes = 0;
  };
  static constexpr std::array<char, 8> magic = {'c', 'o', 'r', 'e', 't', 'i', 'm', 'e'};
  static constexpr std::uint32_t version = 1;
  static constexpr std::size_t head_bytes = 4096;
  static constexpr std::size_t most_slots = 256;

  /// Zeros, for one worker. If the memfd cannot be had, only this process sees them.
  struct Slot {
    void* memory = nullptr;  ///< null: there is no memory
    std::size_t index = most_slots;
    unsigned made_in = 0;
  };
  /// thread: any
  [[nodiscard]] static Slot take(std::size_t bytes) noexcept;
  static void give_back(const Slot& slot, std::size_t bytes) noexcept;
};

}  // namespace corering
