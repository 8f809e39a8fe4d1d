/// datagram_socket.cpp — messages, and the addresses that they came from.
#include <cerrno>

#include <corering/net/datagram_socket.hpp>

namespace corering {

Task<Result<ReceivedDatagram>> DatagramSocket::receive_from(std::span<std::byte> into) const {
  ReceivedDatagram received;
  iovec buffer{into.data(), into.size()};
  msghdr message{};
  message.msg_name = received.from.room();
  message.msg_namelen = Address::room_size;
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  const Result<std::size_t> got = co_await async_recvmsg(fd(), message);
  if (!got) co_return std::unexpected(got.error());
  received.bytes = *got;
  received.from.set_length(message.msg_namelen);
  received.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  co_return received;
}

Result<void> DatagramSocket::connect(const Address& peer) noexcept {
  if (::connect(fd().get(), peer.get(), peer.length()) != 0) return failure(errno);
  return {};
}

Result<UdpSocket> UdpSocket::bind(const Address& address, bool reuse_port) {
  Result<Fd> socket = detail::bind_datagram(address, reuse_port);
  if (!socket) return std::unexpected(socket.error());
  return UdpSocket(std::move(*socket));
}

Result<UnixDatagram> UnixDatagram::bind(const Address& address) {
  Result<Fd> socket = detail::bind_datagram(address, false);
  if (!socket) return std::unexpected(socket.error());
  return UnixDatagram(std::move(*socket));
}

Result<UnixDatagram> UnixDatagram::unbound() {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return failure(errno);
  return UnixDatagram(std::move(socket));
}

}  // namespace corering
