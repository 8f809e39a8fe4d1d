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
