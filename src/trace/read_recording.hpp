/// read_recording.hpp — reads a trace file, whatever is in it.
#pragma once

#include <corering/trace/recording.hpp>

#include "trace/byte_source.hpp"
#include "trace/layout.hpp"

namespace corering::trace {

/// Returns the first page, which is one of a version that we can read.
[[nodiscard]] Result<layout::FileHead> read_head(const ByteSource& source);

/// As open_recording().
[[nodiscard]] Result<Recording> read_recording(const ByteSource& source);

}  // namespace corering::trace
