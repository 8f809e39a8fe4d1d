/// opcode_rules.hpp — what an SQE of an opcode may say, and when its result counts as a failure.
#pragma once

#include "emulation/submission.hpp"

namespace corering::emulation {

/// Returns 0, or -errno if the SQE is wrong in itself, whatever its descriptor is.
[[nodiscard]] int error_of(const Sqe& sqe) noexcept;

/// Returns true for a zero-copy send that is answered twice. Also one that is wrong or cancelled is, unless
/// it is wrong at first sight.
[[nodiscard]] bool notifies(const Sqe& sqe) noexcept;

[[nodiscard]] constexpr bool is_zero_copy(Opcode opcode) noexcept {
  return opcode == Opcode::send_zc || opcode == Opcode::sendmsg_zc;
}

/// Returns true for a PlainCall: one buffer is read, written, received or sent, and the SQE has no flags.
[[nodiscard]] inline bool is_plain(const Sqe& sqe) noexcept {
  const bool has_no_flags =
      (sqe.flags & ~uapi::sqe_fixed_file) == 0 && sqe.ioprio == 0 && sqe.personality == 0;
  switch (static_cast<Opcode>(sqe.opcode)) {
    case Opcode::read:
    case Opcode::write:
    case Opcode::send:
      return has_no_flags;
    case Opcode::recv:  // with one of these it is refused
      return has_no_flags && sqe.off == 0 && sqe.file_index == 0;
    default:
      return false;
  }
}

/// Returns true if the links after it do not begin: also for a read or a write that moved less than asked.
[[nodiscard]] bool fails(const Submission& operation, std::int32_t result) noexcept;

[[nodiscard]] bool is_multishot(const Submission& operation) noexcept;

/// Returns true if a chosen buffer counts as used even when nothing was read into it.
[[nodiscard]] bool uses_buffer_at_end(Opcode opcode) noexcept;

/// Returns true if a part that was moved counts when the rest is cancelled: a send or a receive.
[[nodiscard]] bool keeps_part(Opcode opcode) noexcept;

/// Returns true if it opens a descriptor, which may go into a slot.
[[nodiscard]] bool opens_file(Opcode opcode) noexcept;

/// Returns true if the opcode works here at all.
[[nodiscard]] bool is_offered(Opcode opcode) noexcept;

/// Returns true if the opcode's `fd` names a file.
[[nodiscard]] bool uses_file(Opcode opcode) noexcept;
/// Returns true if it names a directory, or the current one.
[[nodiscard]] bool uses_directory(Opcode opcode) noexcept;

}  // namespace corering::emulation
