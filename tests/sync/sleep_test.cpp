/// sleep_test.cpp — timers are never early, whatever the deadline is.
#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<void> sleeps_at_least(Duration duration, bool& early) {
  const TimePoint begin = os::now();
  EXPECT_TRUE(co_await sleep_for(duration));
  early = os::now() - begin < duration;
}

class Sleep : public testing::TestWithParam<Duration> {};
TEST_P(Sleep, is_never_early) {
  for (int i = 0; i < 20; ++i) {
    bool early = true;
    test::run_on_a_worker_here(sleeps_at_least(GetParam(), early));
    EXPECT_FALSE(early);
  }
}
INSTANTIATE_TEST_SUITE_P(For, Sleep,
                         testing::Values(0ns, 1ns, 999ns, 1us, 100us, 1ms, -1ns, -1h, Duration::min()));

Task<void> sleeps_until(TimePoint deadline) { EXPECT_TRUE(co_await sleep_until(deadline)); }
TEST(SleepUntil, a_past_time_is_over_at_once) {
  test::run_on_a_worker_here(sleeps_until(TimePoint::min()));
  test::run_on_a_worker_here(sleeps_until(os::now() - 1s));
}

Task<void> sleeps_for_ever(std::error_code& ended) {
  const Result<void> slept = co_await sleep_for(Duration::max());
  if (!slept) ended = slept.error();
}
TEST(SleepFor, the_longest_time_ends_only_with_the_worker) {
  std::error_code ended;
  {
    test::RunningWorker running;
    running.worker.spawn(sleeps_for_ever(ended))->detach();
    bool early = true;
    sync_wait(*running.worker.spawn(sleeps_at_least(5ms, early)));
    EXPECT_FALSE(ended);
  }
  EXPECT_EQ(ended, std::errc::operation_canceled);
}

Task<void> outlasts(SleepOperation sleep) {
  const Result<void> slept = co_await with_timeout(5ms, sleep);
  EXPECT_FALSE(slept);
  EXPECT_EQ(slept ? std::error_code() : slept.error(), std::errc::timed_out);
}
TEST(Sleep, the_longest_time_of_every_unit_means_never) {
  test::run_on_a_worker_here(outlasts(sleep_for(std::chrono::microseconds::max())));
  test::run_on_a_worker_here(outlasts(sleep_for(std::chrono::seconds::max())));
  test::run_on_a_worker_here(outlasts(sleep_for(std::chrono::hours::max())));
  test::run_on_a_worker_here(outlasts(sleep_for(std::chrono::hours(3'000'000))));
  using Seconds = std::chrono::time_point<Clock, std::chrono::seconds>;
  test::run_on_a_worker_here(outlasts(sleep_until(Seconds::max())));
}

Task<void> sleep_and_note(Duration duration, std::vector<int>& order, int number) {
  (void)co_await sleep_for(duration);
  order.push_back(number);
}
Task<void> race(std::vector<int>& order) {
  JoinHandle<void> late = spawn(sleep_and_note(20ms, order, 2));
  JoinHandle<void> soon = spawn(sleep_and_note(5ms, order, 1));
  co_await std::move(late);
  co_await std::move(soon);
}
TEST(SleepFor, the_shorter_sleep_ends_first) {
  std::vector<int> order;
  test::run_on_a_worker_here(race(order));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace corering
