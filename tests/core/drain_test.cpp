/// drain_test.cpp — a worker finishes its tasks before it stops.
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::nothing;

using namespace std::chrono_literals;
using test::RunningWorker;

Task<void> finishes_its_request(int& finished) {
  (void)co_await sleep_for(10ms);
  ++finished;
}
Task<void> drains(int& finished, bool& refused, std::vector<int>& seen) {
  Worker& worker = *Worker::current();
  for (int i = 0; i < 5; ++i) spawn(finishes_its_request(finished)).detach();
  EXPECT_TRUE(co_await worker.drain());
  seen.push_back(finished);
  std::thread outsider([&] { refused = !worker.spawn(nothing()); });
  outsider.join();
  spawn(finishes_its_request(finished)).detach();
  const auto first = co_await when_any(worker.drain(), sleep_for(1h));
  EXPECT_EQ(first.index, 0U) << "what the drainer itself awaits does not count";
  seen.push_back(finished);
  spawn(finishes_its_request(finished)).detach();
  const Result<void> cut = co_await with_timeout(1ms, worker.drain());
  EXPECT_EQ(cut.error(), std::errc::timed_out);
  seen.push_back(finished);
}

TEST(Drain, waits_for_the_other_tasks_and_refuses_new_ones) {
  int finished = 0;
  bool refused = false;
  std::vector<int> seen;
  test::run_on_a_worker_here(drains(finished, refused, seen));
  EXPECT_TRUE(refused);
  EXPECT_EQ(seen, (std::vector<int>{5, 6, 6}));
  EXPECT_EQ(finished, 7) << "cancelled at the end, it still ended";
}

Task<void> drains_too(bool& drained) {
  const Result<void> done = co_await with_timeout(1h, Worker::current()->drain());
  drained = done.has_value();
}
Task<void> two_drain(bool& first, bool& second) {
  JoinHandle<void> other = spawn(drains_too(first));
  co_await drains_too(second);
  co_await std::move(other);
}

TEST(Drain, by_two_tasks_does_not_wait_for_each_other) {
  bool first = false, second = false;
  test::run_on_a_worker_here(two_drain(first, second));
  EXPECT_TRUE(first && second);
}

Task<void> away(Worker& there, int& finished) {
  (void)co_await sleep_for(10ms).on(there);
  ++finished;
}
Task<void> drains_who_is_away(Worker& there, int& finished, int& seen) {
  spawn(away(there, finished)).detach();
  (void)co_await sleep_for(2ms);
  EXPECT_TRUE(co_await Worker::current()->drain());
  seen = finished;
}

TEST(Drain, waits_for_who_must_come_back) {
  RunningWorker there;
  int finished = 0, seen = 0;
  test::run_on_a_worker_here(drains_who_is_away(there.worker, finished, seen));
  EXPECT_EQ(seen, 1);
}

}  // namespace
}  // namespace corering
