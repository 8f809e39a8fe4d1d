/// tcp.hpp — TCP: connections, and those who wait for them.
#pragma once

#include <string>

#include <corering/core/blocking_pool.hpp>
#include <corering/net/socket.hpp>

namespace corering {

class TcpStream : public StreamSocket {
 public:
  using StreamSocket::StreamSocket;

  /// On a worker. ECONNREFUSED, ETIMEDOUT, ...; put a deadline around it.
  [[nodiscard]] static Task<Result<TcpStream>> connect(Address address);

  /// Looks the name up and tries its addresses, the families in turn: the next one when the last has failed
  /// or has not answered within 250 ms. The first connection wins; the others are cancelled ("happy
  /// eyeballs", RFC 8305). The error is the last one's, or lookup()'s.
  [[nodiscard]] static Task<Result<TcpStream>> connect(BlockingPool& pool, std::string host,
                                                       std::string service);
  /// ... with addresses that are known.
  [[nodiscard]] static Task<Result<TcpStream>> connect(std::vector<Address> addresses);

  /// Small writes go at once: TCP_NODELAY.
  Result<void> set_no_delay(bool on) noexcept;
  /// Finds out about a peer that is gone after `idle` and 3 probes `interval` apart; whole seconds.
  Result<void> set_keep_alive(Duration idle, Duration interval) noexcept;
};

class TcpListener : public Listener<TcpStream> {
 public:
  using Listener::Listener;

  /// Port 0 takes a free one: see local_address(). EADDRINUSE, EACCES, EADDRNOTAVAIL.
  [[nodiscard]] static Result<TcpListener> bind(const Address& address, const ListenOptions& options = {});
};

}  // namespace corering
