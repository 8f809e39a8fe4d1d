/// echo_corering.cpp — one coroutine per connection. "multishot" receives in buffers of a pool, of which idle
/// connections have none; "recorded" records a trace, and prints at the end how many events that were.
#include <array>
#include <optional>
#include <string_view>

#include <corering/corering.hpp>

#include "server.h"

namespace {

using namespace corering;

/// A connection ends when its peer ends it, and when the server does.
void check_end(const std::error_code& error) {
  if (!is_end(error) && !is_cancellation(error) && !peer_has_gone(error.value())) {
    give_up("a connection", error.value());
  }
}

Task<void> echo(TcpStream client) {
  std::array<std::byte, BUFFER_SIZE> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await client.read(buffer);
    if (!got) check_end(got.error());
    if (!got || *got == 0) break;
    const Result<void> sent = co_await client.write_all(std::span(buffer).first(*got));
    if (!sent) check_end(sent.error());
    if (!sent) break;
  }
  (void)co_await client.close();
}

Task<void> echo_pieces(TcpStream client, BufferPool& pool) {
  {
    RecvStream stream = client.stream(pool);
    for (;;) {
      const Result<LentBuffer> piece = co_await stream.next();
      if (!piece) check_end(piece.error());
      if (!piece) break;
      const Result<void> sent = co_await client.write_all(piece->bytes());
      if (!sent) check_end(sent.error());
      if (!sent) break;
    }
  }
  (void)co_await client.close();
}

Task<void> serve(TcpListener& listener, BufferPool* pool) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client && is_cancellation(client.error())) break;
    if (!client) give_up("accepting", client.error().value());
    spawn(pool == nullptr ? echo(std::move(*client)) : echo_pieces(std::move(*client), *pool)).detach();
  }
  (void)co_await listener.close();
}

/// Until standard input ends.
Task<void> serve_until_told(TcpListener& listener, std::optional<BufferPool>& pool) {
  spawn(serve(listener, pool ? &*pool : nullptr)).detach();
  std::array<std::byte, 1> nothing;
  (void)co_await async_read(STDIN_FILENO, nothing, current_position);
  Worker::current()->request_stop();
}

void print_events() {
  trace::stop();
  std::size_t events = 0;
  for (const trace::ThreadRecording& thread : trace::snapshot()) events += thread.events.size() + thread.lost;
  std::printf("%zu\n", events);
}

int run(bool multishot, bool recorded) {
  TcpListener listener{Fd(listen_on_loopback(0))};
  std::optional<BufferPool> pool;
  Worker worker;
  if (recorded) trace::start();
  const Result<void> ran = worker.run([&](Worker&) {
    if (multishot) {
      Result<BufferPool> made = BufferPool::create({.count = 256, .size = BUFFER_SIZE});
      if (!made) give_up("a buffer pool", made.error().value());
      pool.emplace(std::move(*made));
    }
    spawn(serve_until_told(listener, pool)).detach();
  });
  if (!ran) give_up("the worker", ran.error().value());
  if (recorded) print_events();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view option = argc == 2 ? argv[1] : "";
  if (argc > 2 || (argc == 2 && option != "multishot" && option != "recorded")) {
    return std::fputs("usage: echo_corering [multishot | recorded]\n", stderr), 2;
  }
  return run(option == "multishot", option == "recorded");
}
