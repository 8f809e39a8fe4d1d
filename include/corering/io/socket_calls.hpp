/// socket_calls.hpp — operations on sockets, named after their system calls. The rows are explained in
/// io/file_calls.hpp.
///
/// Sockets used here must not be O_NONBLOCK. Every function that sends does so with MSG_NOSIGNAL: a closed
/// peer means EPIPE, never SIGPIPE.
#pragma once

#include <cstddef>
#include <span>
#include <sys/socket.h>

#include <corering/base/outside.hpp>
#include <corering/io/file_calls.hpp>

namespace corering {

namespace detail {

inline std::uint32_t quietly(int flags) noexcept { return static_cast<std::uint32_t>(flags | MSG_NOSIGNAL); }

inline Request socket_transfer(std::uint32_t head, const Descriptor& socket, const void* memory,
                               std::size_t length, std::uint32_t flags) noexcept {
  return {.addr = address_of(memory),
          .fd = socket.number(),
          .len = clamp_length(length),
          .head = head,
          .op_flags = flags};
}

inline Request message_transfer(std::uint32_t head, const Descriptor& socket, const msghdr* message,
                                std::uint32_t flags) noexcept {
  return {.addr = address_of(message), .fd = socket.number(), .len = 1, .head = head, .op_flags = flags};
}

/// Holds a message of one buffer and an address. It lies in the awaiter.
class OneBufferMessage : public Answer<std::size_t> {
 public:
  OneBufferMessage(const void* memory, std::size_t length, const sockaddr* address,
                   socklen_t address_length) noexcept
      : buffer_{const_cast<void*>(memory), length} {
    message_.msg_name = const_cast<sockaddr*>(address);
    message_.msg_namelen = address_length;
  }
  void prepare(Request& request) noexcept {
    message_.msg_iov = &buffer_;
    message_.msg_iovlen = 1;
    request.addr = address_of(&message_);
  }

 protected:
  [[nodiscard]] const msghdr& message() const noexcept { return message_; }
  void name(sockaddr* address, socklen_t length) noexcept {
    message_.msg_name = address;
    message_.msg_namelen = length;
  }

 private:
  iovec buffer_;
  msghdr message_{};
};

/// Holds such a message for a receive, and tells how long the sender's address is.
class ReceivedFrom : public OneBufferMessage {
 public:
  ReceivedFrom(std::span<std::byte> into, sockaddr* from, socklen_t* from_length) noexcept
      : OneBufferMessage(into.data(), into.size(), from, from_length != nullptr ? *from_length : 0),
        from_length_(from_length) {}
  std::size_t decode(const Reply& reply) const noexcept {
    if (from_length_ != nullptr) *from_length_ = message().msg_namelen;
    return static_cast<std::size_t>(reply.res);
  }

 private:
  socklen_t* from_length_;
};

/// Holds several buffers. An older kernel wants them in a message.
class SeveralBuffers : public Answer<std::size_t> {
 public:
  explicit SeveralBuffers(std::span<const iovec> buffers) noexcept {
    message_.msg_iov = const_cast<iovec*>(buffers.data());
    message_.msg_iovlen = buffers.size();
  }
  void rewrite(Request& request, const Capabilities&) noexcept {
    request.addr = address_of(&message_);
    request.len = 1;
    request.head = head(Opcode::sendmsg, request.head >> 8 & 0xff);
  }

