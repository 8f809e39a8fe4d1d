/// connection_handler.hpp — what a server does with each connection.
#pragma once

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include <corering/core/task.hpp>
#include <corering/net/tcp.hpp>

namespace corering {

/// Serves one connection: a function, which can be copied, from a TcpStream to a Task<void> or a
/// Task<Result<void>>. It is called on the connection's worker. The connection is open until the handler's
/// task ends. The handler lives as long as connections do. An error that its task returns ends this
/// connection and nothing else. An exception that leaves its task ends the program, as in every detached task
/// (set_detached_exception_handler).
/// thread: any number of threads call it at the same time
class ConnectionHandler {
 public:
  template <class Handler>
    requires(!std::same_as<std::remove_cvref_t<Handler>, ConnectionHandler>) &&
            std::invocable<Handler&, TcpStream>
  ConnectionHandler(Handler handler) : serve_(as_task<Handler>(std::move(handler))) {}  // NOLINT: converts

  [[nodiscard]] Task<void> operator()(TcpStream stream) const { return serve_(std::move(stream)); }

 private:
  using Serve = std::function<Task<void>(TcpStream)>;

  template <class Handler>
  static Serve as_task(Handler handler) {
    using Served = std::invoke_result_t<Handler&, TcpStream>;
    static_assert(std::same_as<Served, Task<void>> || std::same_as<Served, Task<Result<void>>>,
                  "a connection's handler returns Task<void> or Task<Result<void>>");
    if constexpr (std::same_as<Served, Task<Result<void>>>) {
      return Without<Handler>(std::move(handler));
    } else {
      return handler;
    }
  }

  /// Drops what the handler returns.
  template <class Handler>
  class Without {
   public:
    explicit Without(Handler handler) : handler_(std::move(handler)) {}
    Task<void> operator()(TcpStream stream) { return drop(handler_(std::move(stream))); }

   private:
    static Task<void> drop(Task<Result<void>> serving) { (void)co_await std::move(serving); }
    Handler handler_;
  };

  Serve serve_;
};

}  // namespace corering
