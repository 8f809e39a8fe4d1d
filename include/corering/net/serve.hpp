/// serve.hpp — a server on several workers: who accepts, and who gets the connection.
#pragma once

#include <functional>
#include <memory>

#include <corering/core/worker_pool.hpp>
#include <corering/net/tcp.hpp>

namespace corering {

enum class AcceptPolicy : std::uint8_t {
  /// Every worker listens on a socket of its own and keeps what it accepts; the kernel spreads connections by
  /// their addresses (SO_REUSEPORT). No hop; a worker that is busy still gets its share. A second server on
  /// the
  /// same port is EADDRINUSE, unless ListenOptions::reuse_port asks to share it.
  reuse_port,
  /// The first worker accepts and hands the connections to all in turn.
  round_robin,
  /// ... or to the one that has fewest open.
  least_connections,
};

struct ServeOptions {
  AcceptPolicy policy = AcceptPolicy::reuse_port;
  ListenOptions listen;
};

/// Called on the worker that serves the connection; the connection is open until its task ends. Any number of
/// threads at a time; lives as long as connections do. An exception that its task lets out is that of a
/// detached task: it ends the program (set_detached_exception_handler).
using ConnectionHandler = std::function<Task<void>(TcpStream)>;

/// A server that has been started. Not on a worker's thread: its functions and its destructor may wait.
class TcpServer {
 public:
  struct State;
  TcpServer(TcpServer&&) noexcept;
  TcpServer& operator=(TcpServer&&) noexcept;
  /// stop_accepting(). Connections go on, on workers that are running.
  ~TcpServer();

  /// Where it listens.
  [[nodiscard]] const Address& address() const noexcept;
  /// Connections that worker `index` serves, and has served.
  [[nodiscard]] std::size_t open_connections(std::size_t index) const noexcept;
  [[nodiscard]] std::size_t total_connections(std::size_t index) const noexcept;

  /// Closes the listening sockets; returns when nothing more will be accepted.
  void stop_accepting();

 private:
  friend Result<TcpServer> serve(WorkerPool&, const Address&, ConnectionHandler, const ServeOptions&);
  explicit TcpServer(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

/// Binds, and serves on the workers of `pool`, which has been started and outlives the server. From a plain
/// thread. Errors are those of bind(2) and listen(2), or ECANCELED from a worker that is stopping.
[[nodiscard]] Result<TcpServer> serve(WorkerPool& pool, const Address& address, ConnectionHandler handler,
                                      const ServeOptions& options = {});

}  // namespace corering
