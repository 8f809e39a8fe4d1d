/// unix.hpp — sockets of one machine; they can carry descriptors.
#pragma once

#include <corering/net/socket.hpp>

namespace corering {

/// What recv_fds has received.
struct ReceivedFds {
  std::size_t bytes = 0;
  std::vector<Fd> fds;  ///< close-on-exec
};

class UnixStream : public StreamSocket {
 public:
  using StreamSocket::StreamSocket;

  [[nodiscard]] static Task<Result<UnixStream>> connect(Address address);
  /// Two that are connected with each other. socketpair(2).
  [[nodiscard]] static Result<std::pair<UnixStream, UnixStream>> pair();

  /// Sends `bytes`, at least one, and with the first of them copies of up to 253 descriptors. Returns how
  /// many bytes have gone. EINVAL for no byte or too many descriptors.
  [[nodiscard]] Task<Result<std::size_t>> send_fds(std::span<const std::byte> bytes,
                                                   std::span<const int> fds);
  /// Receives bytes and up to `most` descriptors (253 at most); those beyond that are closed, as are those
  /// that come when nobody asks for them.
  [[nodiscard]] Task<Result<ReceivedFds>> recv_fds(std::span<std::byte> into, std::size_t most = 16);
};

class UnixListener : public Listener<UnixStream> {
 public:
  using Listener::Listener;

  /// Binds to a path, after removing a socket that a server before has left there and nobody listens at any
  /// more, or to an abstract name. EADDRINUSE when somebody does. The path stays when this is closed.
  [[nodiscard]] static Result<UnixListener> bind(const Address& address, const ListenOptions& options = {});
};

}  // namespace corering
