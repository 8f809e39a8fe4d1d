/// random.hpp — the numbers that decide everything in a simulated world.
#pragma once

#include <cstdint>

namespace corering::sim {

/// The same seed gives the same numbers on every machine (splitmix64).
class Random {
 public:
  Random() noexcept : Random(0) {}
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    const std::uint64_t stirred = stir(state_ += 0x9e3779b97f4a7c15);
    return stirred ^ (stirred >> 31);
  }
  /// Returns a number below `end`, which is at least 1.
  std::uint64_t below(std::uint64_t end) noexcept { return next() % end; }
  bool one_in(std::uint64_t times) noexcept { return below(times) == 0; }

 private:
  static constexpr std::uint64_t stir(std::uint64_t z) noexcept {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    return (z ^ (z >> 27)) * 0x94d049bb133111eb;
  }

  std::uint64_t state_;
};

}  // namespace corering::sim
