/// machine_parts.hpp — parts of the scenario that use what a machine has beside files and sockets.
#pragma once

#include "sim/program.hpp"

namespace corering::sim_test {

/// Gives the world the names and programs that the parts use.
void set_up_machine(sim::World& world);

/// Returns one of the parts: names and threads, a signal, or a child.
[[nodiscard]] Task<void> some_machine_part(Program& program);

}  // namespace corering::sim_test
