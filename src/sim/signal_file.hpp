/// signal_file.hpp — a signalfd of a simulated world.
#pragma once

#include <cstdint>

#include "sim/object.hpp"

namespace corering::sim {

/// A signalfd.
struct SignalFile final : Object {
  SignalFile(std::uint64_t mask, const std::uint64_t& all_pending) noexcept
      : Object(Kind::signals), signals(mask), pending(all_pending) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override {
    return (pending & signals) != 0 ? POLLIN : 0U;
  }
  const std::uint64_t signals;   ///< one bit each, from the lowest signal on
  const std::uint64_t& pending;  ///< of the whole program
};

}  // namespace corering::sim
