/// serve.hpp — a server on several workers: which worker accepts, and which one gets the connection.
#pragma once

#include <functional>
#include <memory>

#include <corering/core/worker_pool.hpp>
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
};

/// Serves one connection; it is called on the connection's worker. The connection is open until the handler's
/// task ends. The handler lives as long as connections do. An exception that leaves its task ends the
/// program, as in every detached task (set_detached_exception_handler).
/// thread: any number of threads call it at the same time
using ConnectionHandler = std::function<Task<void>(TcpStream)>;

/// A server that has been started. Its functions and its destructor may wait.
/// thread: not a worker
class TcpServer {
 public:
  struct State;
  TcpServer(TcpServer&&) noexcept;
  TcpServer& operator=(TcpServer&&) noexcept;
  /// Calls stop_accepting(). Connections continue, on workers that are running.
  ~TcpServer();

  /// Returns the address where it listens.
  [[nodiscard]] const Address& address() const noexcept;
  /// Return how many connections worker `index` serves now, and how many it has served in all.
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
