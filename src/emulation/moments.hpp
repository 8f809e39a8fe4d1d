/// moments.hpp — what an emulated ring records of itself, where the kernel has tracepoints.
#pragma once

#include <corering/trace/recorder.hpp>

#include "emulation/submission.hpp"

namespace corering::emulation {

inline void record(trace::Kind kind, const Sqe& sqe, std::uint64_t a = 0, std::uint64_t b = 0) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(kind, sqe.opcode, reinterpret_cast<const void*>(sqe.user_data), a, b);
}

inline void record_posted(const Submission& operation, std::int32_t result, std::uint32_t flags) noexcept {
  record(trace::Kind::emulation_posted, operation.sqe,
         static_cast<std::uint64_t>(static_cast<std::uint32_t>(result)) << 32 | flags);
}

}  // namespace corering::emulation
