/// step.hpp — how far an operation of an emulated ring has come.
#pragma once

#include <cstdint>

namespace corering::emulation {

/// How far an operation has come.
struct Step {
  bool has_ended = true;
  std::int32_t result = 0;
  std::uint32_t flags = 0;  ///< of the CQE

  [[nodiscard]] static Step end(std::int64_t result, std::uint32_t flags = 0) noexcept {
    return {.result = static_cast<std::int32_t>(result), .flags = flags};
  }
  [[nodiscard]] static Step pending() noexcept { return {.has_ended = false}; }
};

}  // namespace corering::emulation
