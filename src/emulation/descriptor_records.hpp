/// descriptor_records.hpp — what an emulated ring remembers of each descriptor number.
///
/// A number can get a new owner without our knowledge, by a plain close(2). So what stands here about the
/// file is only a hint: it may cost time if it is wrong, and never changes a result.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <corering/base/intrusive_list.hpp>

#include "emulation/world.hpp"

namespace corering::emulation {

class DescriptorRecords {
 public:
  enum class SocketKind : std::uint8_t { unknown, stream, other };

  struct Record {
    // What the epoll set knows. Only Readiness uses them.
    IntrusiveList<Call> watchers;
    Call* edges_of = nullptr;      ///< this number is a duplicate that belongs to this call
    std::uint32_t wanted = 0;      ///< at least what the watchers want
    std::uint32_t generation = 0;  ///< tells a report on an earlier owner of the number
    bool is_registered = false;
    bool is_armed = false;

    // Hints of the calls.
    bool is_drained = false;  ///< the last receive found less than it asked for
    bool has_flags = false;   ///< the two below are known
    bool reads_on_helper = false;
    bool writes_on_helper = false;
    bool has_no_positions = false;  ///< a read or write that names one fails at first
    SocketKind socket = SocketKind::unknown;

    void forget_hints() noexcept {
      is_drained = has_flags = reads_on_helper = writes_on_helper = has_no_positions = false;
      socket = SocketKind::unknown;
    }
  };

  /// Returns the record of a number, or null if there is none yet.
  [[nodiscard]] Record* find(int fd) noexcept {
    const std::size_t chunk = static_cast<std::size_t>(fd) / chunk_size;
    if (fd < 0 || chunk >= chunks_.size() || chunks_[chunk] == nullptr) return nullptr;
    return &(*chunks_[chunk])[static_cast<std::size_t>(fd) % chunk_size];
  }

  /// The same, and makes it if need be. Returns null if the number is negative, or if there is no memory.
  [[nodiscard]] Record* make(int fd) noexcept {
    Record* const found = find(fd);
    return found != nullptr || fd < 0 ? found : grow(fd);
  }

 private:
  static constexpr std::size_t chunk_size = 128;
  using Chunk = std::array<Record, chunk_size>;

  Record* grow(int fd) noexcept;

  std::vector<std::unique_ptr<Chunk>> chunks_;  // records never move: lists of calls begin in them
};

}  // namespace corering::emulation
