/// sqe_fields.hpp — the fields of an SQE that its opcode does not use, and the flags that it does not know.
#pragma once

#include <corering/uring/uapi.hpp>

namespace corering::emulation {

/// Returns 0, or -errno: Linux refuses what an opcode does not use unless it is zero, so that it can get a
/// meaning later. What refuses one SQE also ends its chain before it has begun.
[[nodiscard]] int error_of_fields(const Sqe& sqe) noexcept;

}  // namespace corering::emulation
