/// registration_rules.hpp — when the argument of an io_uring_register(2) is wrong in itself.
#pragma once

namespace corering::emulation {

/// Returns 0 or -errno, whatever the ring has registered.
[[nodiscard]] int error_of_registration(unsigned opcode, const void* argument, unsigned count) noexcept;

}  // namespace corering::emulation
