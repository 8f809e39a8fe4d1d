/// unix.hpp — sockets within one machine, which can carry descriptors.
#pragma once

#include <corering/net/socket.hpp>

namespace corering {

/// What recv_fds() has received.
struct ReceivedFds {
  std::size_t bytes = 0;
  std::vector<Fd> fds;     ///< close-on-exec
  bool truncated = false;  ///< more descriptors were sent than were asked for; the kernel has closed the rest
};

class UnixStream : public StreamSocket {
 public:
  using StreamSocket::StreamSocket;

  [[nodiscard]] static Task<Result<UnixStream>> connect(Address address);
  /// Makes two sockets that are connected with each other.
  /// follows: socketpair(2)
  [[nodiscard]] static Result<std::pair<UnixStream, UnixStream>> pair();

  /// Sends `bytes`, at least one, and with the first byte copies of up to 253 descriptors. Returns how many
  /// bytes were sent.
  /// errors: EINVAL for no bytes or too many descriptors
  [[nodiscard]] Task<Result<std::size_t>> send_fds(std::span<const std::byte> bytes,
                                                   std::span<const int> fds);
  /// Receives bytes, at least one, and up to `most` descriptors (253 at most). Further descriptors are
  /// closed, and so are those that come when nobody asks for them: ReceivedFds::truncated says so.
  /// errors: EINVAL for no room or too many descriptors · EMFILE if not all of the descriptors could be
  ///   opened, because the process or the system has too many; those that were are closed again, and the
  ///   bytes that came with them are lost
  [[nodiscard]] Task<Result<ReceivedFds>> recv_fds(std::span<std::byte> into, std::size_t most = 16);
};

class UnixListener : public Listener<UnixStream> {
 public:
  using Listener::Listener;

  /// Binds to a path or to an abstract name, and listens. If an earlier server left a socket at the path and
  /// nobody listens there any more, that socket is removed first. The path stays when this listener is
  /// closed.
  /// errors: EADDRINUSE when somebody listens there
  [[nodiscard]] static Result<UnixListener> bind(const Address& address, const ListenOptions& options = {});
};

}  // namespace corering
