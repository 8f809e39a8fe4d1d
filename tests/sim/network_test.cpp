/// network_test.cpp — servers and clients in a simulated network: the library's own sockets, unchanged.
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

#include "sim/echo.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

/// What one client has seen.
struct Seen {
  std::size_t sent = 0;
  std::string got;
  std::error_code error;
};

Task<void> read_echo(TcpStream& stream, std::size_t most, Seen& seen) {
  std::array<std::byte, 700> buffer;
  while (seen.got.size() < most) {
    const Result<std::size_t> got = co_await stream.read(buffer);
    if (!got) seen.error = got.error();
    if (!got || *got == 0) break;
    seen.got.append(reinterpret_cast<const char*>(buffer.data()), *got);
  }
}

Task<void> client(Address server, std::string text, Seen& seen) {
  Result<TcpStream> stream = co_await TcpStream::connect(server);
  if (!stream) {
    seen.error = stream.error();
    co_return;
  }
  // Windows can be as small as 1 KiB: who writes more and reads nothing waits for ever.
  for (std::size_t at = 0; at < text.size() && !seen.error && seen.got.size() == at; at += 500) {
    const std::string part = text.substr(at, 500);
    const Result<void> sent = co_await stream->write_all(bytes_of(part));
    if (!sent) seen.error = sent.error();
    if (sent) co_await read_echo(*stream, at + part.size(), seen);
  }
  (void)co_await stream->close();
}

Task<void> reads_once(TcpStream& stream, Result<std::size_t>& got) {
  std::array<std::byte, 16> buffer;
  got = co_await stream.read(buffer);
}

// The peer closes, and its FIN is still on the way when we write.
Task<void> writes_to_one_that_has_closed(Result<std::size_t>& got) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  Result<TcpStream> ours = co_await TcpStream::connect(listener->local_address().value());
  Result<TcpStream> theirs = co_await listener->accept();
  JoinHandle<void> reading = spawn(reads_once(*ours, got));
  (void)co_await async_nop();
  (void)co_await theirs->close();
  (void)co_await ours->write_all("too late");
  co_await std::move(reading);
}

TEST(SimNetwork, who_waits_to_receive_learns_of_a_reset) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::World world({.seed = seed});
    Result<std::size_t> got = failure(EAGAIN);
    ASSERT_EQ(world.run(writes_to_one_that_has_closed(got)).failure, "") << "seed " << seed;
    EXPECT_TRUE(got == 0U || got.error() == std::errc::connection_reset) << "seed " << seed;
  }
}

Task<void> serves_twice_at(std::string path, std::vector<std::error_code>& errors) {
  for (int i = 0; i < 2; ++i) {
    const Result<Address> address = Address::unix_path(path);
    const Result<UnixListener> listener = UnixListener::bind(*address);
    errors.push_back(listener ? std::error_code() : listener.error());
    const Result<UnixListener> second = UnixListener::bind(*address);
    errors.push_back(second ? std::error_code() : second.error());
  }
  co_return;
}

TEST(SimNetwork, a_socket_file_that_was_left_is_removed_by_the_next_server) {
  sim::World world;
  std::vector<std::error_code> errors;
  EXPECT_EQ(world.run(serves_twice_at("/tmp/server", errors)).failure, "");
  const std::error_code taken(EADDRINUSE, std::generic_category());
  ASSERT_EQ(errors.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(i % 2 == 0 ? !errors[i] : errors[i] == std::errc::address_in_use) << i << errors[i].message();
}

std::string text_of(std::size_t size, char first) {
  std::string text(size, first);
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>('a' + (i + static_cast<unsigned char>(first)) % 26);
  return text;
}

struct EchoRun {
  sim::RunReport report;
  std::vector<Seen> seen;
  std::vector<std::string> texts;
};

/// The server is a plain program: a pool, serve(), and clients that are waited for.
EchoRun run_echo(const sim::WorldOptions& options, std::size_t clients, std::size_t size) {
  EchoRun run;
  run.seen.resize(clients);
  sim::World world(options);
  run.report = world.run([&] {
    Result<TcpServer> server = serve(world.pool(), Address::loopback(0), sim_test::echo);
    if (!server) return;
    std::vector<JoinHandle<void>> joins;
    for (std::size_t i = 0; i < clients; ++i) {
      run.texts.push_back(text_of(size + i, static_cast<char>(i)));
      auto spawned =
          world.worker(i % world.pool().size()).spawn(client(server->address(), run.texts[i], run.seen[i]));
      if (spawned) joins.push_back(std::move(*spawned));
    }
    for (JoinHandle<void>& one : joins) sync_wait(std::move(one));
    server->stop_accepting();
  });
  return run;
}

TEST(SimNetwork, an_echo_server_on_two_workers_runs_unchanged) {
  const EchoRun run = run_echo({.seed = 5, .workers = 2}, 8, 3'000);
  EXPECT_EQ(run.report.failure, "");
  for (std::size_t i = 0; i < run.seen.size(); ++i) {
    EXPECT_EQ(run.seen[i].error, std::error_code()) << run.seen[i].error.message();
    EXPECT_EQ(run.seen[i].got, run.texts[i]);
  }
}

// Whatever goes wrong, a client gets the beginning of what it has sent, or an error.
TEST(SimNetwork, faults_cut_an_echo_short_but_never_change_it) {
  std::uint64_t hits = 0;
  std::size_t whole = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const EchoRun run = run_echo({.seed = seed, .workers = 2, .faults = sim::Faults::swarm(seed)}, 4, 300);
    ASSERT_EQ(run.report.failure, "") << "seed " << seed;
    hits += run.report.faults.hits();
    for (std::size_t i = 0; i < run.texts.size(); ++i) {
      ASSERT_EQ(run.texts[i].compare(0, run.seen[i].got.size(), run.seen[i].got), 0) << "seed " << seed;
      if (run.seen[i].got == run.texts[i]) ++whole;
    }
  }
  EXPECT_GT(hits, 600U);
  EXPECT_GT(whole, 200U) << "some get through";
}

TEST(SimNetwork, the_same_seed_gives_the_same_server) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const sim::WorldOptions options{.seed = seed, .workers = 2, .faults = sim::Faults::swarm(seed)};
    EXPECT_EQ(run_echo(options, 3, 500).report.hash, run_echo(options, 3, 500).report.hash)
        << "seed " << seed;
  }
}

