/// log.hpp — what has happened in a simulated world: a hash of everything, and the newest events.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <corering/sim/happening.hpp>

namespace corering::sim {

class Log {
 public:
  void add(const Happening& event) noexcept {
    newest_[count_++ % newest_.size()] = event;
    mix(static_cast<std::uint64_t>(event.at));
    mix(static_cast<std::uint64_t>(event.kind) << 48 | std::uint64_t{event.worker} << 32 |
        static_cast<std::uint32_t>(event.what));
    mix(static_cast<std::uint64_t>(event.fd) << 32 | static_cast<std::uint32_t>(event.result));
  }

  /// The same seed and the same program give the same number.
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// The newest events, the oldest of them first.
  [[nodiscard]] std::vector<Happening> newest() const;

 private:
  void mix(std::uint64_t word) noexcept {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15;
    hash_ ^= hash_ >> 29;
  }

  std::uint64_t hash_ = 0x5eed;
  std::uint64_t count_ = 0;
  std::array<Happening, 256> newest_{};
};

}  // namespace corering::sim
