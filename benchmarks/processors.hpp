/// processors.hpp — where things run: what is measured on the first processor, its counterpart on the last.
#pragma once

#include <vector>

namespace bench {

/// Those that this process was allowed to use when it was first asked.
[[nodiscard]] const std::vector<int>& processors();
[[nodiscard]] inline int first_processor() { return processors().front(); }
[[nodiscard]] inline int last_processor() { return processors().back(); }

/// The calling thread, and what it starts from now on.
void pin_to(int processor);

}  // namespace bench
