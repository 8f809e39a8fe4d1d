/// kernel_choice.hpp — which kernel the environment asks for: CORERING_KERNEL=io_uring|emulated|auto.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace corering {

/// Which kernel workers use that do not name one.
enum class KernelChoice : std::uint8_t {
  io_uring,   ///< the real one, or an error
  emulated,   ///< the emulated one
  automatic,  ///< the real one where it is allowed, else the emulated one
};

/// Returns what CORERING_KERNEL says, or nothing if it is not set or says something else.
[[nodiscard]] std::optional<KernelChoice> kernel_choice_in_environment() noexcept;

/// Returns the value of CORERING_KERNEL if it is none of the three, or an empty text. With a wrong value a
/// worker does not start.
[[nodiscard]] std::string_view wrong_kernel_name() noexcept;

}  // namespace corering
