/// echo_corering.cpp — one coroutine per connection. "multishot" receives in buffers of a pool, and idle
/// connections have none of them. "direct" has its connections in the ring's table of files, without
/// descriptors. "watching" may watch its ring for 100 µs before it sleeps. "emulated" runs on the
/// emulated kernel. "hist" keeps times. "recorded" records a trace, and prints at the end how many events it
/// recorded.
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <sys/resource.h>

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

Task<void> echo_direct(FixedFile client) {
  std::array<std::byte, BUFFER_SIZE> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await async_recv(client, buffer);
    if (!got) check_end(got.error());
    if (!got || *got == 0) co_return;
    const Result<std::size_t> sent =
        co_await async_send(client, std::span<const std::byte>(buffer).first(*got), MSG_WAITALL);
    if (!sent) check_end(sent.error());
    if (!sent) co_return;
  }
}

Task<void> serve_direct(TcpListener& listener, FileTable& table) {
  for (;;) {
    Result<FixedFile> client = co_await async_accept(table, listener.fd());
    if (!client && is_cancellation(client.error())) break;
    if (!client) give_up("accepting", client.error().value());
    spawn(echo_direct(std::move(*client))).detach();
  }
  (void)co_await listener.close();
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

/// Waits until standard input ends.
Task<void> serve_until_told(Task<void> serving) {
  spawn(std::move(serving)).detach();
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

/// Returns as many slots as there may be descriptors.
std::uint32_t slots() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) give_up("getrlimit", errno);
  return static_cast<std::uint32_t>(std::min<rlim_t>(limit.rlim_cur, 16 * 1024));
}

int run(std::string_view option) {
  TcpListener listener{Fd(listen_on_loopback(0))};
  std::optional<BufferPool> pool;
  std::optional<FileTable> table;
  WorkerOptions options;
  if (option == "watching") options.spin_before_sleep = std::chrono::microseconds(100);
  if (option == "emulated") options.kernel = &emulated_kernel();
  Worker worker(options);
  const bool with_times = option == "hist";
  if (with_times && !trace::start({.level = trace::Level::hist})) give_up("trace::start", errno);
  if (option == "recorded" && !trace::start()) give_up("trace::start", errno);
  const Result<void> ran = worker.run([&](Worker&) {
    if (option == "multishot") {
      Result<BufferPool> made = BufferPool::create({.count = 256, .size = BUFFER_SIZE});
      if (!made) give_up("a buffer pool", made.error().value());
      pool.emplace(std::move(*made));
    }
    if (option == "direct") {
      Result<FileTable> made = FileTable::create(slots());
      if (!made) give_up("a table of files", made.error().value());
      table.emplace(std::move(*made));
    }
    spawn(serve_until_told(table ? serve_direct(listener, *table) : serve(listener, pool ? &*pool : nullptr)))
        .detach();
  });
  if (!ran) give_up("the worker", ran.error().value());
  if (option == "recorded") print_events();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view option = argc == 2 ? argv[1] : "";
  if (argc > 2 || (argc == 2 && option != "multishot" && option != "direct" && option != "watching" &&
                   option != "emulated" && option != "hist" && option != "recorded")) {
    return std::fputs("usage: echo_corering [multishot | direct | watching | emulated | hist | recorded]\n",
                      stderr),
           2;
  }
  return run(option);
}
