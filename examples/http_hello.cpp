/// http_hello.cpp — answers GET and HEAD on 127.0.0.1 in HTTP/1.1, one coroutine per connection. The kernel
/// takes a buffer from the one pool when a request has arrived: an idle connection holds none. Ctrl-C ends
/// it.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <corering/corering.hpp>

#include "http_answers.hpp"

using namespace corering;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

constexpr Duration patience = 30s;  // for a head to arrive, and for the answers to be sent

// ---- connections ----

/// Waits until the client has read the last answer: closing while the client still sends would reset the
/// connection.
Task<void> see_off(const TcpStream& client, RecvStream& pieces) {
  (void)co_await client.shutdown_write();
  for (bool more = true; more;) {
    const Result<LentBuffer> ignored = co_await pieces.next();
    more = ignored.has_value();
  }
}

Task<void> converse(TcpStream client, BufferPool& pool) {
  (void)client.set_no_delay(true);  // an answer does not wait until the previous one has arrived
  RecvStream pieces = client.stream(pool);
  std::string begun;
  TimePoint deadline = Clock::now() + patience;
  for (bool goes_on = true; goes_on;) {
    Result<LentBuffer> piece = co_await with_deadline(deadline, pieces.next());
    if (!piece) break;
    std::string answers;
    goes_on = answer_piece(piece->text(), begun, answers);
    piece->give_back();  // before we wait for the client
    if (answers.empty()) continue;
    const Result<void> sent = co_await with_timeout(patience, client.write_all(answers));
    if (!sent) break;
    deadline = Clock::now() + patience;
    if (!goes_on) (void)co_await with_timeout(2s, see_off(client, pieces));
  }
  (void)co_await client.close();
}

// ---- the server ----

Task<Result<void>> accept_all(TcpListener& listener, BufferPool& pool, TaskGroup& group) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) co_return std::unexpected(client.error());
    group.spawn(converse(std::move(*client), pool));
  }
}

/// The pool is made on its worker. It outlives the connections, because the group ends before it.
Task<Result<void>> serve(TcpListener listener, Signals& stop) {
  Result<BufferPool> pool = BufferPool::create({.count = 256, .size = 4096});
  if (!pool) co_return std::unexpected(pool.error());
  const auto until_told = [&](TaskGroup& group) -> Task<void> {
    group.spawn(accept_all(listener, *pool, group));
    (void)co_await stop.next();
    group.cancel();
  };
  const Result<void> served = co_await with_group(until_told);
  (void)co_await listener.close();
  co_return served;
}

int fail(const char* what, const std::error_code& error) {
  return std::fprintf(stderr, "http_hello: %s: %s\n", what, error.message().c_str()), 1;
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse("127.0.0.1", argc == 2 ? argv[1] : "");
  if (!address || address->port() == 0) return std::fputs("usage: http_hello PORT (1 to 65535)\n", stderr), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  if (!stop) return fail("cannot block signals", stop.error());
  Result<TcpListener> listener = TcpListener::bind(*address);
  if (!listener) return fail("cannot listen", listener.error());
  Worker worker;
  const Result<void> started = worker.start();
  if (!started) return fail("cannot start", started.error());
  const Result<void> served = sync_wait(worker.spawn(serve(std::move(*listener), *stop)).value());
  return served ? 0 : fail("cannot serve", served.error());
}
