/// tcp_test.cpp — streams over TCP: connecting, racing addresses, closing.
#include <algorithm>
#include <fstream>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

// The name is in /etc/hosts, so this needs no name server.
Task<void> resolves(BlockingPool& pool) {
  const auto found = co_await lookup(pool, "localhost", "80");
  EXPECT_TRUE(found) << found.error().message();
  if (found) {
    EXPECT_TRUE(std::ranges::any_of(*found, [](const Address& address) {
      return address == Address::loopback(80) || address == Address::loopback6(80);
    }));
  }
  const auto none = co_await lookup(pool, std::string("local\0host", 10), "80");
  EXPECT_FALSE(none);
}

TEST(Lookup, knows_the_local_host) {
  BlockingPool pool;
  run_on_a_worker_here(resolves(pool));
}

Task<void> echo_once(TcpListener& listener) {
  Result<TcpStream> peer = co_await listener.accept();
  EXPECT_TRUE(peer);
  if (!peer) co_return;
  std::array<std::byte, 64> buffer{};
  for (;;) {
    const Result<std::size_t> got = co_await peer->read(buffer);
    if (!got || *got == 0) break;
    const Result<void> sent = co_await peer->write_all(std::span(buffer).first(*got));
    EXPECT_TRUE(sent);
  }
  const Result<void> closed = co_await peer->close();
  EXPECT_TRUE(closed);
}
Task<void> talks(Address any) {
  Result<TcpListener> listener = TcpListener::bind(any);
  EXPECT_TRUE(listener) << listener.error().message();
  if (!listener) co_return;
  const Address address = listener->local_address().value();
  EXPECT_NE(address.port(), 0);
  JoinHandle<void> serving = spawn(echo_once(*listener));
  Result<TcpStream> stream = co_await TcpStream::connect(address);
  EXPECT_TRUE(stream) << stream.error().message();
  if (!stream) co_return;
  EXPECT_EQ(stream->peer_address(), address);
  EXPECT_TRUE(stream->set_no_delay(true));
  EXPECT_TRUE(stream->set_keep_alive(60s, 10s));
  EXPECT_EQ(stream->option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_TRUE(stream->set_keep_alive(std::chrono::hours(100'000), 1ms)) << "in any unit, and rounded up";
  EXPECT_EQ(stream->option(IPPROTO_TCP, TCP_KEEPIDLE), 32767);
  EXPECT_EQ(stream->option(IPPROTO_TCP, TCP_KEEPINTVL), 1);
  EXPECT_EQ(stream->set_keep_alive(0s, 1s).error(), std::errc::invalid_argument);
  EXPECT_TRUE(stream->set_keep_alive(std::chrono::hours::max(), 1s));
  EXPECT_EQ(stream->option(SOL_SOCKET, SO_KEEPALIVE), 0) << "no probes, ever";
  Writer out(*stream);
  Reader in(*stream);
  for (const char* const text : {"one\n", "two\r\n", "three\n"}) {
    const Result<void> put = co_await out.write_all(std::string_view(text));
    EXPECT_TRUE(put);
  }
  const Result<void> flushed = co_await out.flush();
  EXPECT_TRUE(flushed);
  for (const char* const text : {"one", "two", "three"}) {
    const Result<std::string_view> line = co_await in.read_line();
    EXPECT_TRUE(line && *line == text);
  }
  const Result<void> half = co_await stream->shutdown_write();
  EXPECT_TRUE(half);
  const Result<std::string_view> end = co_await in.read_line();
  EXPECT_TRUE(!end && is_end(end.error())) << "the peer ends when we do";
  co_await std::move(serving);
  const Result<void> closed = co_await listener->close();
  EXPECT_TRUE(closed);
}

TEST(Tcp, talks_over_ipv4) { run_on_a_worker_here(talks(Address::loopback(0))); }

TEST(Tcp, talks_over_ipv6) { run_on_a_worker_here(talks(Address::loopback6(0))); }

TEST(Tcp, a_taken_port_is_an_error) {
  const Result<TcpListener> first = TcpListener::bind(Address::loopback(0));
  ASSERT_TRUE(first);
  EXPECT_EQ(TcpListener::bind(*first->local_address()).error(), std::errc::address_in_use);
  EXPECT_EQ(TcpListener::bind(Address()).error(), std::errc::address_family_not_supported);
}

Task<void> nobody_listens() {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  const Address address = listener->local_address().value();
  const Result<void> closed = co_await listener->close();
  EXPECT_TRUE(closed);
  const Result<TcpStream> refused = co_await TcpStream::connect(address);
  EXPECT_EQ(refused.error(), std::errc::connection_refused);
  const Result<TcpListener> again = TcpListener::bind(address);
  EXPECT_TRUE(again) << "the port is free at once";
}

TEST(Tcp, a_closed_listener_frees_its_port) { run_on_a_worker_here(nobody_listens()); }

// If a socket is closed while a read is pending, the read must not get what the next owner of the
// descriptor's number receives.
Task<void> reuses_the_number() {
  for (int i = 0; i < 50; ++i) {
    test::SocketPair old;
    const int number = old.ours.get();
    TcpStream stream(std::move(old.ours));
    std::array<std::byte, 64> buffer{};
    std::error_code outcome;
    const auto reads = [](const TcpStream& from, std::span<std::byte> into,
                          std::error_code& how) -> Task<void> {
      const Result<std::size_t> got = co_await from.read(into);
      how = got ? std::error_code() : got.error();
    };
    JoinHandle<void> reading = spawn(reads(stream, buffer, outcome));
    (void)co_await async_nop();
    const Result<void> closed = co_await stream.close();
    EXPECT_TRUE(closed);
    EXPECT_TRUE(reading.done()) << "close waits for what was in flight";
    co_await std::move(reading);
    EXPECT_EQ(outcome, std::errc::operation_canceled);
    test::SocketPair fresh;
    const bool reused = fresh.ours.get() == number || fresh.theirs.get() == number;
    EXPECT_TRUE(reused);
    EXPECT_EQ(test::sys::send(fresh.theirs.get(), "foreign", 7, 0), 7);
    EXPECT_EQ(test::sys::send(fresh.ours.get(), "foreign", 7, 0), 7);
    (void)co_await async_nop();
    EXPECT_EQ(buffer[0], std::byte{0});
  }
}

TEST(Tcp, close_with_a_pending_read_delivers_no_foreign_byte) { run_on_a_worker_here(reuses_the_number()); }

Task<void> closes_although_cancelled(Fd fd, int& closed) {
  std::stop_source stopped;
  stopped.request_stop();
  const auto closes = [](Fd socket) -> Task<Result<void>> {
    Socket owner(std::move(socket));
    co_return co_await owner.close();
  };
  const Result<void> done = co_await with_stop_token(stopped.get_token(), closes(std::move(fd)));
  closed = done ? 1 : 0;
}

TEST(Tcp, close_works_in_a_cancelled_scope) {
  int closed = 0;
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(
      closes_although_cancelled(Fd(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), closed));
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

/// Takes connections into its backlog until the backlog is full. After that it answers nobody.
class SilentListener {
 public:
  SilentListener() : fd_(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Address any = Address::loopback(0);
    EXPECT_EQ(test::sys::bind(fd_.get(), any.get(), any.length()), 0);
    EXPECT_EQ(test::sys::listen(fd_.get(), 0), 0);
    address = Address::of_socket(fd_.get()).value();
    for (int i = 0; i < 4; ++i) {
      clients_.emplace_back(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)test::sys::connect(clients_.back().get(), address.get(), address.length());
    }
  }
  Address address;

 private:
  Fd fd_;
  std::vector<Fd> clients_;
};

Task<void> tries(std::vector<Address> addresses, Result<Address>& reached, Duration& took) {
  const TimePoint begin = os::now();
  const Result<TcpStream> stream = co_await TcpStream::connect(std::move(addresses));
  took = os::now() - begin;
  if (stream) {
    reached = stream->peer_address();
  } else {
    reached = std::unexpected(stream.error());
  }
}

TEST(HappyEyeballs, goes_on_at_once_after_a_refusal) {
  const test::Listener listener;
  const Address good = Address::loopback(listener.port());
  Address refusing = Address::loopback6(1);
  Result<Address> reached;
  Duration took{};
  Duration shortest = 1h;
  for (int i = 0; i < 5; ++i) {
    run_on_a_worker_here(tries({refusing, good}, reached, took));
    EXPECT_EQ(reached, good);
    shortest = std::min(shortest, took);
  }
  EXPECT_LT(shortest, 250ms) << "no delay after a refusal";
}

TEST(HappyEyeballs, does_not_wait_for_an_address_that_is_silent) {
  const test::Listener listener;
  const SilentListener silent;
  const Address good = Address::loopback(listener.port());
  Result<Address> reached;
  Duration took{};
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(tries({silent.address, good}, reached, took));
  EXPECT_EQ(reached, good);
  EXPECT_GE(took, 250ms);
  EXPECT_LT(took, 5s);
  EXPECT_EQ(test::open_descriptors(), descriptors) << "the loser's socket is closed";
}

TEST(HappyEyeballs, reports_the_last_refusal) {
  Result<Address> reached;
  Duration took{};
  run_on_a_worker_here(tries({Address::loopback6(1), Address::loopback(1)}, reached, took));
  EXPECT_EQ(reached.error(), std::errc::connection_refused);
  run_on_a_worker_here(tries({}, reached, took));
  EXPECT_FALSE(reached);
}
Task<void> tries_in_vain(Address silent) {
  const TimePoint begin = os::now();
  const std::vector<Address> twice(2, silent);
  const auto limited = co_await with_timeout(50ms, TcpStream::connect(twice));
  EXPECT_EQ(limited.error(), std::errc::timed_out);
  EXPECT_LT(os::now() - begin, 5s);
}

TEST(HappyEyeballs, is_cancelled_with_all_its_attempts) {
  const SilentListener silent;
  run_on_a_worker_here(tries_in_vain(silent.address));
}
Task<void> by_name(BlockingPool& pool, std::uint16_t port) {
  const Result<TcpStream> stream = co_await TcpStream::connect(pool, "localhost", std::to_string(port));
  EXPECT_TRUE(stream) << stream.error().message();
  const Result<TcpStream> unknown = co_await TcpStream::connect(pool, "no-such-name.invalid", "80");
  EXPECT_FALSE(unknown);
  if (!unknown) {
    EXPECT_EQ(unknown.error().category(), lookup_category());
  }
}

TEST(HappyEyeballs, looks_names_up) {
  const test::Listener listener;
  BlockingPool pool;
  run_on_a_worker_here(by_name(pool, listener.port()));
}

// Sends more than 4 GiB from one buffer. The length is not cut to 32 bits; the data is sent in parts. The
// pages are never touched.
Task<void> sends_five_gigabytes(std::span<const std::byte> much, std::uint64_t& received) {
  auto both = UnixStream::pair();
  const auto receives = [](UnixStream& from, std::uint64_t& total) -> Task<void> {
    std::vector<std::byte> sink(4 << 20);
    for (;;) {
      const Result<std::size_t> got = co_await async_recv(from.fd(), sink, MSG_TRUNC | MSG_WAITALL);
      if (!got || *got == 0) co_return;
      total += *got;
    }
  };
  JoinHandle<void> receiving = spawn(receives(both->second, received));
  const Result<void> sent = co_await both->first.write_all(much);
  EXPECT_TRUE(sent) << sent.error().message();
  (void)co_await both->first.shutdown_write();
  co_await std::move(receiving);
}

TEST(StreamSocket, sends_more_than_four_gigabytes) {
  constexpr std::size_t length = (std::size_t{4} << 30) + (64U << 20);
  void* const pages = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  std::uint64_t received = 0;
  run_on_a_worker_here(
      sends_five_gigabytes(std::span(static_cast<const std::byte*>(pages), length), received));
  ::munmap(pages, length);
  EXPECT_EQ(received, length);
}

// The kernel picks the port at which nobody listens for our own end as soon as it is that port's turn. Here
// it has no choice.
Task<void> connects_to_itself(Address address, std::error_code& outcome) {
  const Result<TcpStream> stream = co_await TcpStream::connect(address);
  outcome = stream ? std::error_code() : stream.error();
}

/// While this exists, ports are picked from a single number, in a network of this process alone.
bool refuses_a_connection_to_itself() {
  if (::unshare(CLONE_NEWNET) != 0) return false;
  const Fd any(test::sys::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::ranges::copy("lo", loopback.ifr_name);
  loopback.ifr_flags = IFF_UP;
  if (::ioctl(any.get(), SIOCSIFFLAGS, &loopback) != 0) return false;
  std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "40000 40001" << std::flush;
  for (int i = 0; i < 20; ++i) {
    std::error_code outcome;
    run_on_a_worker_here(connects_to_itself(Address::loopback(40000), outcome));
    if (outcome != std::errc::connection_refused) return false;
  }
  return TcpListener::bind(Address::loopback(40000), {.reuse_address = false}).has_value();
}

TEST(TcpStreamDeathTest, is_never_connected_to_itself) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may make a network of its own";
  EXPECT_EXIT(::_exit(refuses_a_connection_to_itself() ? 0 : 1), testing::ExitedWithCode(0), "");
}

Task<void> drops_listeners(Address address) {
  for (int i = 0; i < 20; ++i) {
    Result<TcpListener> listener = TcpListener::bind(address, {.reuse_address = false});
    EXPECT_TRUE(listener) << "after " << i << ": " << listener.error().message();
    if (!listener) co_return;
    const Result<TcpStream> none = co_await with_timeout(Duration::zero(), listener->accept());
    EXPECT_EQ(none.error(), std::errc::timed_out);
  }
}

TEST(TcpListener, that_is_dropped_after_a_cancelled_accept_frees_its_address_at_once) {
  run_on_a_worker_here(drops_listeners(Address::loopback(test::port_to_rebind())));
}

}  // namespace
}  // namespace corering
