/// udp_echo.cpp — sends every datagram back to where it came from. Ctrl-C ends it.
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <variant>

#include <corering/corering.hpp>

using namespace corering;

Task<Result<void>> echo(const UdpSocket& socket) {
  Result<BufferPool> pool = BufferPool::create({.count = 64, .size = 65'536 + 256});
  if (!pool) co_return std::unexpected(pool.error());
  RecvmsgStream datagrams = socket.stream(*pool);
  for (;;) {
    const Result<Datagram> datagram = co_await datagrams.next();
    if (!datagram) co_return std::unexpected(datagram.error());
    const Address from(datagram->from(), datagram->from_length());
    const Result<std::size_t> sent = co_await socket.send_to(datagram->bytes(), from);
    if (!sent && is_cancellation(sent.error())) co_return std::unexpected(sent.error());
  }
}

Task<void> echo_until_told(const UdpSocket& socket, Signals& stop) {
  const auto first = co_await when_any(echo(socket), stop.next());
  if (const auto* const echoed = std::get_if<0>(&first.result); echoed != nullptr && !*echoed) {
    std::fprintf(stderr, "udp_echo: %s\n", echoed->error().message().c_str());
  }
}

int main(int argc, char** argv) {
  const Result<Address> address = Address::parse(argc == 2 ? argv[1] : "");
  if (argc != 2) return std::fputs("usage: udp_echo ADDRESS:PORT\n", stderr), 2;
  if (!address) return std::fprintf(stderr, "udp_echo: %s\n", address.error().message().c_str()), 2;
  Result<Signals> stop = Signals::block({SIGINT, SIGTERM});
  const Result<UdpSocket> socket = UdpSocket::bind(*address);
  if (!stop) return std::fputs("udp_echo: the signals cannot be blocked\n", stderr), 1;
  if (!socket) return std::fprintf(stderr, "udp_echo: %s\n", socket.error().message().c_str()), 1;
  std::fprintf(stderr, "udp_echo: listening on %s\n", socket->local_address()->to_string().c_str());
  const Result<void> ran = run(echo_until_told(*socket, *stop));
  return ran ? 0 : (std::fprintf(stderr, "udp_echo: %s\n", ran.error().message().c_str()), 1);
}
