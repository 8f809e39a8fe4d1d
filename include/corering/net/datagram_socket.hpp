/// datagram_socket.hpp — sockets that carry messages: UDP, and datagrams of the Unix family.
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

  /// Sends one datagram.
  /// errors: EMSGSIZE when it is too long · ECONNREFUSED when an earlier one was refused
  auto send_to(std::span<const std::byte> bytes, const Address& to) const noexcept {
    return IoOperation<std::size_t, detail::AddressedTo>(
        detail::message_transfer(head(Opcode::sendmsg), fd(), nullptr, MSG_NOSIGNAL),
        detail::AddressedTo(bytes, to));
  }
  /// Waits for the next datagram, and also returns the address that it came from.
  [[nodiscard]] Task<Result<ReceivedDatagram>> receive_from(std::span<std::byte> into) const;

  /// After this call, send() sends to `peer`, and only datagrams from `peer` are received. It does not wait:
  /// for a datagram socket connect(2) never waits.
  /// follows: connect(2)
  Result<void> connect(const Address& peer) noexcept;
  auto send(std::span<const std::byte> bytes) const noexcept { return async_send(fd(), bytes); }
  auto receive(std::span<std::byte> into) const noexcept { return async_recv(fd(), into); }

  /// Makes a stream of datagrams, in buffers of `pool`. See RecvmsgStream.
  [[nodiscard]] RecvmsgStream stream(BufferPool& pool) const { return RecvmsgStream(fd(), pool); }
};

class UdpSocket : public DatagramSocket {
 public:
  using DatagramSocket::DatagramSocket;
  /// Binds to `address`. Port 0 takes a free port.
  [[nodiscard]] static Result<UdpSocket> bind(const Address& address, bool reuse_port = false);
};

class UnixDatagram : public DatagramSocket {
 public:
  using DatagramSocket::DatagramSocket;
  /// Binds to `address`. The path must not exist.
  [[nodiscard]] static Result<UnixDatagram> bind(const Address& address);
  /// Makes a socket without a name. It can send, but it can get answers only on a connection.
  [[nodiscard]] static Result<UnixDatagram> unbound();
};

}  // namespace corering
