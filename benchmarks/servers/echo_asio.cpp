/// echo_asio.cpp — with Asio's coroutines, one per connection. It is built twice: on epoll, and on io_uring.
#include <array>
#include <asio.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <exception>

#include "server.h"

namespace {

using asio::awaitable;
using asio::ip::tcp;

template <class T>
T checked(std::tuple<asio::error_code, T> result, const char* what) {
  if (std::get<0>(result)) give_up(what, std::get<0>(result).value());
  return std::move(std::get<1>(result));
}

constexpr auto as_result = asio::experimental::as_tuple(asio::use_awaitable);

bool ends(const asio::error_code& error) {
  if (error && error != asio::error::eof && !peer_has_gone(error.value()))
    give_up("a connection", error.value());
  return static_cast<bool>(error);
}

awaitable<void> echo(tcp::socket client) {
  std::array<char, BUFFER_SIZE> buffer;
  for (;;) {
    const auto [received, got] = co_await client.async_read_some(asio::buffer(buffer), as_result);
    if (ends(received)) co_return;
    const auto [written, sent] = co_await asio::async_write(client, asio::buffer(buffer, got), as_result);
    if (ends(written)) co_return;
  }
}

awaitable<void> serve(tcp::acceptor& listener) {
  for (;;) {
    auto accepted = co_await listener.async_accept(as_result);
    asio::co_spawn(listener.get_executor(), echo(checked(std::move(accepted), "accepting")), asio::detached);
  }
}

}  // namespace

int main() {
  try {
    asio::io_context context(1);
    tcp::acceptor listener(context, tcp::v4(), listen_on_loopback(0));
    asio::posix::stream_descriptor input(context, STDIN_FILENO);
    std::array<char, 1> nothing;
    asio::co_spawn(context, serve(listener), asio::detached);
    input.async_read_some(asio::buffer(nothing),
                          [&context](const asio::error_code&, std::size_t) { context.stop(); });
    context.run();
    return 0;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, error.what()), 1;
  }
}
