/// shared_channel_test.cpp — a channel between workers and plain threads.
#include <numeric>
#include <sched.h>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::RunningWorker;

Task<void> sends(SharedChannel<int>& channel, int from, int count) {
  for (int i = 0; i < count; ++i) {
    const Result<void> sent = co_await channel.send(from + i);
    EXPECT_TRUE(sent);
  }
}
Task<std::vector<int>> receives_all(SharedChannel<int>& channel) {
  std::vector<int> got;
  for (;;) {
    const Result<int> value = co_await channel.receive();
    if (!value) {
      EXPECT_EQ(value.error(), std::errc::broken_pipe);
      co_return got;
    }
    got.push_back(*value);
  }
}

class SharedChannelOf : public testing::TestWithParam<std::size_t> {};

TEST_P(SharedChannelOf, passes_everything_once_between_workers_and_threads) {
  constexpr int each = test::under_tsan ? 1'000 : 20'000;
  SharedChannel<int> channel(GetParam());
  RunningWorker first, second;
  auto receiving_here = first.worker.spawn(receives_all(channel));
  auto receiving_there = second.worker.spawn(receives_all(channel));
  std::vector<int> received_by_thread;
  std::thread receiver([&] {
    while (const Result<int> value = channel.receive_blocking()) received_by_thread.push_back(*value);
  });
  auto sending_here = first.worker.spawn(sends(channel, 0, each));
  auto sending_there = second.worker.spawn(sends(channel, each, each));
  std::thread sender([&] {
    for (int i = 0; i < each; ++i) EXPECT_TRUE(channel.send_blocking(2 * each + i));
  });
  sync_wait(std::move(*sending_here));
  sync_wait(std::move(*sending_there));
  sender.join();
  channel.close();
  receiver.join();
  std::vector<int> all = received_by_thread;
  for (auto* const handle : {&*receiving_here, &*receiving_there}) {
    const std::vector<int> part = sync_wait(std::move(*handle));
    all.insert(all.end(), part.begin(), part.end());
  }
  std::ranges::sort(all);
  std::vector<int> expected(3 * each);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}

INSTANTIATE_TEST_SUITE_P(Capacity, SharedChannelOf, testing::Values(0, 1, 100));

// Receivers give up at any moment, and nothing that was sent is lost.
Task<void> receives_impatiently(SharedChannel<int>& channel, std::vector<int>& got) {
  for (int i = 0;; ++i) {
    const Result<int> value = co_await with_timeout(std::chrono::microseconds(i % 50), channel.receive());
    if (value) {
      got.push_back(*value);
    } else if (value.error() == std::errc::broken_pipe) {
      co_return;
    }
  }
}

TEST(SharedChannel, loses_nothing_to_receivers_that_give_up) {
  constexpr int count = test::under_tsan ? 2'000 : 20'000;
  SharedChannel<int> channel(2);
  RunningWorker first, second;
  std::vector<int> here, there;
  auto one = first.worker.spawn(receives_impatiently(channel, here));
  auto two = second.worker.spawn(receives_impatiently(channel, there));
  for (int i = 0; i < count; ++i) ASSERT_TRUE(channel.send_blocking(i));
  channel.close();
  sync_wait(std::move(*one));
  sync_wait(std::move(*two));
  here.insert(here.end(), there.begin(), there.end());
  std::ranges::sort(here);
  std::vector<int> expected(count);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(here, expected);
}

TEST(SharedChannel, can_be_tried_from_any_thread) {
  SharedChannel<std::unique_ptr<int>> channel(1);
  auto value = std::make_unique<int>(1);
  EXPECT_TRUE(channel.try_send(value));
  value = std::make_unique<int>(2);
  EXPECT_FALSE(channel.try_send(value));
  EXPECT_EQ(*value, 2);
  EXPECT_EQ(**channel.try_receive(), 1);
  EXPECT_FALSE(channel.try_receive());
  channel.close();
  EXPECT_FALSE(channel.try_send(value));
  EXPECT_EQ(channel.send_blocking(nullptr).error(), std::errc::broken_pipe);
  EXPECT_EQ(channel.receive_blocking().error(), std::errc::broken_pipe);
}

}  // namespace
}  // namespace corering
