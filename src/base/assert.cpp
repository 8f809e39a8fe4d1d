/// assert.cpp — how a failed assertion, or a lack of memory, ends the program.
#include <cstdio>
#include <cstdlib>

#include <corering/base/assert.hpp>

namespace corering {

void fail_assertion(const char* condition, const char* message, std::source_location where) noexcept {
  dprintf(2, "corering: %s (%s, %s:%u)\n", message, condition, where.file_name(), where.line());
  std::abort();
}

void end_without_memory(const char* what) noexcept {
  dprintf(2, "corering: there is no memory for %s, and nobody can be told: the program ends\n", what);
  std::abort();
}

}  // namespace corering
