/// walk.hpp — the same random operations on a real machine and on a simulated one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include <corering/emulation/emulated_kernel.hpp>
#include <corering/sim/explore.hpp>
#include <gtest/gtest.h>

#include "conformance/machine.hpp"

namespace corering::conformance {

[[nodiscard]] inline std::string result_text(int result) {
  return result < 0 ? std::strerror(-result) : std::to_string(result);
}

/// From the line of the first difference on.
[[nodiscard]] inline std::string first_difference(const std::string& real, const std::string& simulated) {
  const auto at = static_cast<std::size_t>(std::ranges::mismatch(real, simulated).in1 - real.begin());
  const std::size_t begin = at == 0 ? 0 : real.rfind('\n', at - 1) + 1;
  return "real:\n" + real.substr(begin, 200) + "\nsimulated:\n" + simulated.substr(begin, 200);
}

/// Walks from `count` seeds, or from the one that `--seed` names. `walk` returns what every operation
/// answered. The real machine's kernel is the emulated one, which makes the system calls themselves. A
/// machine with much to do may deliver late what a socket was sent, so a walk may be tried five times.
template <class Walk>
void compare_walks(std::uint64_t count, Walk&& walk) {
  const std::uint64_t first = sim::wanted_seed().value_or(1);
  const std::uint64_t end = first + (sim::wanted_seed() ? 1 : count);
  for (std::uint64_t seed = first; seed < end; ++seed) {
    const std::string simulated = walk(*simulated_machine(seed), seed);
    std::string real;
    for (int tries = 0; tries < 5 && real != simulated; ++tries)
      real = walk(*real_machine(emulated_kernel()), seed);
    ASSERT_TRUE(real == simulated) << "--seed=" << seed << "\n" << first_difference(real, simulated);
  }
}

}  // namespace corering::conformance
