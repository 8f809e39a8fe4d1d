/// spin_test.cpp — a worker that watches before it sleeps.
#include <array>
#include <atomic>
#include <fcntl.h>

#include <corering/base/one_shot.hpp>
#include <corering/corering.hpp>
#include <gtest/gtest.h>

#include "base/spinner.hpp"
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<int> answer(Worker& worker) {
  const Result<void> there = co_await SwitchToWorker(worker);
  co_return there ? 42 : 0;
}

/// Counts how often its rings have been entered.
struct CountingKernel : test::FaultyKernel {
  CountingKernel() {
    on_enter = [this](unsigned) {
      ++enters;
      return 0;
    };
  }
  std::atomic<int> enters = 0;
};

TEST(Spin, hops_that_are_watched_for_need_no_eventfd) {
  if (!Spinner::several_processors()) GTEST_SKIP() << "one processor: nobody watches";
  test::FaultyKernel kernel;
  Worker worker({.spin_before_sleep = 20ms, .kernel = &kernel});
  ASSERT_TRUE(worker.start());
  // On a busy machine either side may be kept from watching for a while, so this number in a row is enough.
  constexpr int enough = 1000;
  int in_a_row = 0;
  for (int hops = 0; hops < 50'000 && in_a_row < enough; ++hops) {
    const int before = kernel.wakes;
    ASSERT_EQ(sync_wait(answer(worker)), 42);
    in_a_row = kernel.wakes == before ? in_a_row + 1 : 0;
  }
  EXPECT_EQ(in_a_row, enough);
}

TEST(Spin, without_a_budget_it_sleeps_each_time) {
  test::FaultyKernel kernel;
  Worker worker({.spin_before_sleep = 0us, .kernel = &kernel});
  ASSERT_TRUE(worker.start());
  for (int hops = 1; hops <= 40; ++hops) {
    kernel.wait_until_asleep();
    ASSERT_EQ(sync_wait(answer(worker)), 42);
    ASSERT_EQ(kernel.wakes, hops);
  }
}

TEST(Spin, a_worker_with_nothing_to_do_sleeps_without_waking) {
  CountingKernel kernel;
  Worker worker({.spin_before_sleep = 100us, .kernel = &kernel});
  ASSERT_TRUE(worker.start());
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(sync_wait(answer(worker)), 42);  // from now on it watches
  kernel.wait_until_asleep();
  EXPECT_TRUE(kernel.sleeps_for_ever) << "a time limit would wake it";
  const int enters_before = kernel.enters;
  test::RunningWorker other;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(sync_wait(answer(other.worker)), 42);
  EXPECT_EQ(kernel.enters, enters_before) << "it slept while the other one worked";
}

Task<void> tick(int times, Duration pause) {
  for (int i = 0; i < times; ++i) (void)co_await sleep_for(pause);
}

TEST(Spin, timers_of_its_own_are_slept_for) {
  CountingKernel kernel;
  Worker worker({.kernel = &kernel});
  ASSERT_TRUE(worker.start());
  sync_wait(worker.spawn(tick(1000, 90us)).value());
  // A worker that watches does not enter the kernel, because it has nothing in flight. It also does not sleep
  // for a timer that is already late, and on a busy machine some are.
  EXPECT_GE(kernel.enters, 500);
}

Task<void> send_number(InboxAddress to) { (void)co_await async_msg_ring(to, 7); }

TEST(Spin, a_message_arrives_between_short_timers) {
  Worker sender, receiver;
  ASSERT_TRUE(sender.start());
  ASSERT_TRUE(receiver.start());
  const auto receive = [](Worker& from) -> Task<Duration> {
    NumberInbox inbox;
    JoinHandle<void> ticking = spawn(tick(30'000, 80us));  // takes some seconds
    (void)co_await sleep_for(20ms);
    const TimePoint begin = Clock::now();
    co_await from.spawn(send_number(inbox.address())).value();
    const Result<std::int32_t> got = co_await inbox.receive();
    const Duration took = Clock::now() - begin;
    EXPECT_EQ(got, 7);
    ticking.request_cancel();
    co_await std::move(ticking);
    co_return took;
  };
  EXPECT_LT(sync_wait(receiver.spawn(receive(sender)).value()), 1s);
}

Task<int> reads_twice(int fd, std::span<std::byte> a, std::span<std::byte> b) {
  const auto length = [](const Result<std::size_t>& got) { return got ? static_cast<int>(*got) : -1; };
  co_return length(co_await async_read(fd, a, 0)) + 100 * length(co_await async_read(fd, b, 1));
}

TEST(Operation, two_in_one_expression) {
  const Fd file(test::sys::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::array<std::byte, 4> a{};
  std::array<std::byte, 3> b{};
  Worker worker;
  ASSERT_TRUE(worker.start());
  EXPECT_EQ(sync_wait(worker.spawn(reads_twice(file.get(), a, b)).value()), 304);
  EXPECT_EQ(a[1], b[0]);
}

TEST(Spin, a_deadline_inside_the_budget_is_kept) {
  Worker worker({.spin_before_sleep = 5s});
  ASSERT_TRUE(worker.start());
  const auto sleeps = []() -> Task<Duration> {
    Duration longest{};
    for (int i = 0; i < 50; ++i) {
      const TimePoint begin = Clock::now();
      (void)co_await sleep_for(1ms);
      longest = std::max(longest, Clock::now() - begin);
    }
    co_return longest;
  };
  const TimePoint begin = Clock::now();
  EXPECT_GE(sync_wait(worker.spawn(sleeps()).value()), 1ms);
  EXPECT_LT(Clock::now() - begin, 4s);
}

}  // namespace
}  // namespace corering
