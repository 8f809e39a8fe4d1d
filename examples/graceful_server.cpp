/// graceful_server.cpp — an echo server. When it is told to stop (Ctrl-C, SIGTERM), it finishes its
/// connections, for at most five seconds. SIGUSR1 shows on stderr what every task waits for.
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <span>
#include <utility>

#include <corering/corering.hpp>

using namespace corering;
using namespace std::chrono_literals;

Task<void> echo(TcpStream client) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await with_timeout(30s, client.read(buffer));
    if (!got || *got == 0) break;
    const Result<void> sent = co_await client.write_all(std::span(buffer).first(*got));
    if (!sent) break;
  }
  (void)co_await client.close();
}

Task<void> serve(TcpListener listener) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) break;
    spawn(echo(std::move(*client))).detach();
  }
  (void)co_await listener.close();
}

Task<void> run_until_told(TcpListener listener, Signals& stop, Signals& dump) {
  Worker* const here = Worker::current();
  JoinHandle<void> serving = spawn(serve(std::move(listener)));
  JoinHandle<void> dumping = spawn(dump_tasks_on(dump, std::span(&here, 1)));
  (void)co_await stop.next();
  for (JoinHandle<void>* const task : {&serving, &dumping}) {
    task->request_cancel();
    co_await std::move(*task);
  }
  const Result<void> drained = co_await with_timeout(5s, here->drain());
  if (!drained) std::fprintf(stderr, "graceful_server: %s\n", drained.error().message().c_str());
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse("127.0.0.1", argc == 2 ? argv[1] : "");
  if (!address || address->port() == 0)
    return std::fputs("usage: graceful_server PORT (1 to 65535)\n", stderr), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  Result<Signals> dump = Signals::block({SIGUSR1});
  if (!stop || !dump) return std::fputs("graceful_server: the signals cannot be blocked\n", stderr), 1;
  Result<TcpListener> listener = TcpListener::bind(*address);
  if (!listener) {
    return std::fprintf(stderr, "graceful_server: cannot listen: %s\n", listener.error().message().c_str()),
           1;
  }
  const Result<void> ran = run(run_until_told(std::move(*listener), *stop, *dump));
  return ran ? 0 : (std::fprintf(stderr, "graceful_server: %s\n", ran.error().message().c_str()), 1);
}
