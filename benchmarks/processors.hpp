/// processors.hpp — where things run: the measured program on the first processor, its counterpart on the
/// last.
#pragma once

#include <vector>

namespace bench {

/// These are the first and the last processor that this process was allowed to use at the first call.
[[nodiscard]] const std::vector<int>& processors();
[[nodiscard]] inline int first_processor() { return processors().front(); }
[[nodiscard]] inline int last_processor() { return processors().back(); }

/// Pins the calling thread, and the threads and programs that it starts from now on.
void pin_to(int processor);

}  // namespace bench
