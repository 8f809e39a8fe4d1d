/// tcp.cpp — connecting to one of many addresses, and options.
#include <algorithm>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <corering/net/lookup.hpp>
#include <corering/net/tcp.hpp>
#include <corering/sync/event.hpp>
#include <corering/sync/task_group.hpp>
#include <corering/sync/timeout.hpp>

namespace corering {
namespace {

// RFC 8305, section 5: the connection attempt delay.
constexpr Duration attempt_delay = std::chrono::milliseconds(250);

/// RFC 8305, section 4: this puts the families in turn, and begins with that of the first address.
std::vector<Address> interleave(const std::vector<Address>& addresses) {
  std::vector<Address> first, second, all;
  for (const Address& address : addresses) {
    (address.family() == addresses.front().family() ? first : second).push_back(address);
  }
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  return all;
}

/// Returns the whole seconds that the kernel wants for a time between probes.
int probe_seconds(Duration duration) noexcept {
  constexpr std::chrono::seconds longest(32767);  // MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL
  const auto fits = std::clamp<Duration>(duration, Duration::zero(), longest);
  return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(fits).count());
}

struct Attempts {
  Fd winner;
  std::error_code last_error;
  std::size_t running = 0;
  Event ended;  ///< one more attempt has ended
};

Task<void> attempt(Attempts& attempts, Address address) {
  Result<Fd> connected = co_await detail::connect_to(address);
  --attempts.running;
  if (!connected) {
    attempts.last_error = connected.error();
  } else if (!attempts.winner.is_open()) {
    attempts.winner = std::move(*connected);
  }
  attempts.ended.set();
}

/// Waits until one more attempt ends, but not longer than the delay.
Task<void> give_time(Attempts& attempts) {
  (void)co_await with_timeout(attempt_delay, attempts.ended.wait());
  attempts.ended.reset();
}

Task<void> try_each(TaskGroup& group, Attempts& attempts, const std::vector<Address>& addresses) {
  for (const Address& address : addresses) {
    ++attempts.running;
    group.spawn(attempt(attempts, address));
    co_await give_time(attempts);
    if (attempts.winner.is_open()) break;
  }
  while (!attempts.winner.is_open() && attempts.running > 0) {
    const Result<void> one_more = co_await attempts.ended.wait();
    if (!one_more) break;
    attempts.ended.reset();
  }
  group.cancel();
}

}  // namespace

Task<Result<TcpStream>> TcpStream::connect(Address address) {
  Result<Fd> connected = co_await detail::connect_to(address);
  if (!connected) co_return std::unexpected(connected.error());
  co_return TcpStream(std::move(*connected));
}

Task<Result<TcpStream>> TcpStream::connect(std::vector<Address> addresses) {
  if (addresses.empty()) co_return failure(EADDRNOTAVAIL);
  const std::vector<Address> in_turn = interleave(addresses);
  Attempts attempts;
  const auto body = [&](TaskGroup& group) { return try_each(group, attempts, in_turn); };
  const Result<void> raced = co_await with_group(body);
  if (attempts.winner.is_open()) co_return TcpStream(std::move(attempts.winner));
  if (!raced) co_return std::unexpected(raced.error());
  co_return std::unexpected(attempts.last_error);
}

Task<Result<TcpStream>> TcpStream::connect(BlockingPool& pool, std::string host, std::string service) {
  Result<std::vector<Address>> addresses = co_await lookup(pool, std::move(host), std::move(service));
  if (!addresses) co_return std::unexpected(addresses.error());
  co_return co_await connect(std::move(*addresses));
}

Result<void> TcpStream::set_no_delay(bool on) noexcept { return set_option(IPPROTO_TCP, TCP_NODELAY, on); }

Result<void> TcpStream::set_keep_alive(AnyDuration idle, AnyDuration interval) noexcept {
  if (idle == Duration::max()) return set_option(SOL_SOCKET, SO_KEEPALIVE, 0);
  if (auto set = set_option(IPPROTO_TCP, TCP_KEEPIDLE, probe_seconds(idle)); !set) return set;
  if (auto set = set_option(IPPROTO_TCP, TCP_KEEPINTVL, probe_seconds(interval)); !set) return set;
  if (auto set = set_option(IPPROTO_TCP, TCP_KEEPCNT, 3); !set) return set;
  return set_option(SOL_SOCKET, SO_KEEPALIVE, 1);
}

Result<TcpListener> TcpListener::bind(const Address& address, const ListenOptions& options) {
  Result<Fd> socket = detail::listen_at(address, options);
  if (!socket) return std::unexpected(socket.error());
  return TcpListener(std::move(*socket));
}

}  // namespace corering
