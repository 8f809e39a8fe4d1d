/// hostile.cpp — clients that reset, close halves, drip, stall, and are cancelled at any moment.
#include <cstdlib>
#include <netinet/in.h>
#include <random>
#include <sys/socket.h>
#include <vector>

#include "soak/loads.hpp"
#include "soak/usage.hpp"

namespace corering::soak {
namespace {

using namespace std::chrono_literals;
using Random = std::mt19937_64;

/// A close from now on is a reset.
void will_reset(const TcpStream& stream) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(stream.fd().get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

std::vector<std::byte> some_bytes(Random& random, std::size_t most) {
  return std::vector<std::byte>(1 + random() % most, std::byte{0x5a});
}

Task<void> resets(TcpStream& stream, Random& random) {
  const std::vector<std::byte> said = some_bytes(random, 20'000);
  const bool before_it_is_sent = random() % 2 == 0;
  will_reset(stream);
  if (!before_it_is_sent) (void)co_await stream.write_all(said);
}

Task<void> reads_until_the_end(TcpStream& stream) {
  std::array<std::byte, 2048> into{};
  for (;;) {
    const Result<std::size_t> got = co_await stream.read(into);
    if (!got || *got == 0) co_return;
  }
}

Task<void> closes_one_half(TcpStream& stream, Random& random) {
  const std::vector<std::byte> said = some_bytes(random, 9'000);
  (void)co_await stream.write_all(said);
  (void)co_await stream.shutdown_write();
  co_await reads_until_the_end(stream);
}

Task<void> drips(TcpStream& stream, Random& random) {
  std::array<std::byte, 1> byte{};
  for (std::uint64_t left = random() % 40; left > 0; --left) {
    const Result<std::size_t> sent = co_await stream.write(byte);
    if (!sent) co_return;
    if (left % 3 == 0) (void)co_await stream.read(byte);
  }
}

// It sends until the server, whose answers nobody takes, no longer reads; or until patience has ended.
Task<void> sends_on_and_on(TcpStream& stream) {
  const std::vector<std::byte> much(64 << 10);
  for (;;) {
    const Result<void> sent = co_await stream.write_all(much);
    if (!sent) co_return;
  }
}
Task<Result<void>> sends_for(TcpStream& stream, Duration patience) {
  co_return co_await with_timeout(patience, sends_on_and_on(stream));
}
Task<void> stalls(TcpStream& stream, Random& random) {
  (void)co_await sends_for(stream, std::chrono::milliseconds(1 + random() % 60));
  if (random() % 2 == 0) will_reset(stream);
}

enum class Way : std::uint8_t { reset, half_close, drip, stall, quiet };
constexpr std::size_t ways = 5;

Task<void> is_hostile_once(TcpStream& stream, Way way, Random& random) {
  const CountedFrame counted;
  switch (way) {
    case Way::reset:
      co_return co_await resets(stream, random);
    case Way::half_close:
      co_return co_await closes_one_half(stream, random);
    case Way::drip:
      co_return co_await drips(stream, random);
    case Way::stall:
      co_return co_await stalls(stream, random);
    case Way::quiet:
      co_return;
  }
}

void count(Hostility& counts, Way way) {
  const std::array<std::uint64_t*, ways> all = {&counts.resets, &counts.half_closes, &counts.drips,
                                                &counts.stalls, &counts.quiet_closes};
  ++*all[static_cast<std::size_t>(way)];
}

/// One connection in one way. It may be cancelled anywhere.
Task<void> comes_in(Way way, const Server& server, std::uint64_t seed, Hostility& counts) {
  const CountedFrame counted;
  Random random(seed);
  Result<TcpStream> stream = co_await TcpStream::connect(server.address(seed));
  if (!stream) co_return;
  co_await is_hostile_once(*stream, way, random);
  count(counts, way);
  (void)co_await stream->close();
}

/// One client after the other, a third of which are cancelled after a while. However slow the machine is,
/// there are two: one that comes in the first way, and one that is cancelled.
Task<void> sends_clients(const Server& server, TimePoint until, std::uint64_t seed, Hostility& counts) {
  const CountedFrame counted;
  Random random(seed);
  for (std::uint64_t sent = 0; sent < 2 || Clock::now() < until; ++sent) {
    const auto way = static_cast<Way>((seed + sent) % ways);
    JoinHandle<void> client = spawn(comes_in(way, server, random(), counts));
    if (sent == 1 || (sent > 1 && random() % 3 == 0)) {
      (void)co_await sleep_for(std::chrono::microseconds(random() % 3000));
      client.request_cancel();
      ++counts.cancels;
    }
    co_await std::move(client);
  }
}

}  // namespace

Hostility be_hostile(Server& server, AnyDuration time, std::uint64_t seed) {
  constexpr std::size_t senders = 48;
  const TimePoint until = saturating_add(Clock::now(), time);
  std::vector<Hostility> counts(senders);
  std::vector<JoinHandle<void>> running;
  for (std::size_t i = 0; i < senders; ++i)
    running.push_back(server.pool()[i % Server::workers]
                          .spawn(sends_clients(server, until, seed * senders + i, counts[i]))
                          .value());
  for (JoinHandle<void>& one : running) sync_wait(std::move(one));
  Hostility all;
  for (const Hostility& one : counts) {
    all.resets += one.resets;
    all.half_closes += one.half_closes;
    all.drips += one.drips;
    all.stalls += one.stalls;
    all.cancels += one.cancels;
    all.quiet_closes += one.quiet_closes;
  }
  return all;
}

}  // namespace corering::soak