Task<void> connects_to_nobody(std::error_code& error) {
  const Result<TcpStream> stream = co_await TcpStream::connect(Address::loopback(9));
  if (!stream) error = stream.error();
}

TEST(SimNetwork, where_nobody_listens_a_connection_is_refused) {
  sim::World world;
  std::error_code error;
  EXPECT_EQ(world.run(connects_to_nobody(error)).failure, "");
  EXPECT_EQ(error, std::errc::connection_refused);
}

Task<void> closes_with_bytes_unread(std::error_code& error) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  Result<TcpStream> ours = co_await TcpStream::connect(*listener->local_address());
  Result<TcpStream> theirs = co_await listener->accept();
  const std::string text = "never read";
  (void)co_await ours->write_all(bytes_of(text));
  (void)co_await sleep_for(1s);
  (void)co_await theirs->close();
  std::array<std::byte, 8> buffer;
  const Result<std::size_t> got = co_await ours->read(buffer);
  if (!got) error = got.error();
  (void)co_await ours->close();
  (void)co_await listener->close();
}

TEST(SimNetwork, a_close_with_unread_bytes_resets_the_connection) {
  sim::World world;
  std::error_code error;
  EXPECT_EQ(world.run(closes_with_bytes_unread(error)).failure, "");
  EXPECT_EQ(error, std::errc::connection_reset);
}

Task<void> half_closes(std::string& got) {
  auto [ours, theirs] = UnixStream::pair().value();
  const std::string text = "the last words";
  (void)co_await ours.write_all(bytes_of(text));
  (void)co_await async_shutdown(ours.fd(), SHUT_WR);
  std::array<std::byte, 5> buffer;
  for (;;) {
    const Result<std::size_t> some = co_await theirs.read(buffer);
    if (!some || *some == 0) break;
    got.append(reinterpret_cast<const char*>(buffer.data()), *some);
  }
}

TEST(SimNetwork, half_a_close_ends_one_direction) {
  sim::World world;
  std::string got;
  EXPECT_EQ(world.run(half_closes(got)).failure, "");
  EXPECT_EQ(got, "the last words");
}

Task<void> sends_datagrams(std::size_t count, std::vector<int>& got) {
  Result<UdpSocket> receiver = UdpSocket::bind(Address::loopback(0));
  Result<UdpSocket> sender = UdpSocket::bind(Address::loopback(0));
  const Address there = *receiver->local_address();
  for (std::size_t i = 0; i < count; ++i) {
    const int number = static_cast<int>(i);
    (void)co_await sender->send_to(std::as_bytes(std::span(&number, 1)), there);
  }
  for (;;) {
    int number = -1;
    const auto one =
        co_await with_timeout(10s, receiver->receive_from(std::as_writable_bytes(std::span(&number, 1))));
    if (!one) break;
    got.push_back(number);
  }
}

