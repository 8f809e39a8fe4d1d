/// serve.hpp — a server on several workers: which worker accepts, and which one gets the connection.
#pragma once

#include <memory>

#include <corering/core/worker_pool.hpp>
#include <corering/net/connection_handler.hpp>
#include <corering/net/tcp.hpp>

namespace corering {

enum class AcceptPolicy : std::uint8_t {
  /// Every worker listens on its own socket and keeps the connections that it accepts. The kernel spreads
  /// connections by their addresses (SO_REUSEPORT). There is no hop, but a busy worker still gets its share.
  /// A second server on the same port fails with EADDRINUSE, unless ListenOptions::reuse_port asks to share
  /// the port.
  reuse_port,
  /// The first worker accepts and hands the connections to all workers in turn.
  round_robin,
  /// The first worker accepts and hands each connection to the worker that has the fewest open.
  least_connections,
};

struct ServeOptions {
  AcceptPolicy policy = AcceptPolicy::reuse_port;
  ListenOptions listen;
  /// Called on a worker when it stops to accept because of an error, which it could not wait out; the worker
  /// closes its listening socket, and connections continue. Errors that pass are retried, as
  /// Listener::accept() says. It must neither wait nor throw. If it is not set, one line is printed on
  /// stderr.
  std::function<void(const std::error_code&)> on_accept_error = nullptr;
};

/// A server that has been started. Its functions and its destructor may wait.
/// thread: not a worker
class TcpServer {
 public:
  struct State;
  TcpServer(TcpServer&&) noexcept;
  TcpServer& operator=(TcpServer&&) noexcept;
  /// Calls stop_accepting(). Connections continue, on workers that are running. On a worker's thread, where
  /// it can be only by exit() in a task, it does not wait.
  ~TcpServer();

  /// Returns the address where it listens.
  [[nodiscard]] const Address& address() const noexcept;
  /// Return how many connections worker `index` serves now, and how many it has served in all. A worker that
  /// is stopping gets no more; the others get its share.
  [[nodiscard]] std::size_t open_connections(std::size_t index) const noexcept;
  [[nodiscard]] std::size_t total_connections(std::size_t index) const noexcept;

  /// Closes the listening sockets. Returns when nothing more will be accepted.
  void stop_accepting();

 private:
  friend Result<TcpServer> serve(WorkerPool&, const Address&, ConnectionHandler, const ServeOptions&);
  explicit TcpServer(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

/// Binds to `address`, and serves on the workers of `pool`. The pool must have been started.
/// keep alive: `pool`, longer than the server
/// errors: those of bind(2) and listen(2), or ECANCELED from a worker that is stopping
/// thread: a plain thread, not a worker
[[nodiscard]] Result<TcpServer> serve(WorkerPool& pool, const Address& address, ConnectionHandler handler,
                                      const ServeOptions& options = {});

}  // namespace corering
