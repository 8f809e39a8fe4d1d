/// assert.hpp — checks that stay on in every build.
///
/// CORERING_ASSERT is for programmer errors: its condition can only be false if the program is wrong. The
/// world's failures (files, peers, limits) are `Result`s and never end here.
#pragma once

#include <source_location>

namespace corering {

/// Prints one line (what was expected, and where) on stderr and aborts. It needs no memory and takes no lock.
[[noreturn]] void fail_assertion(const char* condition, const char* message,
                                 std::source_location where) noexcept;

/// Prints one line on stderr and aborts, because there is no memory for `what` and nobody could be told.
/// docs/MEMORY.md lists every place that calls this.
[[noreturn]] void end_without_memory(const char* what) noexcept;

}  // namespace corering

/// Aborts with `message` unless `condition` holds. The message says what the program did wrong and what to
/// do.
#define CORERING_ASSERT(condition, message) \
  (static_cast<bool>(condition)             \
       ? void(0)                            \
       : ::corering::fail_assertion(#condition, message, std::source_location::current()))

/// The same for a mistake whose place is known: the message names the line of the user's program.
#define CORERING_ASSERT_AT(where, condition, message) \
  (static_cast<bool>(condition) ? void(0) : ::corering::fail_assertion(#condition, message, where))

/// The same for what costs more than a comparison, or stands on the hottest path: on in debug and sanitizer
/// builds, and wherever CORERING_CHECKS is defined.
#if !defined(NDEBUG) || defined(CORERING_CHECKS)
#define CORERING_DEBUG_ASSERT(condition, message) CORERING_ASSERT(condition, message)
#else
#define CORERING_DEBUG_ASSERT(condition, message) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif
