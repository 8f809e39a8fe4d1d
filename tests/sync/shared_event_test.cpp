/// shared_event_test.cpp — an event between workers and plain threads.
#include <sched.h>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::RunningWorker;

Task<Result<void>> waits(SharedEvent& event) {
  Worker* const home = Worker::current();
  const Result<void> waited = co_await event.wait();
  EXPECT_EQ(Worker::current(), home);
  co_return waited;
}

TEST(SharedEvent, lets_workers_and_threads_go_on) {
  for (int round = 0; round < 100; ++round) {
    SharedEvent event;
    RunningWorker first, second;
    auto one = first.worker.spawn(waits(event));
    auto two = second.worker.spawn(waits(event));
    std::jthread blocked([&] { event.wait_blocking(); });
    std::jthread setter([&] { event.set(); });
    EXPECT_TRUE(sync_wait(std::move(*one)));
    EXPECT_TRUE(sync_wait(std::move(*two)));
    EXPECT_TRUE(event.is_set());
  }
}

TEST(SharedEvent, a_thread_waits_no_longer_than_it_wants) {
  SharedEvent event;
  const TimePoint deadline = os::now() + 5ms;
  EXPECT_FALSE(event.wait_blocking_until(deadline));
  EXPECT_GE(os::now(), deadline);
  event.set();
  EXPECT_TRUE(event.wait_blocking_until(deadline));
  event.reset();
  EXPECT_FALSE(event.is_set());
}

TEST(SharedEvent, a_waiting_coroutine_is_cancelled_by_its_handle_and_by_a_stop) {
  SharedEvent never;
  RunningWorker running;
  auto by_handle = running.worker.spawn(waits(never));
  by_handle->request_cancel();
  EXPECT_EQ(sync_wait(std::move(*by_handle)).error(), std::errc::operation_canceled);
  auto by_stop = running.worker.spawn(waits(never));
  running.worker.request_stop();
  EXPECT_EQ(sync_wait(std::move(*by_stop)).error(), std::errc::operation_canceled);
}

// One thread sets the event, and another one cancels the wait at the same moment. Either way the wait ends
// once.
TEST(SharedEvent, a_set_races_a_cancellation) {
  RunningWorker running;
  int set_first = 0, cancelled_first = 0;
  constexpr int rounds = test::under_tsan ? 500 : 3'000;
  for (int round = 0; round < rounds; ++round) {
    SharedEvent event;
    auto waiting = running.worker.spawn(waits(event));
    std::jthread setter([&] { event.set(); });
    waiting->request_cancel();
    const Result<void> ended = sync_wait(std::move(*waiting));
    ++(ended ? set_first : cancelled_first);
    if (!ended) {
      EXPECT_EQ(ended.error(), std::errc::operation_canceled);
    }
  }
  EXPECT_EQ(set_first + cancelled_first, rounds);
}

Task<void> blocks_on(SharedEvent& event) {
  event.wait_blocking();
  co_return;
}

TEST(SharedEventDeathTest, blocking_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(
      {
        SharedEvent event;
        test::run_on_a_worker_here(blocks_on(event));
      },
      "co_await instead");
}

}  // namespace
}  // namespace corering
