/// full_pool_test.cpp — when all helper threads of an emulated ring are busy, only those who need one wait.
#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

/// A connection whose close keeps a helper busy until the peer is closed.
struct Lingering {
  Lingering() {
    const linger option{.l_onoff = 1, .l_linger = 60};
    EXPECT_EQ(::setsockopt(pair.ours.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option), 0);
    const std::vector<char> much(1U << 20);
    while (::send(pair.ours.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
    }
  }
  test::TcpPair pair;
};

struct Seen {
  std::atomic<int> closed = 0;
  std::atomic<bool> has_opened = false;
  std::atomic<int> posts = 0;
};

Task<void> closes(Fd fd, Seen& seen) {
  EXPECT_TRUE(co_await async_close(std::move(fd)));
  ++seen.closed;
}
Task<void> opens(Seen& seen) {
  const Result<Fd> opened = co_await async_openat(AT_FDCWD, "/dev/null", O_RDONLY);
  EXPECT_TRUE(opened);
  seen.has_opened = true;
}
Task<void> talks_and_sleeps() {
  const test::SocketPair pair;
  std::array<std::byte, 8> buffer;
  for (int i = 0; i < 100; ++i) {
    const auto [got, sent] = co_await when_all(async_recv(pair.ours.get(), buffer),
                                               async_send(pair.theirs.get(), test::bytes_of("x")));
    EXPECT_TRUE(got && sent);
    const Result<void> slept = co_await sleep_for(i % 20 == 0 ? 1ms : 0ms);
    EXPECT_TRUE(slept);
  }
}
Task<void> arrives(Worker& worker, Seen& seen) {
  const Result<void> hopped = co_await SwitchToWorker(worker);
  if (hopped) ++seen.posts;
}

/// Two closes keep two helpers busy while a file is opened, and while others talk, sleep and post.
void run(std::size_t most_helpers, bool has_to_wait) {
  set_emulation({.most_helpers = most_helpers});
  std::array<Lingering, 2> connections;
  Seen seen;
  {
    test::RunningWorker running({.kernel = &emulated_kernel()});
    std::vector<JoinHandle<void>> handles;
    for (Lingering& one : connections)
      handles.push_back(running.worker.spawn(closes(std::move(one.pair.ours), seen)).value());
    handles.push_back(running.worker.spawn(opens(seen)).value());
    sync_wait(running.worker.spawn(talks_and_sleeps()).value());
    for (int i = 0; i < 100; ++i) sync_wait(arrives(running.worker, seen));
    EXPECT_EQ(seen.posts, 100);
    EXPECT_EQ(seen.closed, 0) << "the helpers were not busy";
    if (!has_to_wait) sync_wait(std::move(handles.back()));
    EXPECT_NE(seen.has_opened, has_to_wait);
    for (Lingering& one : connections) one.pair.theirs.reset();
    if (!has_to_wait) handles.pop_back();
    for (JoinHandle<void>& handle : handles) sync_wait(std::move(handle));
  }
  EXPECT_EQ(seen.closed, 2);
  EXPECT_TRUE(seen.has_opened);
  set_emulation({});
}

TEST(FullPool, lets_sockets_timers_and_posts_go_on) { run(2, true); }

TEST(FullPool, is_not_full_when_it_is_larger) { run(3, false); }

TEST(FullPool, has_at_least_one_helper) {
  set_emulation({.most_helpers = 0});
  Seen seen;
  test::run_on_a_worker_here(opens(seen), {.kernel = &emulated_kernel()});
  EXPECT_TRUE(seen.has_opened);
  set_emulation({});
}

}  // namespace
}  // namespace corering