 private:
  msghdr message_{};
};

inline std::uint64_t two_words(int low, int high) noexcept {
  return static_cast<std::uint32_t>(low) | std::uint64_t{static_cast<std::uint32_t>(high)} << 32;
}

/// Makes what the socket commands of URING_CMD have in common.
inline Request socket_command(std::uint64_t command, const Descriptor& socket, int level, int name,
                              const void* value, std::size_t length) noexcept {
  return {.addr = two_words(level, name),
          .fd = socket.number(),
          .off = command,
          .head = head(Opcode::uring_cmd, socket),
          .extra = with_file_index(static_cast<std::uint32_t>(length)),
          .addr3 = address_of(value)};
}

}  // namespace detail

// ---- making and connecting ----

/// socket(2). The descriptor is close-on-exec.
/// | SOCKET | 5.19 | socket(2) | - | EAFNOSUPPORT, EMFILE, EPROTONOSUPPORT |
inline IoOperation<Fd> async_socket(int domain, int type, int protocol = 0) noexcept {
  return IoOperation<Fd>(Request{.fd = domain,
                                 .len = static_cast<std::uint32_t>(protocol),
                                 .off = static_cast<std::uint32_t>(type | SOCK_CLOEXEC),
                                 .head = head(Opcode::socket)});
}

/// The same, into a free slot of `table`.
/// | SOCKET (direct) | 5.19 | socket(2) | `table` | EAFNOSUPPORT, ENFILE: no free slot |
inline IoOperation<FixedFile, detail::SlotAnswer> async_socket(const FileTable& table, int domain, int type,
                                                               int protocol = 0) noexcept {
  return IoOperation<FixedFile, detail::SlotAnswer>(Request{.fd = domain,
                                                            .len = static_cast<std::uint32_t>(protocol),
                                                            .off = static_cast<std::uint32_t>(type),
                                                            .head = head(Opcode::socket),
                                                            .extra = with_file_index(uapi::file_index_alloc)},
                                                    detail::SlotAnswer(table));
}

/// bind(2). On an older kernel the worker makes the system call, which does not wait.
/// | BIND | 6.11 | bind(2) | `address` | EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL |
inline ProbedOperation<void> async_bind(const Descriptor& socket, const sockaddr* address,
                                        socklen_t length) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    return detail::as_reply(os::bind(request.fd, reinterpret_cast<const sockaddr*>(request.addr),
                                     static_cast<socklen_t>(request.off)));
  };
  return ProbedOperation<void>(Request{.addr = detail::address_of(address),
                                       .fd = socket.number(),
                                       .off = length,
                                       .head = head(Opcode::bind, socket)},
                               {.need = Opcode::bind, .call = socket.is_slot() ? nullptr : +call});
}

/// listen(2). On an older kernel the worker makes the system call, which does not wait.
/// | LISTEN | 6.11 | listen(2) | - | EADDRINUSE, EOPNOTSUPP |
inline ProbedOperation<void> async_listen(const Descriptor& socket, int backlog) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    return detail::as_reply(os::listen(request.fd, static_cast<int>(request.len)));
  };
  return ProbedOperation<void>(Request{.fd = socket.number(),
                                       .len = static_cast<std::uint32_t>(backlog),
                                       .head = head(Opcode::listen, socket)},
                               {.need = Opcode::listen, .call = socket.is_slot() ? nullptr : +call});
}

/// accept4(2): takes the next connection. The caller owns the descriptor, which is close-on-exec. `peer` and
/// `peer_length` may be null; otherwise they are filled as accept(2) does. A connection that arrives after
/// the wait was abandoned is closed.
/// | ACCEPT | 5.5 | accept(2) | `peer`, `peer_length` | EMFILE, ENFILE, ECONNABORTED, EINVAL |
inline IoOperation<Fd> async_accept(const Descriptor& listener, sockaddr* peer = nullptr,
                                    socklen_t* peer_length = nullptr) noexcept {
  return IoOperation<Fd>(Request{.addr = detail::address_of(peer),
                                 .fd = listener.number(),
                                 .off = detail::address_of(peer_length),
                                 .head = head(Opcode::accept, listener),
                                 .op_flags = SOCK_CLOEXEC});
}

/// The same, into a free slot of `table`.
/// | ACCEPT (direct) | 5.15, slot picked by the kernel 5.19 | accept(2) | `table` | ENFILE: no free slot; ECONNABORTED |
inline IoOperation<FixedFile, detail::SlotAnswer> async_accept(const FileTable& table,
                                                               const Descriptor& listener) noexcept {
  return IoOperation<FixedFile, detail::SlotAnswer>(Request{.fd = listener.number(),
                                                            .head = head(Opcode::accept, listener),
                                                            .extra = with_file_index(uapi::file_index_alloc)},
                                                    detail::SlotAnswer(table));
}

/// accept4(2) if a connection is there already. Otherwise fails with EAGAIN at once.
/// | ACCEPT (DONTWAIT) | 6.10 | accept(2) | - | EAGAIN: none is there; EMFILE |
inline ProbedOperation<Fd> async_accept_now(const Descriptor& listener) noexcept {
  return ProbedOperation<Fd>(Request{.fd = listener.number(),
                                     .head = head(Opcode::accept, listener, 0, uapi::accept_dontwait),
                                     .op_flags = SOCK_CLOEXEC},
                             {.need = Feature::accept_dontwait});
}

