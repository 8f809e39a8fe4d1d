/// perfetto.hpp — a trace as https://ui.perfetto.dev opens it.
#pragma once

#include "operations.hpp"
#include "output.hpp"

namespace iotrace {

/// Writes a protobuf trace: a track for each thread with what its worker did, rows of operations with their
/// stages below it, an arrow from where an operation is awaited to where its coroutine goes on, and a counter
/// of the operations in flight. Times are those of CLOCK_MONOTONIC_RAW.
void write_perfetto(const Trace& trace, Output& out);

}  // namespace iotrace
