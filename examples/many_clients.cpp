/// many_clients.cpp — a server and its clients on one worker; prints the order in which the answers come.
///
/// That order is another one each time. `CORERING_TRACE=replay,file=run.replay ./many_clients` records a run,
/// and `CORERING_REPLAY=run.replay ./many_clients` shows it again, as often as you want, under a debugger,
/// too.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <system_error>
#include <utility>

#include <corering/corering.hpp>

using namespace corering;

Task<void> echo(TcpStream client) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await client.read(buffer);
    if (!got || *got == 0) break;
    const Result<void> sent = co_await client.write_all(std::span(buffer).first(*got));
    if (!sent) break;
  }
  (void)co_await client.close();
}

Task<void> serve_all(TcpListener& listener) {
  for (;;) {
    Result<TcpStream> client = co_await listener.accept();
    if (!client) break;  // the program ends
    spawn(echo(std::move(*client))).detach();
  }
}

/// The order of the answers, as one number.
std::uint64_t order = 0;

Task<Result<void>> ask(Address server, unsigned number) {
  Result<TcpStream> stream = co_await TcpStream::connect(server);
  if (!stream) co_return std::unexpected(stream.error());
  for (unsigned turn = 0; turn < 8; ++turn) {
    (void)co_await sleep_for(std::chrono::microseconds(10 * (number + 1)));
    (void)co_await async_nop().forced_async();  // on helper threads of the kernel, which race each other
    std::array<std::byte, 16> message{std::byte(number), std::byte(turn)};
    const Result<void> sent = co_await stream->write_all(message);
    if (!sent) co_return std::unexpected(sent.error());
    const Result<std::size_t> got = co_await stream->read(message);
    if (!got) co_return std::unexpected(got.error());
    order = order * 31 + number + 1;
    std::printf("%u ", number);
  }
  co_return co_await stream->close();
}

Task<Result<void>> many_clients() {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  if (!listener) co_return std::unexpected(listener.error());
  JoinHandle<void> server = spawn(serve_all(*listener));
  const Address address = listener->local_address().value();
  const Result<void> done = co_await with_group([&](TaskGroup& group) -> Task<void> {
    for (unsigned i = 0; i < 6; ++i) group.spawn(ask(address, i));
    co_return;
  });
  server.request_cancel();
  (void)co_await std::move(server);
  std::printf("\norder %016llx\n", static_cast<unsigned long long>(order));
  co_return done;
}

int main() {
  const Result<void> done = run(many_clients());
  if (done) return 0;
  return std::fprintf(stderr, "many_clients: %s\n", done.error().message().c_str()), 1;
}