/// connect(2) to `address`.
/// | CONNECT | 5.5 | connect(2) | `address` | ECONNREFUSED, ETIMEDOUT, ENETUNREACH, EISCONN |
inline IoOperation<void> async_connect(const Descriptor& socket, const sockaddr* address,
                                       socklen_t length) noexcept {
  return IoOperation<void>(Request{.addr = detail::address_of(address),
                                   .fd = socket.number(),
                                   .off = length,
                                   .head = head(Opcode::connect, socket)});
}

/// shutdown(2): SHUT_RD, SHUT_WR (the peer reads the end), SHUT_RDWR.
/// | SHUTDOWN | 5.11 | shutdown(2) | - | ENOTCONN, ENOTSOCK |
inline IoOperation<void> async_shutdown(const Descriptor& socket, int how) noexcept {
  return IoOperation<void>(Request{
      .fd = socket.number(), .len = static_cast<std::uint32_t>(how), .head = head(Opcode::shutdown, socket)});
}

// ---- receiving ----

/// recv(2): receives what has arrived, at most `into.size()` bytes. 0 means the peer's end of stream. `flags`
/// are MSG_*.
/// | RECV | 5.6 | recv(2) | `into` | ECONNRESET, ENOTCONN |
inline IoOperation<std::size_t> async_recv(const Descriptor& socket, std::span<std::byte> into,
                                           int flags = 0) noexcept {
  return IoOperation<std::size_t>(detail::socket_transfer(head(Opcode::recv, socket), socket, into.data(),
                                                          into.size(), static_cast<std::uint32_t>(flags)));
}

/// The same, into a buffer of `pool` that the kernel picks when something has arrived. An empty buffer means
/// the end.
/// | RECV (BUFFER_SELECT) | 5.7 | recv(2) | `pool` | ENOBUFS: every buffer is lent; ECONNRESET |
inline IoOperation<LentBuffer, detail::LentAnswer> async_recv(const Descriptor& socket,
                                                              const BufferPool& pool,
                                                              int flags = 0) noexcept {
  Request request = detail::socket_transfer(head(Opcode::recv, socket, uapi::sqe_buffer_select), socket,
                                            nullptr, 0, static_cast<std::uint32_t>(flags));
  request.extra = in_buffer(detail::group_of(pool.ring()));
  return IoOperation<LentBuffer, detail::LentAnswer>(request, detail::LentAnswer(pool.ring()));
}

namespace detail {
/// Without bundles one buffer comes at a time.
class BundleOrOne : public BundleAnswer {
 public:
  using BundleAnswer::BundleAnswer;
  void rewrite(Request& request, const Capabilities&) const noexcept { request.head &= 0xffff; }
};
}  // namespace detail

/// The same, into as many buffers of `pool` as the arrived bytes fill. No buffer means the end. The pool must
/// not be incremental. An older kernel fills one buffer, and so does Linux 6.12 for a Unix socket.
/// | RECV (BUNDLE) | 6.10 | recv(2) | `pool` | ENOBUFS: every buffer is lent; ECONNRESET |
inline auto async_recv_bundle(const Descriptor& socket, const BufferPool& pool, int flags = 0) noexcept {
  CORERING_ASSERT(!pool.is_incremental(), "bundles need a pool of whole buffers, not an incremental pool");
  Request request =
      detail::socket_transfer(head(Opcode::recv, socket, uapi::sqe_buffer_select, uapi::recvsend_bundle),
                              socket, nullptr, 0, static_cast<std::uint32_t>(flags));
  request.extra = in_buffer(detail::group_of(pool.ring()));
  return ProbedOperation<std::vector<LentBuffer>, detail::BundleOrOne>(request, {.need = Feature::bundles},
                                                                       detail::BundleOrOne(pool.ring()));
}

/// recvmsg(2).
/// | RECVMSG | 5.3 | recvmsg(2) | `message` and what it points to | ECONNRESET, EAGAIN |
inline IoOperation<std::size_t> async_recvmsg(const Descriptor& socket, msghdr& message,
                                              int flags = 0) noexcept {
  return IoOperation<std::size_t>(detail::message_transfer(head(Opcode::recvmsg, socket), socket, &message,
                                                           static_cast<std::uint32_t>(flags)));
}

