/// socket.hpp — what every kind of socket has: options, addresses, and a close that is safe.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <corering/base/fd.hpp>
#include <corering/base/result.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/descriptor_use.hpp>
#include <corering/io/control_calls.hpp>
#include <corering/io/socket_calls.hpp>
#include <corering/net/address.hpp>
#include <corering/streams/close_in_order.hpp>
#include <corering/streams/streams.hpp>
#include <corering/sync/event.hpp>
#include <corering/sync/shield.hpp>

namespace corering {

namespace detail {

/// A message with its own copy of the address, so that the caller need not keep the address alive.
class AddressedTo : public OneBufferMessage {
 public:
  AddressedTo(std::span<const std::byte> from, const Address& to) noexcept
      : OneBufferMessage(from.data(), from.size(), nullptr, 0), to_(to) {}
  void prepare(Request& request) noexcept {
    name(to_.room(), to_.length());
    OneBufferMessage::prepare(request);
  }

 private:
  Address to_;
};

}  // namespace detail

/// Owns a socket. Its destructor closes the socket at once, and does not make a worker wait even if SO_LINGER
/// is set; no operation on it may be in flight then. close() may be awaited at any time.
class Socket {
 public:
  explicit Socket(Fd fd) noexcept : fd_(std::move(fd)) {}
  Socket(Socket&&) noexcept = default;
  Socket& operator=(Socket&& other) noexcept {
    Socket taken(std::move(other));
    std::swap(fd_, taken.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_.is_open()) here::close_now(std::move(fd_));
  }

  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_.is_open(); }
  /// Gives the descriptor away.
  [[nodiscard]] Fd release() noexcept { return std::move(fd_); }

  /// See close_in_order().
  [[nodiscard]] Task<Result<void>> close() { return close_in_order(std::move(fd_)); }

  [[nodiscard]] Result<Address> local_address() const noexcept { return Address::of_socket(fd_.get()); }
  [[nodiscard]] Result<Address> peer_address() const noexcept { return Address::of_peer(fd_.get()); }

  /// These do not wait.
  /// follows: setsockopt(2), getsockopt(2)
  Result<void> set_option(int level, int name, int value) noexcept;
  [[nodiscard]] Result<int> option(int level, int name) const noexcept;

 private:
  Fd fd_;
};

/// A socket that carries a stream of bytes in both directions.
class StreamSocket : public Socket {
 public:
  using Socket::Socket;

  /// Reads what has arrived, at most `into.size()` bytes. Returns 0 at the end. See async_recv.
  auto read(std::span<std::byte> into) const noexcept { return async_recv(fd(), into); }
  auto read(std::span<char> into) const noexcept { return read(std::as_writable_bytes(into)); }
  /// The same, into a buffer of `pool`. See async_recv.
  auto read(const BufferPool& pool) const noexcept { return async_recv(fd(), pool); }
  /// Writes some of `from`, or all of it. See async_send.
  auto write(std::span<const std::byte> from) const noexcept { return async_send(fd(), from); }
  /// Writes all of `from`, of any size, or fails.
  /// errors: after an error it is not known how much was sent
  [[nodiscard]] Task<Result<void>> write_all(std::span<const std::byte> from);
  [[nodiscard]] Task<Result<void>> write_all(std::string_view from) {
    return write_all(std::as_bytes(std::span(from)));
  }

  /// Makes a stream of what arrives from now on, in buffers of `pool`. See RecvStream.
  [[nodiscard]] RecvStream stream(BufferPool& pool) const { return RecvStream(fd(), pool); }

  /// Closes one direction (half-close): the peer reads the end, and may still send. See async_shutdown.
  auto shutdown_write() const noexcept { return async_shutdown(fd(), SHUT_WR); }
};

struct ListenOptions {
  int backlog = 4096;  ///< at most net.core.somaxconn
  bool reuse_address = true;
  /// Allows several sockets on one address, for example one per worker. The kernel spreads the connections
  /// over them.
  bool reuse_port = false;
};

namespace detail {

/// Holds a listener's stream, and knows whether somebody awaits it.
class Accepting {
 public:
  explicit Accepting(const Fd& listener) : stream_(listener) {}
  [[nodiscard]] Task<Result<Fd>> next();
  /// Waits until nobody awaits next().
  [[nodiscard]] Task<void> idle();

 private:
  AcceptStream stream_;
  Event idle_{true};
};

}  // namespace detail

/// Listens for connections; each of them is a Stream.
/// thread: make it anywhere; it belongs to the worker of the first accept()
template <class Stream>
class Listener : public Socket {
 public:
  explicit Listener(Fd fd) noexcept : Socket(std::move(fd)) {}

  /// Waits for the next connection, which is close-on-exec. It also waits, and does not spin, while the
  /// process or the system has no descriptor left. See AcceptStream.
  /// thread: one coroutine at a time
  [[nodiscard]] Task<Result<Stream>> accept() {
    if (accepting_ == nullptr) accepting_ = std::make_unique<detail::Accepting>(fd());
    Result<Fd> connection = co_await accepting_->next();
    if (!connection) co_return std::unexpected(connection.error());
    co_return Stream(std::move(*connection));
  }

  /// Ends a pending accept() with ECANCELED and waits for that (at most 20 ms longer, if it had no
  /// descriptor). Then it drops the connections that nobody took, and frees the address.
  [[nodiscard]] Task<Result<void>> close() {
    if (accepting_ != nullptr) {
      (void)here::end_uses_of(fd().get());
      (void)co_await async_cancel(fd());
      co_await shield(accepting_->idle());
      accepting_.reset();
    }
    co_return co_await Socket::close();
  }

 private:
  std::unique_ptr<detail::Accepting> accepting_;
};

namespace detail {

/// Makes a socket, sets its options, binds it and listens. None of these steps waits.
[[nodiscard]] Result<Fd> listen_at(const Address& address, const ListenOptions& options);
[[nodiscard]] Result<Fd> bind_datagram(const Address& address, bool reuse_port);
/// Makes a socket of the address's family, and connects it to the address.
[[nodiscard]] Task<Result<Fd>> connect_to(Address address);

}  // namespace detail
}  // namespace corering
