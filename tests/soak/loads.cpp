/// loads.cpp — clients that behave: they talk, hop, come and go, and wait.
#include "soak/loads.hpp"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <poll.h>
#include <unistd.h>
#include <vector>

#include "soak/usage.hpp"

namespace corering::soak {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void fail(const char* what, const std::error_code& error = {}) {
  std::printf("soak: FAILED: %s%s%s\n", what, error ? ": " : "", error ? error.message().c_str() : "");
  std::exit(1);
}

/// Runs `count` tasks, half of them on each worker, and waits for them.
void run_on_both(Server& server, std::uint64_t count, const std::function<Task<void>(std::uint64_t)>& task) {
  std::vector<JoinHandle<void>> running;
  for (std::uint64_t i = 0; i < count; ++i)
    running.push_back(server.pool()[i % Server::workers].spawn(task(i)).value());
  for (JoinHandle<void>& one : running) sync_wait(std::move(one));
}

Task<Result<void>> reads_exactly(TcpStream& stream, std::span<std::byte> into) {
  while (!into.empty()) {
    const Result<std::size_t> got = co_await stream.read(into);
    if (!got) co_return std::unexpected(got.error());
    if (*got == 0) co_return failure(ECONNRESET);
    into = into.subspan(*got);
  }
  co_return Result<void>();
}

Task<void> says_and_hears(TcpStream& stream, std::uint64_t seed) {
  std::vector<std::byte> said(1 + seed * 977 % 6000), heard(said.size());
  for (std::size_t i = 0; i < said.size(); ++i) said[i] = static_cast<std::byte>(seed + i);
  const Result<void> written = co_await stream.write_all(said);
  if (!written) fail("a client could not write", written.error());
  const Result<void> read = co_await reads_exactly(stream, heard);
  if (!read) fail("a client got no answer", read.error());
  if (said != heard) fail("a client got other bytes than it sent");
}

Task<TcpStream> connects(Address address) {
  Result<TcpStream> stream = co_await TcpStream::connect(address);
  if (!stream) fail("a client could not connect", stream.error());
  co_return std::move(*stream);
}

Task<void> talks(Address address, std::uint64_t rounds, std::uint64_t seed) {
  const CountedFrame counted;
  TcpStream stream = co_await connects(address);
  for (std::uint64_t i = 0; i < rounds; ++i) co_await says_and_hears(stream, seed + i);
  (void)co_await stream.close();
}

Task<void> hops_between(WorkerPool& pool, std::uint64_t hops) {
  const CountedFrame counted;
  for (std::uint64_t i = 0; i < hops; ++i) {
    const Result<void> there = co_await SwitchToWorker(pool[i % Server::workers]);
    if (!there) fail("a hop was refused", there.error());
  }
}

Task<void> comes_and_goes(const Server& server, std::uint64_t times, std::uint64_t seed) {
  const CountedFrame counted;
  for (std::uint64_t i = 0; i < times; ++i) {
    TcpStream stream = co_await connects(server.address(seed + i));
    if (i % 3 == 0) co_await says_and_hears(stream, seed + i);
    (void)co_await stream.close();
  }
}

Task<void> polls(int fd) { (void)co_await async_poll(fd, POLLIN); }

Task<void> waits(int never_readable, std::uint64_t times, Duration later) {
  const CountedFrame counted;
  (void)co_await sleep_for(later);  // so that they do not all wake at the same moment
  JoinHandle<void> pending = spawn(polls(never_readable));
  for (std::uint64_t i = 0; i < times; ++i) (void)co_await sleep_for(10ms);
  pending.request_cancel();
  co_await std::move(pending);
}

}  // namespace

std::uint64_t talk_at_once(Server& server, std::uint64_t clients, std::uint64_t rounds) {
  const std::uint64_t before = server.echoed_bytes();
  run_on_both(server, clients, [&](std::uint64_t i) { return talks(server.address(i), rounds, i * 7919); });
  return server.echoed_bytes() - before;
}

void hop(Server& server, std::uint64_t hops) {
  constexpr std::uint64_t tasks = 64;
  run_on_both(server, tasks, [&](std::uint64_t i) {
    return hops_between(server.pool(), hops / tasks + (i < hops % tasks ? 1 : 0));
  });
}

void connect_and_disconnect(Server& server, std::uint64_t times) {
  constexpr std::uint64_t tasks = 64;
  run_on_both(server, tasks, [&](std::uint64_t i) {
    return comes_and_goes(server, times / tasks + (i < times % tasks ? 1 : 0), i * 1009);
  });
}

void wait_beside_a_poll(Server& server, std::uint64_t tasks, std::uint64_t times) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("no descriptor is left");
  const Fd never_readable(ends[0]), other_end(ends[1]);
  run_on_both(server, tasks, [&](std::uint64_t i) {
    return waits(never_readable.get(), times, Duration(10ms) * i / tasks);
  });
}

}  // namespace corering::soak
