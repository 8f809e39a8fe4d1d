/// environment.hpp — what the environment says about recording a run and replaying one.
#pragma once

#include <corering/base/result.hpp>
#include <corering/uring/kernel.hpp>

namespace corering::replay {

/// Returns the kernel that records (CORERING_TRACE=replay,file=PATH) or replays (CORERING_REPLAY=PATH), or
/// null. `chosen` returns the kernel that is recorded. The first call decides, and its thread is the one that
/// takes part. What is wrong is printed.
[[nodiscard]] Kernel* kernel_of_environment(Kernel& (*chosen)() noexcept) noexcept;

/// Returns an error if a variable of the environment says something that does not work: CORERING_MASK,
/// CORERING_KERNEL or CORERING_REPLAY. Then no worker starts.
[[nodiscard]] Result<void> check_environment() noexcept;

}  // namespace corering::replay
