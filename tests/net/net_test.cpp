/// net_test.cpp — addresses, sockets of every kind, and servers on several workers.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <netinet/in.h>
#include <poll.h>
#include <set>
#include <sys/mman.h>
#include <thread>

#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

// ---- addresses ----

TEST(Address, is_read_and_printed_alike) {
  for (const char* const text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:443",
                                 "[2001:db8::1]:1", "unix:/run/socket", "unix:@abstract"}) {
    const Result<Address> address = Address::parse(text);
    ASSERT_TRUE(address) << text << ": " << address.error().message();
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_EQ(Address::loopback(80).to_string(), "127.0.0.1:80");
  EXPECT_EQ(Address::any6(81).to_string(), "[::]:81");
  EXPECT_EQ(Address().to_string(), "-");
  EXPECT_EQ(Address::loopback(1).with_port(2).port(), 2);
  EXPECT_EQ(*Address::parse("127.0.0.1:80"), Address::loopback(80));
  EXPECT_NE(Address::loopback(80), Address::loopback(81));
  EXPECT_EQ(Address::parse("[fe80::1%lo]:80")->to_string(), "[fe80::1%1]:80");
}

TEST(Address, says_what_is_wrong) {
  struct Bad {
    std::string text;
    AddressErrc why;
  };
  const std::vector<Bad> all = {
      {"", AddressErrc::form},
      {"127.0.0.1", AddressErrc::form},
      {":80", AddressErrc::form},
      {"::1:80", AddressErrc::form},
      {"[::1:80", AddressErrc::form},
      {"[]:80", AddressErrc::form},
      {"127.0.0.1:", AddressErrc::port},
      {"127.0.0.1:x", AddressErrc::port},
      {"127.0.0.1:-1", AddressErrc::port},
      {"127.0.0.1:65536", AddressErrc::port},
      {"127.0.0.1: 80", AddressErrc::port},
      {"127.0.0.1:80 ", AddressErrc::port},
      {"256.0.0.1:80", AddressErrc::host},
      {"localhost:80", AddressErrc::host},
      {"1.2.3:80", AddressErrc::host},
      {"[1::2::3]:80", AddressErrc::host},
      {"[::1%nodev]:80", AddressErrc::host},
      {std::string("127.0.0.1\0:80", 13), AddressErrc::host},
      {"unix:", AddressErrc::path_has_nul},
      {std::string("unix:/a\0b", 9), AddressErrc::path_has_nul},
      {"unix:/" + std::string(200, 'x'), AddressErrc::path_too_long},
  };
  for (const Bad& bad : all) {
    const Result<Address> address = Address::parse(bad.text);
    ASSERT_FALSE(address) << bad.text;
    EXPECT_EQ(address.error(), make_error_code(bad.why)) << bad.text << ": " << address.error().message();
    EXPECT_EQ(address.error(), std::errc::invalid_argument);
  }
}

TEST(Address, of_host_and_port_is_split) {
  const Result<HostAndPort> name = split_host_and_port("example.org:http");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->host, "example.org");
  EXPECT_EQ(name->port, "http");
  EXPECT_EQ(split_host_and_port("[::1]:80")->host, "::1");
  EXPECT_FALSE(split_host_and_port("::1:80"));
}

// /etc/hosts, without a name server.
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

// ---- TCP ----

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

// A read that is pending when its socket is closed must not get what the next owner of the number receives.
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
    EXPECT_EQ(::send(fresh.theirs.get(), "foreign", 7, 0), 7);
    EXPECT_EQ(::send(fresh.ours.get(), "foreign", 7, 0), 7);
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
      closes_although_cancelled(Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), closed));
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

// ---- one of many addresses ----

