/// assert.cpp — how a failed assertion ends the program.
#include <cstdio>
#include <cstdlib>

#include <corering/base/assert.hpp>

namespace corering {

void fail_assertion(const char* condition, const char* message, std::source_location where) noexcept {
  dprintf(2, "corering: %s (%s, %s:%u)\n", message, condition, where.file_name(), where.line());
  std::abort();
}

}  // namespace corering
