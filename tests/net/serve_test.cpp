/// serve_test.cpp — servers on every worker of a pool.
#include <set>
#include <thread>

#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using namespace std::chrono_literals;

Task<void> answers_who(TcpStream stream) {
  const std::string name = Worker::current()->name();
  (void)co_await stream.write_all(bytes_of(name));
  (void)co_await stream.shutdown_write();
  std::array<std::byte, 8> buffer{};
  (void)co_await stream.read(buffer);  // waits until the client goes
}
/// A client that knows which worker serves it, and stays connected.
struct Client {
  explicit Client(const Address& address) : fd(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    EXPECT_EQ(test::sys::connect(fd.get(), address.get(), address.length()), 0);
    std::array<char, 64> text{};
    for (ssize_t got = 0; (got = test::sys::read(fd.get(), text.data(), text.size())) > 0;) {
      server.append(text.data(), static_cast<std::size_t>(got));
    }
  }
  Fd fd;
  std::string server;
};

Task<Result<void>> answers_or_fails(TcpStream stream) {
  std::array<char, 8> text{};
  const Result<std::size_t> got = co_await stream.read(text);
  if (!got) co_return std::unexpected(got.error());
  co_return co_await stream.write_all(std::string_view(text.data(), *got));
}

TEST(Serve, takes_a_handler_that_returns_a_result) {
  WorkerPool pool({.workers = 1});
  ASSERT_TRUE(pool.start());
  const Result<TcpServer> server = serve(pool, Address::loopback(0), answers_or_fails);
  ASSERT_TRUE(server);
  for (int i = 0; i < 2; ++i) {
    const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(test::sys::connect(client.get(), server->address().get(), server->address().length()), 0);
    ASSERT_EQ(test::sys::write(client.get(), "text", 4), 4);
    std::array<char, 8> text{};
    EXPECT_EQ(test::sys::read(client.get(), text.data(), text.size()), 4);
    EXPECT_EQ(std::string_view(text.data(), 4), "text");
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    test::sys::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once,
                          sizeof at_once);  // the next one is served, too
  }
}

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
  const Fd late(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_NE(test::sys::connect(late.get(), address.get(), address.length()), 0) << "nobody accepts any more";
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

/// Ends the listening sockets of this process: whoever accepts there is told EINVAL.
int shut_down_listeners() {
  int found = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    int listens = 0;
    socklen_t length = sizeof listens;
    const bool asked = test::sys::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0;
    if (asked && listens == 1 && test::sys::shutdown(fd, SHUT_RD) == 0) ++found;
  }
  return found;
}

TEST_P(Serving, says_when_it_can_accept_no_more) {
  WorkerPool pool({.workers = 2, .worker = {}});
  ASSERT_TRUE(pool.start());
  SharedChannel<std::error_code> told(4);
  ServeOptions options;
  options.policy = GetParam();
  options.on_accept_error = [&told](std::error_code error) { (void)told.try_send(error); };
  Result<TcpServer> server = serve(pool, Address::loopback(0), answers_who, options);
  ASSERT_TRUE(server) << server.error().message();
  const Client connected(server->address());
  const int listeners = shut_down_listeners();
  EXPECT_EQ(listeners, GetParam() == AcceptPolicy::reuse_port ? 2 : 1);
  for (int i = 0; i < listeners; ++i) EXPECT_EQ(told.receive_blocking(), std::errc::invalid_argument);
  EXPECT_TRUE(TcpListener::bind(server->address()))
      << "the sockets are closed, and nobody waits there for ever";
  EXPECT_EQ(server->open_connections(0) + server->open_connections(1), 1U) << "connections go on";
}

TEST(ServeDeathTest, says_it_on_stderr_if_nobody_else_wants_to_know) {
  const auto story = [] {
    WorkerPool pool({.workers = 1, .worker = {}});
    EXPECT_TRUE(pool.start());
    const Result<TcpServer> server = serve(pool, Address::loopback(0), answers_who);
    EXPECT_EQ(shut_down_listeners(), 1);
    const auto drains = []() -> Task<void> { (void)co_await Worker::current()->drain(); };
    sync_wait(*pool[0].spawn(drains()));  // until the acceptor has ended
    ::_exit(0);
  };
  EXPECT_EXIT(story(), testing::ExitedWithCode(0),
              "a server no longer accepts at 127.0.0.1:[0-9]+: Invalid argument");
}

// Worker 1 stops while the server runs on. It would always have the fewest connections.
TEST_P(Serving, goes_on_with_the_workers_that_are_left) {
  if (GetParam() == AcceptPolicy::reuse_port) GTEST_SKIP() << "every worker has a socket of its own there";
  WorkerPool pool({.workers = 2, .worker = {.name = "server"}});
  ASSERT_TRUE(pool.start());
  Result<TcpServer> server =
      serve(pool, Address::loopback(0), answers_who, {.policy = GetParam(), .listen = {}});
  ASSERT_TRUE(server) << server.error().message();
  pool[1].request_stop();
  pool[1].join();
  std::vector<Client> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(server->address());
    EXPECT_EQ(clients.back().server, "server/0");
  }
  EXPECT_EQ(server->total_connections(0), 6U);
  EXPECT_EQ(server->total_connections(1), 0U) << "what it refused does not count";
  EXPECT_EQ(server->open_connections(1), 0U);
}

}  // namespace
}  // namespace corering
