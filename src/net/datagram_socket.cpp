/// datagram_socket.cpp — messages, and the addresses that they came from.
#include <algorithm>
#include <cerrno>

#include <corering/base/outside.hpp>
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
  received.bytes = std::min(*got, into.size());
  received.from.set_length(message.msg_namelen);
  received.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  co_return received;
}

Result<void> DatagramSocket::connect(const Address& peer) noexcept {
  if (os::connect(fd().get(), peer.get(), peer.length()) != 0) return failure(errno);
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
  Fd socket(os::socket(AF_UNIX, SOCK_DGRAM));
  if (!socket.is_open()) return failure(errno);
  return UnixDatagram(std::move(socket));
}

}  // namespace corering
