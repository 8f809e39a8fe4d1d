/// tcp.hpp — TCP: connections and listeners.
#pragma once

#include <string>

#include <corering/base/any_duration.hpp>
#include <corering/core/blocking_pool.hpp>
#include <corering/net/socket.hpp>

namespace corering {

class TcpStream : public StreamSocket {
 public:
  using StreamSocket::StreamSocket;

  /// Connects to `address`. Put a deadline around it.
  /// errors: ECONNREFUSED, also for a socket that TCP has connected to itself because nobody listens there;
  ///   ETIMEDOUT, ...; `address.explain(error)` says it together with the address · thread: a worker
  [[nodiscard]] static Task<Result<TcpStream>> connect(Address address);

  /// Looks the name up and tries its addresses, with the address families in turn. It tries the next address
  /// when the last one has failed or has not answered within 250 ms. The first connection wins, and the other
  /// attempts are cancelled ("happy eyeballs", RFC 8305).
  /// errors: that of the last attempt that failed, or that of lookup()
  [[nodiscard]] static Task<Result<TcpStream>> connect(BlockingPool& pool, std::string host,
                                                       std::string service);
  /// The same, with addresses that are already known.
  [[nodiscard]] static Task<Result<TcpStream>> connect(std::vector<Address> addresses);

  /// With `on`, small writes are sent at once: TCP_NODELAY.
  Result<void> set_no_delay(bool on) noexcept;
  /// Finds out that a peer is gone, after `idle` and 3 probes that are `interval` apart. Both are rounded up
  /// to whole seconds, at most 32767. The longest `idle` of a unit (hours::max()) means no probes.
  /// errors: EINVAL for zero or less
  Result<void> set_keep_alive(AnyDuration idle, AnyDuration interval) noexcept;
};

class TcpListener : public Listener<TcpStream> {
 public:
  using Listener::Listener;

  /// Binds to `address` and listens. Port 0 takes a free port: see local_address().
  /// errors: EADDRINUSE, EACCES, EADDRNOTAVAIL
  [[nodiscard]] static Result<TcpListener> bind(const Address& address, const ListenOptions& options = {});
};

}  // namespace corering
