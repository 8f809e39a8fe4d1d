/// mask.hpp — what CORERING_MASK takes away.
#pragma once

#include <cstdint>
#include <string_view>

#include <corering/uring/capabilities.hpp>

namespace corering {

struct Mask {
  Capabilities hidden;  ///< the things that it has are hidden
  std::uint32_t setup_flags = 0;
  std::uint32_t features = 0;
  std::string_view wrong_name;
};

/// Reads the names of what is to be hidden, with commas between them.
[[nodiscard]] Mask read_mask(std::string_view names) noexcept;

/// Returns the mask of this process, which is read from the environment once.
[[nodiscard]] const Mask& process_mask() noexcept;

}  // namespace corering
