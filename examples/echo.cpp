/// echo.cpp — a TCP echo server on 127.0.0.1, one coroutine per connection. Ctrl-C ends it.
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <span>
#include <utility>

#include <corering/corering.hpp>

using namespace corering;

Worker* server = nullptr;  // for the signal handler

Task<void> echo(TcpStream client) {
  std::array<std::byte, 4096> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await client.read(buffer);
    if (!got || *got == 0) break;
    const Result<void> sent = co_await client.write_all(std::span(buffer).first(*got));
    if (!sent) break;
  }
  (void)co_await client.close();
}

Task<void> serve(TcpListener listener) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) break;  // most likely, the worker is stopping
    spawn(echo(std::move(*client))).detach();
  }
  (void)co_await listener.close();
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse("127.0.0.1", argc == 2 ? argv[1] : "");
  if (!address || address->port() == 0) return std::fputs("usage: echo PORT (1 to 65535)\n", stderr), 2;
  Result<TcpListener> listener = TcpListener::bind(*address);
  if (!listener)
    return std::fprintf(stderr, "echo: cannot listen: %s\n", listener.error().message().c_str()), 1;
  Worker worker;
  server = &worker;
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { server->request_stop(); });
  const Result<void> ran = worker.run([&](Worker&) { spawn(serve(std::move(*listener))).detach(); });
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_IGN);  // the worker will be destroyed
  return ran ? 0 : (std::fprintf(stderr, "echo: %s\n", ran.error().message().c_str()), 1);
}
