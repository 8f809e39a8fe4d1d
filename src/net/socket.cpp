/// socket.cpp — binding, connecting, closing.
#include <cerrno>
#include <unistd.h>

#include <corering/base/outside.hpp>
#include <corering/base/rest_of.hpp>
#include <corering/io/control_calls.hpp>
#include <corering/net/socket.hpp>

namespace corering {
namespace {

Result<Fd> open_socket(int family, int type) noexcept {
  Fd socket(os::socket(family, type));
  if (!socket.is_open()) return failure(errno);
  return socket;
}

bool set_flag(int socket, int name) noexcept {
  const int on = 1;
  return os::set_option(socket, SOL_SOCKET, name, &on, sizeof on) == 0;
}

bool bind_to(int socket, const Address& address) noexcept {
  return os::bind(socket, address.get(), address.length()) == 0;
}

/// Nobody listens at a port of this machine, and the kernel may pick that very port for our end. Then the
/// socket is connected to itself (TCP's simultaneous open).
bool is_connected_to_itself(int socket, const Address& peer) noexcept {
  if (peer.port() == 0) return false;
  const Result<Address> ours = Address::of_socket(socket);
  return ours && ours->port() == peer.port() && Address::of_peer(socket) == ours;
}

/// Lets the coming close leave nothing behind, also no TIME_WAIT that keeps the port from the server that
/// will listen there.
void vanish(int socket) noexcept {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  os::set_option(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

Result<void> Socket::set_option(int level, int name, int value) noexcept {
  if (os::set_option(fd_.get(), level, name, &value, sizeof value) != 0) return failure(errno);
  return {};
}

Result<int> Socket::option(int level, int name) const noexcept {
  int value = 0;
  socklen_t length = sizeof value;
  if (os::get_option(fd_.get(), level, name, &value, &length) != 0) return failure(errno);
  return value;
}

Task<Result<void>> StreamSocket::write_all(std::span<const std::byte> from) {
  while (!from.empty()) {
    const Result<std::size_t> sent = co_await async_send(fd(), from, MSG_WAITALL);
    if (!sent) co_return std::unexpected(sent.error());
    from = rest_of(from, *sent);
  }
  co_return Result<void>();
}

namespace detail {

Task<Result<Fd>> Accepting::next() {
  idle_.reset();
  Result<Fd> connection = co_await stream_.next();
  idle_.set();
  co_return connection;
}

Task<void> Accepting::idle() { (void)co_await idle_.wait(); }

Result<Fd> listen_at(const Address& address, const ListenOptions& options) {
  Result<Fd> socket = open_socket(address.family(), SOCK_STREAM);
  if (!socket) return socket;
  const bool prepared = (!options.reuse_address || set_flag(socket->get(), SO_REUSEADDR)) &&
                        (!options.reuse_port || set_flag(socket->get(), SO_REUSEPORT));
  if (!prepared || !bind_to(socket->get(), address) || os::listen(socket->get(), options.backlog) != 0) {
    return failure(errno);
  }
  return socket;
}

Result<Fd> bind_datagram(const Address& address, bool reuse_port) {
  Result<Fd> socket = open_socket(address.family(), SOCK_DGRAM);
  if (!socket) return socket;
  if ((reuse_port && !set_flag(socket->get(), SO_REUSEPORT)) || !bind_to(socket->get(), address)) {
    return failure(errno);
  }
  return socket;
}

Task<Result<Fd>> connect_to(Address address) {
  Result<Fd> socket = open_socket(address.family(), SOCK_STREAM);
  if (!socket) co_return socket;
  const Result<void> connected = co_await async_connect(*socket, address.get(), address.length());
  if (!connected) co_return std::unexpected(connected.error());
  if (is_connected_to_itself(socket->get(), address)) {
    vanish(socket->get());
    co_return failure(ECONNREFUSED);
  }
  co_return socket;
}

}  // namespace detail
}  // namespace corering