/// recvfrom(2): receives one datagram, and tells who sent it. What does not fit into `into` is lost, and with
/// MSG_TRUNC in `flags` the result is the datagram's whole length. `from` and `from_length` may be null.
/// | RECVMSG | 5.3 | recvfrom(2) | `into`, `from`, `from_length` | ECONNREFUSED |
inline IoOperation<std::size_t, detail::ReceivedFrom> async_recvfrom(const Descriptor& socket,
                                                                     std::span<std::byte> into,
                                                                     sockaddr* from, socklen_t* from_length,
                                                                     int flags = 0) noexcept {
  return IoOperation<std::size_t, detail::ReceivedFrom>(
      detail::message_transfer(head(Opcode::recvmsg, socket), socket, nullptr,
                               static_cast<std::uint32_t>(flags)),
      detail::ReceivedFrom(into, from, from_length));
}

// ---- sending ----

/// send(2). Fewer bytes than asked may be taken. With MSG_WAITALL the kernel goes on until all are taken, or
/// until an error.
/// | SEND | 5.6 | send(2) | `from` | EPIPE, ECONNRESET, EMSGSIZE |
inline IoOperation<std::size_t> async_send(const Descriptor& socket, std::span<const std::byte> from,
                                           int flags = 0) noexcept {
  return IoOperation<std::size_t>(detail::socket_transfer(head(Opcode::send, socket), socket, from.data(),
                                                          from.size(), detail::quietly(flags)));
}

/// send(2) of several buffers. On an older kernel it is a SENDMSG.
/// | SEND (VECTORIZED) | 6.17 | writev(2) | `from` and its buffers | EPIPE, ECONNRESET, EMSGSIZE |
inline auto async_sendv(const Descriptor& socket, std::span<const iovec> from, int flags = 0) noexcept {
  return ProbedOperation<std::size_t, detail::SeveralBuffers>(
      Request{.addr = detail::address_of(from.data()),
              .fd = socket.number(),
              .len = static_cast<std::uint32_t>(from.size()),
              .head = head(Opcode::send, socket, 0, uapi::send_vectorized),
              .op_flags = detail::quietly(flags)},
      {.need = Feature::send_vectorized}, detail::SeveralBuffers(from));
}

/// sendto(2): sends one datagram.
/// | SENDMSG | 5.3 | sendto(2) | `from`, `to` | EMSGSIZE, ECONNREFUSED, ENETUNREACH |
inline IoOperation<std::size_t, detail::OneBufferMessage> async_sendto(const Descriptor& socket,
                                                                       std::span<const std::byte> from,
                                                                       const sockaddr* to,
                                                                       socklen_t to_length,
                                                                       int flags = 0) noexcept {
  return IoOperation<std::size_t, detail::OneBufferMessage>(
      detail::message_transfer(head(Opcode::sendmsg, socket), socket, nullptr, detail::quietly(flags)),
      detail::OneBufferMessage(from.data(), from.size(), to, to_length));
}

/// sendmsg(2).
/// | SENDMSG | 5.3 | sendmsg(2) | `message` and what it points to | EPIPE, ECONNRESET, EMSGSIZE |
inline IoOperation<std::size_t> async_sendmsg(const Descriptor& socket, const msghdr& message,
                                              int flags = 0) noexcept {
  return IoOperation<std::size_t>(
      detail::message_transfer(head(Opcode::sendmsg, socket), socket, &message, detail::quietly(flags)));
}

/// Tells how a zero-copy send ended.
struct ZeroCopySend {
  std::size_t bytes = 0;
  enum class Copied : std::uint8_t { no, yes, unknown };
  /// Tells whether the kernel copied all the same, as it does on the loopback device. Before Linux 6.2 it is
  /// unknown.
  Copied copied = Copied::unknown;
};

namespace detail {

template <Opcode ZeroCopy, Opcode Plain>
struct ZeroCopyAnswer {
  using Base = NotifiedCompletion;
  ZeroCopySend decode(const Reply& reply) const noexcept {
    ZeroCopySend sent{.bytes = static_cast<std::size_t>(reply.res)};
    if (plain) {
      sent.copied = ZeroCopySend::Copied::yes;
    } else if (reports) {
      const bool copied = (reply.flags & uapi::notif_usage_zc_copied) != 0;
      sent.copied = copied ? ZeroCopySend::Copied::yes : ZeroCopySend::Copied::no;
    }
    return sent;
  }
  void rewrite(Request& request, const Capabilities& there) noexcept {
    reports = false;
    request.head &= ~(uapi::send_zc_report_usage << 16);
    if (there.has(ZeroCopy)) return;
    plain = true;
    request.head = head(Plain, request.head >> 8 & 0xff);
    request.extra = 0;
  }
  bool plain = false;
  bool reports = true;
};

using ZeroCopySendAnswer = ZeroCopyAnswer<Opcode::send_zc, Opcode::send>;
using ZeroCopyMessageAnswer = ZeroCopyAnswer<Opcode::sendmsg_zc, Opcode::sendmsg>;

}  // namespace detail

