/// tcp_proxy.cpp — forwards TCP connections to another server, on every processor. Ctrl-C ends it.
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <span>
#include <utility>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

/// Carries bytes until `from` ends. Then `to` reads the end, and the other direction continues.
Task<Result<void>> carry(const TcpStream& from, TcpStream& to) {
  std::vector<std::byte> buffer(16 * 1024);
  for (;;) {
    const Result<std::size_t> got = co_await from.read(buffer);
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) break;
    const Result<void> put = co_await to.write_all(std::span(buffer).first(*got));
    if (!put) co_return put;
  }
  co_return co_await to.shutdown_write();
}

Task<void> pass_on(TcpStream client, BlockingPool& pool, const HostAndPort& target) {
  Result<TcpStream> server =
      co_await with_timeout(std::chrono::seconds(10), TcpStream::connect(pool, target.host, target.port));
  if (server) {
    const auto both = [&](TaskGroup& group) -> Task<void> {
      group.spawn(carry(client, *server));  // if one fails, the other is cancelled
      group.spawn(carry(*server, client));
      co_return;
    };
    (void)co_await with_group(both);
    (void)co_await server->close();
  } else {
    std::fprintf(stderr, "tcp_proxy: %s: %s\n", target.host.c_str(), server.error().message().c_str());
  }
  (void)co_await client.close();
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse(argc == 3 ? argv[1] : "");
  const Result<HostAndPort> target = split_host_and_port(argc == 3 ? argv[2] : "");
  if (argc != 3) return std::fputs("usage: tcp_proxy LISTEN-ADDRESS:PORT TARGET-HOST:PORT\n", stderr), 2;
  if (!address)
    return std::fprintf(stderr, "tcp_proxy: %s: %s\n", argv[1], address.error().message().c_str()), 2;
  if (!target)
    return std::fprintf(stderr, "tcp_proxy: %s: %s\n", argv[2], target.error().message().c_str()), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  if (!stop) return std::fputs("tcp_proxy: the signals cannot be blocked\n", stderr), 1;
  BlockingPool pool;
  WorkerPool workers;
  if (const Result<void> started = workers.start(); !started) {
    return std::fprintf(stderr, "tcp_proxy: %s\n", started.error().message().c_str()), 1;
  }
  const auto handler = [&](TcpStream client) { return pass_on(std::move(client), pool, *target); };
  const Result<TcpServer> server = serve(workers, *address, handler);
  if (!server) {
    return std::fprintf(stderr, "tcp_proxy: cannot listen: %s\n", server.error().message().c_str()), 1;
  }
  std::fprintf(stderr, "tcp_proxy: listening on %s\n", server->address().to_string().c_str());
  (void)sync_wait(workers[0].spawn(stop->next()).value());
}
