/// metrics.cpp — a pool of workers, one of which serves their numbers to Prometheus on 127.0.0.1: try
/// `curl http://127.0.0.1:PORT/metrics`. Times are there too if they are kept: CORERING_TRACE=hist. Ctrl-C
/// ends it.
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#include <corering/corering.hpp>

using namespace corering;
using namespace std::chrono_literals;

/// What the other worker does all the time.
Task<void> works() {
  for (bool goes_on = true; goes_on;) {
    const Result<void> slept = co_await sleep_for(10ms);
    goes_on = slept.has_value();
  }
}

/// Reads a request's head; its target does not matter. Returns false if none comes.
Task<bool> take_request(const TcpStream& client) {
  std::string head;
  std::array<std::byte, 1024> piece;
  while (head.find("\r\n\r\n") == head.npos && head.size() < 8192) {
    const Result<std::size_t> got = co_await client.read(piece);
    if (!got || *got == 0) co_return false;
    head.append(reinterpret_cast<const char*>(piece.data()), *got);
  }
  co_return head.starts_with("GET ");
}

Task<void> answer(TcpStream client, WorkerPool& pool) {
  const Result<bool> is_request = co_await with_timeout(5s, take_request(client));
  if (!is_request || !*is_request) co_return;
  const std::string body = write_prometheus(pool.stats());
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n";
  (void)co_await with_timeout(5s, client.write_all(head + body));
}

Task<Result<void>> accept_all(TcpListener& listener, WorkerPool& pool, TaskGroup& group) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) co_return std::unexpected(client.error());
    group.spawn(answer(std::move(*client), pool));
  }
}

Task<Result<void>> serve(TcpListener listener, WorkerPool& pool, Signals& stop) {
  co_return co_await with_group([&](TaskGroup& group) -> Task<void> {
    group.spawn(accept_all(listener, pool, group));
    (void)co_await stop.next();
    group.cancel();
  });
}

int fail(const char* what, const std::error_code& error) {
  return std::fprintf(stderr, "metrics: %s: %s\n", what, error.message().c_str()), 1;
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse("127.0.0.1", argc == 2 ? argv[1] : "");
  if (!address || address->port() == 0) return std::fputs("usage: metrics PORT (1 to 65535)\n", stderr), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  if (!stop) return fail("cannot block signals", stop.error());
  Result<TcpListener> listener = TcpListener::bind(*address);
  if (!listener) return fail("cannot listen", listener.error());
  WorkerPool pool({.workers = 2});
  if (const Result<void> started = pool.start(); !started) return fail("cannot start", started.error());
  pool[1].spawn(works())->detach();
  const Result<void> served = sync_wait(pool[0].spawn(serve(std::move(*listener), pool, *stop)).value());
  return served ? 0 : fail("cannot serve", served.error());
}
