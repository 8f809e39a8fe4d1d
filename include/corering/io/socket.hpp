/// socket.hpp — operations on sockets, named after their system calls.
///
/// Each returns an operation to `co_await` on a worker, or `.on(worker)` from anywhere (core/operation.hpp
/// says how they suspend, resume and fail). Buffers and addresses must stay alive until the awaiting
/// coroutine has resumed. Errors are the system call's own errno, and ECANCELED when the worker stops.
/// Sockets used here must not be O_NONBLOCK.
#pragma once

#include <cstddef>
#include <span>
#include <sys/socket.h>

#include <corering/io/file.hpp>

namespace corering {

/// accept4(2): the next connection, owned and close-on-exec. `peer` and `peer_length` may be null; else they
/// are filled as accept(2) does. A connection that arrives after the wait was abandoned is closed.
inline IoOperation<Fd> async_accept(int listener, sockaddr* peer = nullptr,
                                    socklen_t* peer_length = nullptr) noexcept {
  return IoOperation<Fd>(Request{.addr = detail::address_of(peer),
                                 .fd = listener,
                                 .off = detail::address_of(peer_length),
                                 .what = plain(Opcode::accept),
                                 .op_flags = SOCK_CLOEXEC});
}

/// connect(2) to `address`, which must stay alive until resumed.
inline IoOperation<void> async_connect(int socket, const sockaddr* address, socklen_t length) noexcept {
  return IoOperation<void>(Request{
      .addr = detail::address_of(address), .fd = socket, .off = length, .what = plain(Opcode::connect)});
}

/// recv(2): what has arrived, at most `into.size()` bytes; 0 is the peer's end of stream. `flags` are MSG_*.
inline IoOperation<std::size_t> async_recv(int socket, std::span<std::byte> into, int flags = 0) noexcept {
  return IoOperation<std::size_t>(Request{.addr = detail::address_of(into.data()),
                                          .fd = socket,
                                          .len = detail::clamp_length(into.size()),
                                          .what = plain(Opcode::recv),
                                          .op_flags = static_cast<std::uint32_t>(flags)});
}

/// send(2), always with MSG_NOSIGNAL: a closed peer is EPIPE, never SIGPIPE. Fewer bytes than asked may be
/// taken; with MSG_WAITALL the kernel goes on until all are, or an error.
inline IoOperation<std::size_t> async_send(int socket, std::span<const std::byte> from,
                                           int flags = 0) noexcept {
  return IoOperation<std::size_t>(Request{.addr = detail::address_of(from.data()),
                                          .fd = socket,
                                          .len = detail::clamp_length(from.size()),
                                          .what = plain(Opcode::send),
                                          .op_flags = static_cast<std::uint32_t>(flags | MSG_NOSIGNAL)});
}

}  // namespace corering