/// Takes connections into its backlog until that is full, and then answers nobody.
class SilentListener {
 public:
  SilentListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const Address any = Address::loopback(0);
    EXPECT_EQ(::bind(fd_.get(), any.get(), any.length()), 0);
    EXPECT_EQ(::listen(fd_.get(), 0), 0);
    address = Address::of_socket(fd_.get()).value();
    for (int i = 0; i < 4; ++i) {
      clients_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(clients_.back().get(), address.get(), address.length());
    }
  }
  Address address;

 private:
  Fd fd_;
  std::vector<Fd> clients_;
};

Task<void> tries(std::vector<Address> addresses, Result<Address>& reached, Duration& took) {
  const TimePoint begin = Clock::now();
  const Result<TcpStream> stream = co_await TcpStream::connect(std::move(addresses));
  took = Clock::now() - begin;
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
  const TimePoint begin = Clock::now();
  const std::vector<Address> twice(2, silent);
  const auto limited = co_await with_timeout(50ms, TcpStream::connect(twice));
  EXPECT_EQ(limited.error(), std::errc::timed_out);
  EXPECT_LT(Clock::now() - begin, 5s);
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

// ---- datagrams ----

Task<void> datagrams() {
  Result<UdpSocket> one = UdpSocket::bind(Address::loopback(0));
  Result<UdpSocket> two = UdpSocket::bind(Address::loopback(0));
  EXPECT_TRUE(one && two);
  if (!one || !two) co_return;
  const Address first = one->local_address().value();
  const Address second = two->local_address().value();
  std::array<std::byte, 8> buffer{};
  for (const char* const text : {"hello", "", "12345678", "too long for it"}) {
    const Result<std::size_t> sent = co_await one->send_to(bytes_of(text), second);
    EXPECT_EQ(sent, std::strlen(text));
    const Result<ReceivedDatagram> got = co_await two->receive_from(buffer);
    EXPECT_TRUE(got);
    if (!got) co_return;
    EXPECT_EQ(got->from, first);
    EXPECT_EQ(text_of(std::span(buffer).first(got->bytes)), std::string(text).substr(0, 8));
    EXPECT_EQ(got->truncated, std::strlen(text) > 8);
  }
  EXPECT_TRUE(one->connect(second));
  const Result<std::size_t> plain = co_await one->send(bytes_of("plain"));
  EXPECT_EQ(plain, 5U);
  const Result<std::size_t> got = co_await two->receive(buffer);
  EXPECT_EQ(got, 5U);
  const std::vector<std::byte> huge(70'000);
  const Result<std::size_t> too_long = co_await one->send(huge);
  EXPECT_EQ(too_long.error(), std::errc::message_size);

  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 512});
  EXPECT_TRUE(pool);
  RecvmsgStream stream = two->stream(*pool);
  for (int i = 0; i < 10; ++i) {
    (void)co_await one->send(bytes_of(std::to_string(i)));
    const Result<Datagram> datagram = co_await stream.next();
    EXPECT_TRUE(datagram && text_of(datagram->bytes()) == std::to_string(i));
    if (datagram) {
      EXPECT_EQ(Address(datagram->from(), datagram->from_length()), first);
    }
  }
}
TEST(Udp, carries_datagrams_and_says_whose_they_are) { run_on_a_worker_here(datagrams()); }

// ---- the Unix family ----