TEST(SimNetwork, datagrams_arrive_in_order_when_nothing_goes_wrong) {
  sim::World world;
  std::vector<int> got;
  EXPECT_EQ(world.run(sends_datagrams(20, got)).failure, "");
  ASSERT_EQ(got.size(), 20U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
}

TEST(SimNetwork, datagrams_are_lost_doubled_and_late_when_the_faults_say_so) {
  sim::Faults faults;
  for (const sim::Fault fault :
       {sim::Fault::datagram_lost, sim::Fault::datagram_doubled, sim::Fault::datagram_late})
    faults[fault] = {.one_in = 4, .budget = 5};
  sim::World world({.seed = 3, .faults = faults});
  std::vector<int> got;
  const sim::RunReport report = world.run(sends_datagrams(50, got));
  EXPECT_EQ(report.failure, "");
  const auto hits = [&report](sim::Fault fault) { return report.faults[fault].hits; };
  EXPECT_EQ(got.size(), 50 - hits(sim::Fault::datagram_lost) + hits(sim::Fault::datagram_doubled));
  EXPECT_FALSE(std::ranges::is_sorted(got));
}

Task<void> sends_unix(UnixDatagram& sender, Address there, int count) {
  for (int i = 0; i < count; ++i) {
    const Result<std::size_t> sent = co_await sender.send_to(std::as_bytes(std::span(&i, 1)), there);
    EXPECT_TRUE(sent.has_value()) << i;
  }
}

/// The receiver begins when the sender has long been stopped by a full line.
Task<void> fills_a_unix_socket(int count, std::vector<int>& got) {
  const Address there = Address::unix_path("/tmp/line").value();
  Result<UnixDatagram> receiver = UnixDatagram::bind(there);
  Result<UnixDatagram> sender = UnixDatagram::unbound();
  if (!receiver || !sender) co_return;
  auto sending = spawn(sends_unix(*sender, there, count));
  (void)co_await sleep_for(1s);
  for (int i = 0; i < count; ++i) {
    int number = -1;
    (void)co_await receiver->receive(std::as_writable_bytes(std::span(&number, 1)));
    got.push_back(number);
  }
  co_await std::move(sending);
}

TEST(SimNetwork, a_unix_datagram_is_never_lost_and_its_sender_waits_for_room) {
  sim::Faults faults;
  for (const sim::Fault fault :
       {sim::Fault::datagram_lost, sim::Fault::datagram_doubled, sim::Fault::datagram_late})
    faults[fault] = {.one_in = 1, .budget = 1000};
  sim::World world({.faults = faults});
  std::vector<int> got;
  const sim::RunReport report = world.run(fills_a_unix_socket(200, got));
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(report.faults.hits(), 0U);
  ASSERT_EQ(got.size(), 200U);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
  EXPECT_LT(report.turns, 2'000U) << "a sender that waits must not be tried again and again";
}

Task<void> connects_a_receiver(std::vector<int>& got) {
  Result<UdpSocket> receiver = UdpSocket::bind(Address::loopback(0));
  Result<UdpSocket> peer = UdpSocket::bind(Address::loopback(0));
  Result<UdpSocket> stranger = UdpSocket::bind(Address::loopback(0));
  const Address there = *receiver->local_address();
  EXPECT_TRUE(receiver->connect(*peer->local_address()).has_value());
  for (const int number : {1, 2, 3, 4}) {
    UdpSocket& sender = number % 2 == 0 ? *peer : *stranger;
    (void)co_await sender.send_to(std::as_bytes(std::span(&number, 1)), there);
  }
  for (int number = 0;; got.push_back(number)) {
    const auto one =
        co_await with_timeout(10s, receiver->receive(std::as_writable_bytes(std::span(&number, 1))));
    if (!one) break;
  }
}

TEST(SimNetwork, a_connected_datagram_socket_gets_only_what_its_peer_sends) {
  sim::World world;
  std::vector<int> got;
  EXPECT_EQ(world.run(connects_a_receiver(got)).failure, "");
  EXPECT_EQ(got, (std::vector<int>{2, 4}));
}

// ---- options ----

TEST(SimNetwork, an_option_that_is_too_short_is_refused) {
  sim::World world;
  const Fd socket(os::socket(AF_INET, SOCK_STREAM));
  const auto value = std::make_unique<int>(1);
  EXPECT_EQ(os::set_option(socket.get(), SOL_SOCKET, SO_LINGER, value.get(), sizeof *value), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(os::set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, value.get(), 2), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST(SimNetwork, the_largest_receive_buffer_can_be_asked_for) {
  sim::World world;
  const Fd socket(os::socket(AF_INET, SOCK_STREAM));
  const int most = INT_MAX;
  EXPECT_EQ(os::set_option(socket.get(), SOL_SOCKET, SO_RCVBUF, &most, sizeof most), 0);
}

Task<void> through_a_pipe(std::size_t size, std::string& got) {
  Result<Pipe> pipe = Pipe::create();
  const std::string text = text_of(size, 'p');
  const auto write = [&pipe, &text]() -> Task<void> {
    (void)co_await pipe->writer.write_all(bytes_of(text));
    (void)co_await pipe->writer.close();
  };
  auto writing = spawn(write());
  std::array<std::byte, 1000> buffer;
  for (;;) {
    const Result<std::size_t> some = co_await pipe->reader.read(buffer);
    if (!some || *some == 0) break;
    got.append(reinterpret_cast<const char*>(buffer.data()), *some);
  }
  co_await std::move(writing);
}

TEST(SimNetwork, a_pipe_holds_64_kib_and_loses_nothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::World world({.seed = seed, .faults = sim::Faults::swarm(seed)});
    std::string got;
    EXPECT_EQ(world.run(through_a_pipe(200'000, got)).failure, "") << "seed " << seed;
    EXPECT_EQ(got, text_of(200'000, 'p')) << "seed " << seed;
  }
}

}  // namespace
}  // namespace corering
