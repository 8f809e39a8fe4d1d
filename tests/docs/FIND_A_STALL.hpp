/// FIND_A_STALL.hpp — what examples/stall.cpp has, of which docs/FIND_A_STALL.md shows one line.
#pragma once

#include <corering/sync/offload.hpp>

namespace page {

extern corering::BlockingPool pool;
int build_index();

}  // namespace page
