/// bare_side.hpp — a plain loop with plain coroutines, for scale: what is there when a library begins.
///
/// No scope, no cancellation, no trace, no dump, no check of threads, no place for a result or an exception,
/// one thread. It is no bound: a library may prefetch, or file completions in batches, and be faster.
#pragma once

#include <cstdint>

namespace bench::bare_side {

/// Nanoseconds, or -errno: `depth` coroutines that do `operations` nops together.
std::int64_t nop(unsigned depth, std::uint64_t operations);

/// Nanoseconds for `count` coroutines that are made, 256 at a time, then resumed and end.
double spawn(std::uint64_t count);

/// Nanoseconds for `count` coroutines that are awaited and end. The compiler may inline their bodies.
double await_child(std::uint64_t count);

}  // namespace bench::bare_side