/// send(2) out of the caller's memory, without copying it. It is for large sends. On an older kernel it is a
/// SEND.
/// resumes: when the kernel no longer uses `from`, on errors too; on a connection that may be when the peer
///   has acknowledged it
/// | SEND_ZC | 6.0 | send(2) | `from` | EPIPE, ECONNRESET, ENOMEM, EOPNOTSUPP |
inline auto async_send_zc(const Descriptor& socket, std::span<const std::byte> from, int flags = 0) noexcept {
  return ProbedOperation<ZeroCopySend, detail::ZeroCopySendAnswer>(
      detail::socket_transfer(head(Opcode::send_zc, socket, 0, uapi::send_zc_report_usage), socket,
                              from.data(), from.size(), detail::quietly(flags)),
      {.need = Feature::send_zc_report_usage});
}

/// The same, out of a registered buffer.
/// | SEND_ZC (FIXED_BUF) | 6.0 | send(2) | `from` | EPIPE, ECONNRESET, EFAULT |
inline auto async_send_zc(const Descriptor& socket, const FixedSpan& from, int flags = 0) noexcept {
  constexpr std::uint32_t ioprio = uapi::send_zc_report_usage | uapi::recvsend_fixed_buf;
  Request request = detail::socket_transfer(head(Opcode::send_zc, socket, 0, ioprio), socket,
                                            from.bytes().data(), from.size(), detail::quietly(flags));
  request.extra = in_buffer(from.index());
  return ProbedOperation<ZeroCopySend, detail::ZeroCopySendAnswer>(request,
                                                                   {.need = Feature::send_zc_report_usage});
}

namespace detail {

/// Sends one datagram without copying. A kernel that does not know SEND_ZC gets a message.
class ZeroCopyTo : public ZeroCopySendAnswer {
 public:
  ZeroCopyTo(std::span<const std::byte> from, const sockaddr* to, socklen_t to_length) noexcept
      : message_(from.data(), from.size(), to, to_length) {}
  void rewrite(Request& request, const Capabilities& there) noexcept {
    ZeroCopySendAnswer::rewrite(request, there);
    if (!plain) return;
    request.head = head(Opcode::sendmsg, request.head >> 8 & 0xff);
    request.len = 1;
    request.off = 0;
    message_.prepare(request);
  }

 private:
  OneBufferMessage message_;
};

}  // namespace detail

/// The same for one datagram, to an address.
/// | SEND_ZC (to an address) | 6.0 | sendto(2) | `from`, `to` | EMSGSIZE, ECONNREFUSED, EOPNOTSUPP |
inline auto async_sendto_zc(const Descriptor& socket, std::span<const std::byte> from, const sockaddr* to,
                            socklen_t to_length, int flags = 0) noexcept {
  Request request = detail::socket_transfer(head(Opcode::send_zc, socket, 0, uapi::send_zc_report_usage),
                                            socket, from.data(), from.size(), detail::quietly(flags));
  request.off = detail::address_of(to);
  request.extra = with_file_index(to_length);
  return ProbedOperation<ZeroCopySend, detail::ZeroCopyTo>(request, {.need = Feature::send_zc_report_usage},
                                                           detail::ZeroCopyTo(from, to, to_length));
}

/// sendmsg(2) without copying.
/// | SENDMSG_ZC | 6.1 | sendmsg(2) | `message` and what it points to | EPIPE, ECONNRESET, ENOMEM |
inline auto async_sendmsg_zc(const Descriptor& socket, const msghdr& message, int flags = 0) noexcept {
  return ProbedOperation<ZeroCopySend, detail::ZeroCopyMessageAnswer>(
      detail::message_transfer(head(Opcode::sendmsg_zc, socket, 0, uapi::send_zc_report_usage), socket,
                               &message, detail::quietly(flags)),
      {.need = Feature::send_zc_report_usage});
}

/// async_send_auto does not copy from this many bytes on. Below that the bookkeeping costs more than the
/// copy.
inline constexpr std::size_t zero_copy_pays_from = 16 * 1024;

