/// bare_side.hpp — a plain loop with plain coroutines, as a scale: what exists before a library begins.
///
/// It has no scope, no cancellation, no trace, no dump, no check of threads, no place for a result or an
/// exception, and one thread. It is not a lower bound: a library may prefetch, or handle completions in
/// batches, and be faster.
#pragma once

#include <cstdint>

namespace bench::bare_side {

/// Returns nanoseconds, or -errno, for `depth` coroutines that do `operations` nops together.
std::int64_t nop(unsigned depth, std::uint64_t operations);

/// Returns nanoseconds for `count` coroutines that are made, 256 at a time, then are resumed, and end.
double spawn(std::uint64_t count);

/// Returns nanoseconds for `count` coroutines that are awaited and end. The compiler may inline their bodies.
double await_child(std::uint64_t count);

}  // namespace bench::bare_side
