/// datagram.hpp — sockets that carry messages: UDP, and datagrams of the Unix family.
#pragma once

#include <corering/net/socket.hpp>

namespace corering {

struct ReceivedDatagram {
  std::size_t bytes = 0;
  Address from;
  bool truncated = false;  ///< it was longer than the buffer; the rest is lost
};

class DatagramSocket : public Socket {
 public:
  using Socket::Socket;

  /// One datagram. EMSGSIZE when it is too long, ECONNREFUSED when an earlier one was refused.
  auto send_to(std::span<const std::byte> bytes, const Address& to) const noexcept {
    return IoOperation<std::size_t, detail::AddressedTo>(
        detail::message_transfer(head(Opcode::sendmsg), fd(), nullptr, MSG_NOSIGNAL),
        detail::AddressedTo(bytes, to));
  }
  /// The next datagram, and who sent it.
  [[nodiscard]] Task<Result<ReceivedDatagram>> receive_from(std::span<std::byte> into) const;

  /// From now on send() goes there, and only what comes from there is received. connect(2), which does not
  /// wait for datagram sockets.
  Result<void> connect(const Address& peer) noexcept;
  auto send(std::span<const std::byte> bytes) const noexcept { return async_send(fd(), bytes); }
  auto receive(std::span<std::byte> into) const noexcept { return async_recv(fd(), into); }

  /// Datagrams without a buffer of one's own. See RecvmsgStream.
  [[nodiscard]] RecvmsgStream stream(BufferPool& pool) const { return RecvmsgStream(fd(), pool); }
};

class UdpSocket : public DatagramSocket {
 public:
  using DatagramSocket::DatagramSocket;
  /// Port 0 takes a free one.
  [[nodiscard]] static Result<UdpSocket> bind(const Address& address, bool reuse_port = false);
};

class UnixDatagram : public DatagramSocket {
 public:
  using DatagramSocket::DatagramSocket;
  /// The path must not exist.
  [[nodiscard]] static Result<UnixDatagram> bind(const Address& address);
  /// Without a name: it can send, and be answered only on a connection.
  [[nodiscard]] static Result<UnixDatagram> unbound();
};

}  // namespace corering
