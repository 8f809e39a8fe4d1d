/// hard_parts.hpp — what is hard to get right: hops, scopes and shields, late cancels, and a stop in the
/// middle.
#pragma once

#include "sim/program.hpp"

namespace corering::sim_test {

/// Returns one of them. Each checks by itself that it ends in time, and where.
[[nodiscard]] Task<void> some_hard_part(Program& program);

/// Starts tasks that are still there when the workers are told to stop, and notes the time.
void leave_some_behind(Program& program);

}  // namespace corering::sim_test
