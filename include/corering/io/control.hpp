/// control.hpp — operations on operations: nop, poll, cancel.
#pragma once

#include <cstdint>

#include <corering/core/operation.hpp>

namespace corering {

/// Goes to the kernel and comes back; for measuring, and for giving the worker's other coroutines a turn.
inline IoOperation<void> async_nop() noexcept {
  return IoOperation<void>(Request{.what = plain(Opcode::nop)});
}

/// poll(2), once: waits until one of `events` (POLLIN, POLLOUT, ...) holds for `fd`, and returns those that
/// do, POLLERR and POLLHUP included.
inline IoOperation<unsigned> async_poll(int fd, unsigned events) noexcept {
  return IoOperation<unsigned>(Request{.fd = fd, .what = plain(Opcode::poll_add), .op_flags = events});
}

/// Cancels every operation on `fd` that this worker has in flight, and returns how many were found. Each of
/// them still ends by its own answer: ECANCELED, or its normal result if it was faster. The way to close a
/// descriptor that is in use: cancel, let the operations end, close. Minimum kernel 5.19; io_uring_enter(2),
/// IORING_ASYNC_CANCEL_FD.
inline IoOperation<unsigned> async_cancel(int fd) noexcept {
  return IoOperation<unsigned>(
      Request{.fd = fd, .what = plain(Opcode::async_cancel), .op_flags = abi::cancel_fd | abi::cancel_all});
}

}  // namespace corering