Task<void> passes_descriptors(std::string path) {
  Result<UnixStream> ours = failure(EIO);
  const Address address = Address::unix_path(path).value();
  Result<UnixListener> listener = UnixListener::bind(address);
  EXPECT_TRUE(listener) << listener.error().message();
  if (!listener) co_return;
  EXPECT_EQ(UnixListener::bind(address).error(), std::errc::address_in_use) << "somebody listens there";
  Result<UnixStream> client = co_await UnixStream::connect(address);
  Result<UnixStream> server = co_await listener->accept();
  EXPECT_TRUE(client && server);
  if (!client || !server) co_return;
  Result<Pipe> pipe = Pipe::create();
  const std::array<int, 2> fds = {pipe->writer.fd().get(), 0};
  const Result<std::size_t> sent = co_await client->send_fds(bytes_of("two"), fds);
  EXPECT_EQ(sent, 3U);
  std::array<std::byte, 16> buffer{};
  const Result<ReceivedFds> got = co_await server->recv_fds(buffer);
  EXPECT_TRUE(got);
  if (!got) co_return;
  EXPECT_EQ(got->bytes, 3U);
  EXPECT_EQ(got->fds.size(), 2U);
  if (got->fds.size() != 2) co_return;
  EXPECT_EQ(::fcntl(got->fds[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::write(got->fds[0].get(), "through", 7), 7);
  const Result<std::size_t> through = co_await pipe->reader.read(buffer);
  EXPECT_EQ(through, 7U);

  // Those above what was asked for are closed by the kernel, although there would be room for one more.
  const Result<std::size_t> both = co_await client->send_fds(bytes_of("y"), fds);
  EXPECT_EQ(both, 1U);
  const Result<ReceivedFds> one = co_await server->recv_fds(buffer, 1);
  EXPECT_TRUE(one && one->fds.size() == 1);
  // Those that nobody has room for are closed by the kernel, and nothing else is lost.
  const Result<std::size_t> more = co_await client->send_fds(bytes_of("x"), fds);
  EXPECT_EQ(more, 1U);
  const Result<ReceivedFds> none = co_await server->recv_fds(buffer, 0);
  EXPECT_TRUE(none && none->bytes == 1 && none->fds.empty());
  const Result<std::size_t> empty = co_await client->send_fds({}, fds);
  EXPECT_EQ(empty.error(), std::errc::invalid_argument);
}
TEST(Unix, passes_descriptors) {
  test::TemporaryDirectory directory;
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(passes_descriptors(directory / "socket"));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}
TEST(Unix, binds_over_a_socket_that_nobody_listens_at) {
  test::TemporaryDirectory directory;
  const Address address = Address::unix_path(directory / "socket").value();
  {
    const auto first = UnixListener::bind(address);
  }
  EXPECT_TRUE(UnixListener::bind(address)) << "the file was left behind";
  std::ofstream(directory / "file") << "precious";
  const Address file = Address::unix_path(directory / "file").value();
  EXPECT_EQ(UnixListener::bind(file).error(), std::errc::address_in_use);
  EXPECT_TRUE(std::filesystem::is_regular_file(directory / "file")) << "a file is no socket";
}
Task<void> unix_datagrams(std::string path) {
  const Address address = Address::unix_path(path).value();
  const Result<UnixDatagram> receiver = UnixDatagram::bind(address);
  const Result<UnixDatagram> sender = UnixDatagram::unbound();
  EXPECT_TRUE(receiver && sender);
  if (!receiver || !sender) co_return;
  const Result<std::size_t> sent = co_await sender->send_to(bytes_of("hi"), address);
  EXPECT_EQ(sent, 2U);
  std::array<std::byte, 16> buffer{};
  const Result<ReceivedDatagram> got = co_await receiver->receive_from(buffer);
  EXPECT_TRUE(got && got->bytes == 2);
}
TEST(Unix, carries_datagrams) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(unix_datagrams(directory / "socket"));
  run_on_a_worker_here(unix_datagrams("@corering-test-" + std::to_string(::getpid())));
}
Task<void> pairs() {
  auto both = UnixStream::pair();
  EXPECT_TRUE(both);
  if (!both) co_return;
  const Result<void> sent = co_await both->first.write_all(bytes_of("pair"));
  EXPECT_TRUE(sent);
  std::array<std::byte, 16> buffer{};
  const Result<std::size_t> got = co_await both->second.read(buffer);
  EXPECT_EQ(got, 4U);
}
TEST(Unix, comes_in_pairs) { run_on_a_worker_here(pairs()); }

// ---- large ----

// More than 4 GiB from one buffer: not truncated to 32 bits, but sent in parts. The pages are never touched.
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

// ---- servers ----

Task<void> answers_who(TcpStream stream) {
  const std::string name = Worker::current()->name();
  (void)co_await stream.write_all(bytes_of(name));
  (void)co_await stream.shutdown_write();
  std::array<std::byte, 8> buffer{};
  (void)co_await stream.read(buffer);  // until the client goes
}
/// A client that knows who serves it, and stays connected.
struct Client {
  explicit Client(const Address& address) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(::connect(fd.get(), address.get(), address.length()), 0);
    std::array<char, 64> text{};
    for (ssize_t got = 0; (got = ::read(fd.get(), text.data(), text.size())) > 0;) {
      server.append(text.data(), static_cast<std::size_t>(got));
    }
  }
  Fd fd;
  std::string server;
};

