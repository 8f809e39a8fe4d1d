/// CRASH_TEST.hpp — what docs/CRASH_TEST.md takes from examples/key_value_crash_test.cpp.
#pragma once

#include <corering/sim/explore.hpp>
#include <corering/sim/power_cut.hpp>
#include <gtest/gtest.h>

namespace page {

struct Careful;
template <class Care>
corering::sim::RunReport run_and_crash(const corering::sim::WorldOptions& options);

}  // namespace page
