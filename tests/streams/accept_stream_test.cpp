/// accept_stream_test.cpp — streams of connections.
#include <set>
#include <thread>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::arm;
using test::DescriptorLimit;
using test::turns;

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> table_goes_first(const test::Listener& listener, std::vector<Fd>& clients) {
  for (int i = 0; i < 20; ++i) {
    {
      Result<FileTable> table = FileTable::create(4);
      EXPECT_TRUE(table) << table.error().message();
      FixedAcceptStream stream(*table, listener.fd);
      co_await arm(stream);
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    }
    co_await turns(4);  // the last reply has come and its slot is free; the table is gone, too
  }
}

TEST(FixedAcceptStream, keeps_a_table_that_is_gone) {
  const test::Listener listener;
  std::vector<Fd> clients;
  run_on_a_worker_here(table_goes_first(listener, clients));
}

Task<void> closes_a_listener_in_use(bool without_descriptors) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  const Address address = listener->local_address().value();
  std::error_code outcome;
  const auto accepts_one = [](TcpListener& its, std::error_code& how) -> Task<void> {
    const Result<TcpStream> peer = co_await its.accept();
    how = peer ? std::error_code() : peer.error();
  };
  std::optional<DescriptorLimit> none;
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (without_descriptors) {
    const Fd next(::dup(0));
    none.emplace(static_cast<rlim_t>(next.get()));
    EXPECT_EQ(::connect(client.get(), address.get(), address.length()), 0);
  }
  JoinHandle<void> accepting = spawn(accepts_one(*listener, outcome));
  co_await turns(5);
  const Result<void> closed = co_await listener->close();
  EXPECT_TRUE(closed);
  co_await std::move(accepting);
  EXPECT_EQ(outcome, std::errc::operation_canceled);
  none.reset();
  EXPECT_TRUE(TcpListener::bind(address)) << "the port is free";
}

TEST(TcpListener, can_be_closed_while_somebody_accepts) {
  run_on_a_worker_here(closes_a_listener_in_use(false));
}

TEST(TcpListener, can_be_closed_while_accept_waits_for_a_descriptor) {
  run_on_a_worker_here(closes_a_listener_in_use(true));
}

Task<void> accepts(int listener, std::atomic<int>& accepted, int count) {
  AcceptStream connections(listener);
  std::vector<Fd> kept;
  while (accepted < count) {
    Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next) co_return;
    ++accepted;
    kept.push_back(std::move(*next));
  }
}

Duration cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + Duration(used.tv_nsec);
}

// There are 256 descriptors, and clients keep coming. The worker must not spin, and must go on when there is
// room.
TEST(AcceptStream, waits_while_there_is_no_descriptor) {
  test::Listener listener;
  std::atomic<int> accepted = 0;
  test::RunningWorker running;
  constexpr int clients = 300;
  ASSERT_EQ(::listen(listener.fd.get(), clients), 0);
  std::vector<Fd> connected;
  for (int i = 0; i < clients; ++i) {
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(client.get(), listener.get(), sizeof listener.address);
    connected.emplace_back(::fcntl(client.get(), F_DUPFD_CLOEXEC, 1000));  // puts it above the limit
  }
  std::optional<DescriptorLimit> few(256);
  auto accepting = running.worker.spawn(accepts(listener.fd.get(), accepted, clients));
  int before = -1;
  while (accepted == 0 || accepted != before) {  // waits until nothing more comes
    before = accepted;
    std::this_thread::sleep_for(50ms);
  }
  ASSERT_LT(accepted, 256);
  ASSERT_GT(accepted, 200);
  const Duration cpu_before = cpu_time();
  std::this_thread::sleep_for(5s);
  const Duration used = cpu_time() - cpu_before;
  EXPECT_LT(used, 250ms) << "of 5 s";
  EXPECT_EQ(accepted, before);
  const TimePoint room = Clock::now();
  few.reset();
  while (accepted == before) std::this_thread::sleep_for(1ms);
  EXPECT_LT(Clock::now() - room, 1s);
  sync_wait(std::move(*accepting));
  EXPECT_EQ(accepted, clients);
}

Task<void> accepts_slowly(int listener, int count) {
  AcceptStream connections(listener, 4);
  co_await turns(1);
  std::set<int> numbers;
  std::vector<Fd> kept;
  for (int i = 0; i < count; ++i) {
    Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next) co_return;
    numbers.insert(next->get());
    kept.push_back(std::move(*next));
    co_await turns(3);
  }
  EXPECT_EQ(numbers.size(), static_cast<std::size_t>(count));
}

TEST(AcceptStream, lets_connections_wait_in_the_backlog_and_loses_none) {
  test::Listener listener;
  std::vector<Fd> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
  }
  run_on_a_worker_here(accepts_slowly(listener.fd.get(), 100));
}

Task<void> closes_what_nobody_took(const test::Listener& listener) {
  std::vector<Fd> clients;
  {
    AcceptStream connections(listener.fd.get());
    (void)co_await with_timeout(Duration::zero(), connections.next());
    for (int i = 0; i < 10; ++i) {
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    }
    co_await turns(1);
  }
  co_await turns(5);
}

TEST(AcceptStream, closes_connections_that_nobody_took) {
  test::Listener listener;
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(closes_what_nobody_took(listener));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

}  // namespace
}  // namespace corering