/// Does async_send for fewer than `threshold` bytes, and async_send_zc otherwise. The result says what the
/// kernel did.
/// | SEND or SEND_ZC | 5.6 | send(2) | `from` | EPIPE, ECONNRESET |
inline auto async_send_auto(const Descriptor& socket, std::span<const std::byte> from, int flags = 0,
                            std::size_t threshold = zero_copy_pays_from) noexcept {
  if (from.size() >= threshold) return async_send_zc(socket, from, flags);
  detail::ZeroCopySendAnswer copies;
  copies.plain = true;
  return ProbedOperation<ZeroCopySend, detail::ZeroCopySendAnswer>(
      detail::socket_transfer(head(Opcode::send, socket), socket, from.data(), from.size(),
                              detail::quietly(flags)),
      {.need = Opcode::send}, copies);
}

/// Returns the same receive, send or accept, without the first try when you know that it would fail:
/// IORING_RECVSEND_POLL_FIRST, IORING_ACCEPT_POLL_FIRST (6.10).
template <class T, class Payload>
[[nodiscard]] IoOperation<T, Payload> poll_first(const IoOperation<T, Payload>& operation) noexcept {
  const bool accepts = operation.request().opcode() == Opcode::accept;
  return operation.with((accepts ? uapi::accept_poll_first : uapi::recvsend_poll_first) << 16);
}

// ---- options ----

/// getsockopt(2) of level SOL_SOCKET: reads the option into `value`, and returns how many bytes it has. On an
/// older kernel the worker makes the system call, which does not wait.
/// | URING_CMD (GETSOCKOPT) | 6.7 | getsockopt(2) | `value` | ENOPROTOOPT, EOPNOTSUPP: another level |
inline ProbedOperation<std::size_t> async_getsockopt(const Descriptor& socket, int level, int name,
                                                     std::span<std::byte> value) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    auto length = static_cast<socklen_t>(request.extra >> 32);
    const int failed =
        os::get_option(request.fd, static_cast<int>(request.addr), static_cast<int>(request.addr >> 32),
                       reinterpret_cast<void*>(request.addr3), &length);
    return failed != 0 ? -errno : static_cast<std::int32_t>(length);
  };
  return ProbedOperation<std::size_t>(
      detail::socket_command(uapi::socket_getsockopt, socket, level, name, value.data(), value.size()),
      {.need = Feature::socket_options, .call = socket.is_slot() ? nullptr : +call});
}

/// setsockopt(2). On an older kernel the worker makes the system call, which does not wait.
/// | URING_CMD (SETSOCKOPT) | 6.7 | setsockopt(2) | `value` | ENOPROTOOPT, EINVAL, EPERM |
inline ProbedOperation<void> async_setsockopt(const Descriptor& socket, int level, int name,
                                              std::span<const std::byte> value) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    return detail::as_reply(os::set_option(
        request.fd, static_cast<int>(request.addr), static_cast<int>(request.addr >> 32),
        reinterpret_cast<const void*>(request.addr3), static_cast<socklen_t>(request.extra >> 32)));
  };
  return ProbedOperation<void>(
      detail::socket_command(uapi::socket_setsockopt, socket, level, name, value.data(), value.size()),
      {.need = Feature::socket_options, .call = socket.is_slot() ? nullptr : +call});
}

/// Returns how many bytes wait to be received: ioctl(2), SIOCINQ.
/// | URING_CMD (SIOCINQ) | 6.7 | tcp(7), udp(7) | - | EOPNOTSUPP |
inline ProbedOperation<std::size_t> async_bytes_to_receive(const Descriptor& socket) noexcept {
  return ProbedOperation<std::size_t>(detail::socket_command(uapi::socket_siocinq, socket, 0, 0, nullptr, 0),
                                      {.need = Feature::socket_options});
}

/// Returns how many bytes have been sent but not acknowledged: ioctl(2), SIOCOUTQ.
/// | URING_CMD (SIOCOUTQ) | 6.7 | tcp(7) | - | EOPNOTSUPP |
inline ProbedOperation<std::size_t> async_bytes_to_send(const Descriptor& socket) noexcept {
  return ProbedOperation<std::size_t>(detail::socket_command(uapi::socket_siocoutq, socket, 0, 0, nullptr, 0),
                                      {.need = Feature::socket_options});
}

}  // namespace corering
