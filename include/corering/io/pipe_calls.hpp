/// pipe_calls.hpp — operations on pipes. The rows are explained in io/file_calls.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <fcntl.h>
#include <unistd.h>

#include <corering/io/file_calls.hpp>

namespace corering {

/// Owns both ends of a pipe.
struct PipeEnds {
  Fd reader;
  Fd writer;
};

namespace detail {

/// The kernel writes both descriptors into memory, which lies in the awaiter.
class PipeAnswer {
 public:
  void prepare(Request& request) noexcept { request.addr = address_of(fds_.data()); }
  PipeEnds decode(const Reply&) const noexcept { return {.reader = Fd(fds_[0]), .writer = Fd(fds_[1])}; }

 private:
  std::array<int, 2> fds_{-1, -1};
};

inline Request splice_request(Opcode opcode, const Descriptor& from, FileOffset from_offset,
                              const Descriptor& to, FileOffset to_offset, std::size_t length,
                              unsigned flags) noexcept {
  return {.addr = from_offset.sqe_field(),
          .fd = to.number(),
          .len = clamp_length(length),
          .off = to_offset.sqe_field(),
          .head = head(opcode, to),
          .op_flags = flags | (from.is_slot() ? uapi::splice_fd_in_fixed : 0),
          .extra = with_file_index(static_cast<std::uint32_t>(from.number()))};
}

}  // namespace detail

/// pipe2(2). Both descriptors are close-on-exec. On an older kernel the worker makes the system call, which
/// does not wait.
/// | PIPE | 6.16 | pipe2(2) | - | EMFILE, ENFILE, EINVAL |
inline ProbedOperation<PipeEnds, detail::PipeAnswer> async_pipe(int flags = 0) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    return detail::as_reply(
        ::pipe2(reinterpret_cast<int*>(request.addr), static_cast<int>(request.op_flags)));
  };
  return ProbedOperation<PipeEnds, detail::PipeAnswer>(
      Request{.fd = 0, .head = head(Opcode::pipe), .op_flags = static_cast<std::uint32_t>(flags | O_CLOEXEC)},
      {.need = Opcode::pipe, .call = call});
}

/// splice(2): moves up to `length` bytes from `from` to `to` inside the kernel. One of them is a pipe. The
/// offset of a pipe is current_position. A result of 0 means the end. It runs on a helper thread of the
/// kernel.
/// | SPLICE | 5.7 | splice(2) | - | EINVAL, ESPIPE, EPIPE (and SIGPIPE) |
inline IoOperation<std::size_t> async_splice(const Descriptor& from, FileOffset from_offset,
                                             const Descriptor& to, FileOffset to_offset, std::size_t length,
                                             unsigned flags = 0) noexcept {
  return IoOperation<std::size_t>(
      detail::splice_request(Opcode::splice, from, from_offset, to, to_offset, length, flags));
}

/// tee(2): duplicates up to `length` bytes from one pipe to another, without consuming them.
/// | TEE | 5.8 | tee(2) | - | EINVAL: not a pipe, or the same one |
inline IoOperation<std::size_t> async_tee(const Descriptor& from, const Descriptor& to, std::size_t length,
                                          unsigned flags = 0) noexcept {
  return IoOperation<std::size_t>(detail::splice_request(Opcode::tee, from, 0, to, 0, length, flags));
}

}  // namespace corering
