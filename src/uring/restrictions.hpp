/// restrictions.hpp — a ring that refuses what it was not given.
#pragma once

#include <span>

#include <corering/uring/kernel.hpp>

namespace corering {

/// Restricts a ring that was opened with uapi::setup_r_disabled to the allowed opcodes and to what a worker
/// itself needs, and enables it. Returns 0 or -errno.
/// since: 5.10 · follows: io_uring_register(2), IORING_REGISTER_RESTRICTIONS
int restrict_and_enable(KernelRing& ring, std::span<const Opcode> allowed) noexcept;

}  // namespace corering