class Serving : public testing::TestWithParam<AcceptPolicy> {};

TEST_P(Serving, spreads_connections_over_the_workers) {
  WorkerPoolOptions options;
  options.workers = 2;
  options.worker.name = "server";
  WorkerPool pool(options);
  ASSERT_TRUE(pool.start());
  Result<TcpServer> server =
      serve(pool, Address::loopback(0), answers_who, {.policy = GetParam(), .listen = {}});
  ASSERT_TRUE(server) << server.error().message();
  std::vector<Client> clients;
  std::set<std::string> seen;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(server->address());
    seen.insert(clients.back().server);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"server/0", "server/1"}));
  EXPECT_EQ(server->total_connections(0) + server->total_connections(1), 40U);
  EXPECT_EQ(server->open_connections(0) + server->open_connections(1), 40U);
  if (GetParam() != AcceptPolicy::reuse_port) {
    EXPECT_EQ(server->total_connections(0), 20U) << "evenly";
  }
  if (GetParam() == AcceptPolicy::least_connections) {
    std::erase_if(clients, [](const Client& client) { return client.server == "server/1"; });
    while (server->open_connections(1) > 0) std::this_thread::yield();
    for (int i = 0; i < 10; ++i) clients.emplace_back(server->address());
    EXPECT_EQ(server->total_connections(1), 30U) << "to who has fewest";
  }
  const Address address = server->address();
  server->stop_accepting();
  const Fd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(::connect(late.get(), address.get(), address.length()), 0) << "nobody accepts any more";
  clients.clear();
  while (server->open_connections(0) + server->open_connections(1) > 0) std::this_thread::yield();
}
std::string policy_name(const testing::TestParamInfo<AcceptPolicy>& info) {
  static constexpr std::array names = {"reuse_port", "round_robin", "least_connections"};
  return names[static_cast<std::size_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(With, Serving,
                         testing::Values(AcceptPolicy::reuse_port, AcceptPolicy::round_robin,
                                         AcceptPolicy::least_connections),
                         policy_name);

TEST(ServingFails, on_a_taken_port_and_leaves_nothing_running) {
  const test::Listener taken;
  WorkerPool pool({.workers = 2, .worker = {}});
  ASSERT_TRUE(pool.start());
  EXPECT_EQ(serve(pool, Address::loopback(taken.port()), answers_who).error(), std::errc::address_in_use);
  const Result<TcpServer> first = serve(pool, Address::loopback(0), answers_who);
  ASSERT_TRUE(first);
  EXPECT_EQ(serve(pool, first->address(), answers_who).error(), std::errc::address_in_use)
      << "not shared silently";
  ServeOptions sharing;
  sharing.listen.reuse_port = true;
  EXPECT_TRUE(serve(pool, first->address(), answers_who, sharing)) << "but if asked for";
}
TEST(ServingDeathTest, on_workers_that_do_not_run_ends_the_program) {
  WorkerPool pool({.workers = 1, .worker = {}});
  EXPECT_DEATH((void)serve(pool, Address::loopback(0), answers_who), "the pool first");
}

}  // namespace
}  // namespace corering
