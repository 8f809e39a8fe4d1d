/// happening.hpp — one thing that happened in a simulated world.
#pragma once

#include <cstdint>

namespace corering::sim {

struct Happening {
  enum class Kind : std::uint8_t {
    turn,       ///< a worker begins a turn
    call,       ///< the kernel tries an operation: `what` is its opcode, `result` what it answers
    waits,      ///< it waits for its descriptor; `result` is the events
    lent,       ///< a helper has it
    ready,      ///< what it waited for has come
    arrives,    ///< something arrives at a descriptor from the other side
    jump,       ///< nothing could run, and time went on
    fault,      ///< `what` is the Fault
    outside,    ///< a function of the test, or a job of a pool, ran as on a plain thread
    signal,     ///< the program was sent the signal `what`
    child,      ///< the child `what` begins, or ends: `result` is its code, or minus the signal
    note,       ///< of the test: `what` is its number
    power_off,  ///< nothing reaches the files any more
    restart,    ///< the machine starts again, in a second world
  };
  std::int64_t at = 0;  ///< nanoseconds since the world began
  Kind kind = Kind::turn;
  std::uint16_t worker = 0;
  std::int32_t what = 0;
  std::int32_t fd = -1;  ///< counted from the first simulated one
  std::int32_t result = 0;
};

}  // namespace corering::sim
