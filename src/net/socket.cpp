/// socket.cpp — binding, connecting, closing.
#include <cerrno>
#include <unistd.h>

#include <corering/io/control_calls.hpp>
#include <corering/net/socket.hpp>
#include <corering/sync/shield.hpp>
#include <corering/sync/sleep.hpp>

namespace corering {
namespace {

Result<Fd> open_socket(int family, int type) noexcept {
  Fd socket(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return failure(errno);
  return socket;
}

bool set_flag(int socket, int name) noexcept {
  const int on = 1;
  return ::setsockopt(socket, SOL_SOCKET, name, &on, sizeof on) == 0;
}

bool bind_to(int socket, const Address& address) noexcept {
  return ::bind(socket, address.get(), address.length()) == 0;
}

// Work that a helper thread of the kernel does cannot be cancelled. We can only wait for it.
constexpr int quick_tries = 8;
constexpr Duration between_tries = std::chrono::milliseconds(1);

Task<Result<void>> cancel_and_close(Fd socket) {
  detail::close_streams_on(socket.get());
  for (int tries = 0;; ++tries) {
    const Result<unsigned> found = co_await async_cancel(socket);
    if (!found || *found == 0) break;
    if (tries >= quick_tries) {
      (void)co_await sleep_for(between_tries);
    }
  }
  co_return co_await async_close(std::move(socket));
}

}  // namespace

Task<Result<void>> close_in_order(Fd socket) {
  if (!socket.is_open()) co_return failure(EBADF);
  co_return co_await shield(cancel_and_close(std::move(socket)));
}

Result<void> Socket::set_option(int level, int name, int value) noexcept {
  if (::setsockopt(fd_.get(), level, name, &value, sizeof value) != 0) return failure(errno);
  return {};
}

Result<int> Socket::option(int level, int name) const noexcept {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd_.get(), level, name, &value, &length) != 0) return failure(errno);
  return value;
}

Task<Result<void>> StreamSocket::write_all(std::span<const std::byte> from) {
  while (!from.empty()) {
    const Result<std::size_t> sent = co_await async_send(fd(), from, MSG_WAITALL);
    if (!sent) co_return std::unexpected(sent.error());
    from = from.subspan(*sent);
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
  if (!prepared || !bind_to(socket->get(), address) || ::listen(socket->get(), options.backlog) != 0) {
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
  co_return socket;
}

}  // namespace detail
}  // namespace corering
