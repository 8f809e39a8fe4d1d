/// linger_test.cpp — closing a socket that has to wait for its peer: the worker does not wait with it.
#include <netinet/in.h>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

/// Two ends of a connection. One has sent more than the other takes, so that its close(2) waits 30 s, or
/// until the other end is closed.
struct Lingering {
  Lingering() {
    const test::Listener listener;
    ours = Fd(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const bool connected = test::sys::connect(ours.get(), listener.get(), sizeof listener.address) == 0;
    theirs = Fd(test::sys::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const linger option{.l_onoff = 1, .l_linger = 30};
    if (!connected || test::sys::setsockopt(ours.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option) != 0)
      std::abort();
    const std::vector<char> much(1U << 20);
    while (test::sys::send(ours.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
    }
  }
  Fd ours;
  Fd theirs;
};

Task<void> closes(Fd fd) { EXPECT_TRUE(co_await async_close(std::move(fd))); }
Task<void> closes_in_order(Fd fd) { EXPECT_TRUE(co_await TcpStream(std::move(fd)).close()); }
Task<void> drops(Fd fd) {
  const TcpStream stream(std::move(fd));
  co_return;
}
Task<void> assigns_over(Fd fd) {
  TcpStream stream(std::move(fd));
  stream = TcpStream(Fd());
  co_return;
}
Task<void> closes_when_cancelled(Fd fd) {
  (void)co_await sleep_until(TimePoint::max());
  EXPECT_TRUE(co_await async_close(std::move(fd)));
}

Task<void> closes_a_slot(Fd fd) {
  const FileTable table = FileTable::create(1).value();
  Result<FixedFile> slot = co_await async_install(table, fd.get());
  fd.reset();  // the slot keeps the socket
  EXPECT_TRUE(co_await async_close(std::move(*slot)).forced_async());
}

struct Way {
  const char* name;
  Task<void> (*close)(Fd);
  bool is_cancelled = false;
};
class Closing : public testing::TestWithParam<Way> {};

// The main thread closes the other end only when the worker has done the next task, which takes so many
// turns that the close has begun. If the worker waits for
// the close, that task is not done within the 10 s that the main thread waits.
TEST_P(Closing, a_socket_that_lingers_lets_the_worker_go_on) {
  const int before = test::open_descriptors();
  {
    Lingering connection;
    test::RunningWorker running;
    OneShot went_on;
    const auto next = [&went_on]() -> Task<void> {
      constexpr int more_turns_than_a_close_takes_to_begin = 64;
      for (int i = 0; i < more_turns_than_a_close_takes_to_begin; ++i) (void)co_await async_nop();
      went_on.set();
    };
    JoinHandle<void> closing = running.worker.spawn(GetParam().close(std::move(connection.ours))).value();
    if (GetParam().is_cancelled) closing.request_cancel();
    JoinHandle<void> going_on = running.worker.spawn(next()).value();
    const bool in_time = went_on.wait_until(os::now() + 10s);
    connection.theirs.reset();
    sync_wait(std::move(closing));
    sync_wait(std::move(going_on));
    EXPECT_TRUE(in_time) << "the worker waited for the close";
  }
  EXPECT_EQ(test::open_descriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(By, Closing,
                         testing::Values(Way{"async_close", closes},
                                         Way{"close_of_a_stream", closes_in_order},
                                         Way{"a_destructor", drops}, Way{"an_assignment", assigns_over},
                                         Way{"async_close_when_cancelled", closes_when_cancelled, true},
                                         Way{"forced_async_of_a_slot", closes_a_slot}),
                         [](const testing::TestParamInfo<Way>& info) { return info.param.name; });

TEST(Closing, asks_only_sockets_whether_they_linger) {
  const Fd file(test::sys::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const test::SocketPair plain;
  const Lingering connection;
  EXPECT_FALSE(here::lingers(-1));
  EXPECT_FALSE(here::lingers(file.get()));
  EXPECT_FALSE(here::lingers(plain.ours.get()));
  EXPECT_TRUE(here::lingers(connection.ours.get()));
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ASSERT_EQ(test::sys::setsockopt(connection.ours.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
  EXPECT_FALSE(here::lingers(connection.ours.get())) << "this close does not wait: it resets the connection";
}

}  // namespace
}  // namespace corering
