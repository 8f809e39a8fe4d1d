/// race.cpp — connects to every address of HOST at once, and says which one answered first.
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include <corering/corering.hpp>

using namespace corering;

/// Connects to `address`. A failure must not win the race, unless it is the last one.
Task<Result<Fd>> connect_or_wait(Address address, std::size_t& left) {
  Fd socket(::socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Result<void> connected = co_await async_connect(socket.get(), address.get(), address.length());
  if (connected) co_return std::move(socket);
  std::fprintf(stderr, "race: %s: %s\n", address.to_string().c_str(), connected.error().message().c_str());
  if (--left > 0) {
    (void)co_await sleep_until(TimePoint::max());
  }
  co_return std::unexpected(connected.error());
}

Task<Result<std::string>> first_to_answer(BlockingPool& pool, const char* host, const char* port) {
  const auto addresses = co_await lookup(pool, host, port);
  if (!addresses) co_return std::unexpected(addresses.error());
  std::size_t left = addresses->size();
  std::vector<Task<Result<Fd>>> attempts;
  for (const Address& address : *addresses) attempts.push_back(connect_or_wait(address, left));
  // The losers have been cancelled and have ended when this returns. A connection that comes late closes
  // itself.
  const auto first = co_await with_timeout(std::chrono::seconds(5), when_any(std::move(attempts)));
  if (!first) co_return std::unexpected(first.error());
  if (!first->result) co_return std::unexpected(first->result.error());
  co_return (*addresses)[first->index].to_string();
}

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: race HOST PORT\n", stderr), 2;
  BlockingPool pool;
  const Result<std::string> winner = run(first_to_answer(pool, argv[1], argv[2]));
  if (winner) return std::printf("%s\n", winner->c_str()), 0;
  return std::fprintf(stderr, "race: %s\n", winner.error().message().c_str()), 1;
}
