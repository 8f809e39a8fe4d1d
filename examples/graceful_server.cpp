/// graceful_server.cpp — an echo server that, told to stop (Ctrl-C, SIGTERM), finishes the connections it
/// has, for at most five seconds. SIGUSR1 shows on stderr what every task waits for.
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <corering/corering.hpp>

using namespace corering;
using namespace std::chrono_literals;

Task<void> echo(Fd client) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await with_timeout(30s, async_recv(client.get(), buffer));
    if (!got || *got == 0) break;
    const Result<std::size_t> sent =
        co_await async_send(client.get(), std::span(buffer).first(*got), MSG_WAITALL);
    if (!sent || *sent != *got) break;
  }
  (void)co_await async_close(std::move(client));
}

Task<void> serve(int listener) {
  for (;;) {
    Result<Fd> client = co_await async_accept(listener);
    if (client) {
      spawn(echo(std::move(*client))).detach();
    } else if (is_cancellation(client.error())) {
      co_return;
    } else {
      (void)co_await sleep_for(100ms);  // no descriptor left, most likely: let some be closed
    }
  }
}

Task<void> run_until_told(int listener, Signals& stop, Signals& dump) {
  Worker* const here = Worker::current();
  JoinHandle<void> serving = spawn(serve(listener));
  JoinHandle<void> dumping = spawn(dump_tasks_on(dump, std::span(&here, 1)));
  (void)co_await stop.next();
  for (JoinHandle<void>* const task : {&serving, &dumping}) {
    task->request_cancel();
    co_await std::move(*task);
  }
  const Result<void> drained = co_await with_timeout(5s, here->drain());
  if (!drained) std::fprintf(stderr, "graceful_server: %s\n", drained.error().message().c_str());
  here->request_stop();
}

int main(int argc, char** argv) {
  const int port = argc == 2 ? std::atoi(argv[1]) : 0;
  if (port < 1 || port > 65535) return std::fputs("usage: graceful_server PORT (1 to 65535)\n", stderr), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  Result<Signals> dump = Signals::block({SIGUSR1});
  if (!stop || !dump) return std::fputs("graceful_server: the signals cannot be blocked\n", stderr), 1;
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address{.sin_family = AF_INET,
                            .sin_port = htons(static_cast<std::uint16_t>(port)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0) {
    return std::perror("graceful_server: cannot listen"), 1;
  }
  Worker worker;
  const Result<void> ran =
      worker.run([&](Worker&) { spawn(run_until_told(listener.get(), *stop, *dump)).detach(); });
  return ran ? 0 : (std::fprintf(stderr, "graceful_server: %s\n", ran.error().message().c_str()), 1);
}
