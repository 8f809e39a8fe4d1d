/// capture_limits.hpp — what is kept, as the page says it that workers read.
#pragma once

#include <string_view>

#include <corering/trace/recorder.hpp>

namespace corering::trace {

/// Writes the limits down, in ticks of this machine. They may be those of another process.
void set_limits(recorder::Limits& limits, const Capture& capture) noexcept;

/// Takes "slow=5ms", "slow=p99", "stall=5ms", "failed" or "every=1s". Returns false for anything else.
[[nodiscard]] bool take_capture_word(std::string_view word, Capture& capture);

}  // namespace corering::trace
