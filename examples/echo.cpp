/// echo.cpp — a TCP echo server on 127.0.0.1, one coroutine per connection. Ctrl-C ends it.
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <corering/corering.hpp>

using namespace corering;

Worker* server = nullptr;  // for the signal handler

Task<void> echo(Fd client) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await async_recv(client.get(), buffer);
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
    } else if (client.error() == std::errc::operation_canceled) {
      co_return;
    } else {
      std::fprintf(stderr, "echo: accept: %s\n", client.error().message().c_str());
      (void)co_await sleep_for(std::chrono::milliseconds(100));  // no descriptor left: let some be closed
    }
  }
}

int main(int argc, char** argv) {
  const int port = argc == 2 ? std::atoi(argv[1]) : 0;
  if (port < 1 || port > 65535) return std::fputs("usage: echo PORT (1 to 65535)\n", stderr), 2;
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address{.sin_family = AF_INET,
                            .sin_port = htons(static_cast<std::uint16_t>(port)),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener.get(), SOMAXCONN) != 0) {
    return std::perror("echo: cannot listen"), 1;
  }
  Worker worker;
  server = &worker;
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { server->request_stop(); });
  const Result<void> ran = worker.run([&](Worker&) { spawn(serve(listener.get())).detach(); });
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_IGN);  // the worker is about to go
  return ran ? 0 : (std::fprintf(stderr, "echo: %s\n", ran.error().message().c_str()), 1);
}
