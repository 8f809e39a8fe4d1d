/// mutex_test.cpp — one coroutine at a time, in the order of the requests.
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> holds(Mutex& mutex, std::vector<int>& order, int number, int& inside) {
  const Result<Mutex::Guard> guard = co_await mutex.lock();
  if (!guard) {
    order.push_back(-number);
    co_return;
  }
  EXPECT_EQ(++inside, 1) << "nobody else is in here";
  co_await turns(3);
  --inside;
  order.push_back(number);
}
Task<void> one_at_a_time() {
  Mutex mutex;
  std::vector<int> order;
  int inside = 0;
  std::vector<JoinHandle<void>> all;
  for (int i = 1; i <= 5; ++i) all.push_back(spawn(holds(mutex, order, i, inside)));
  (void)co_await async_nop();
  all[2].request_cancel();
  for (auto& one : all) co_await std::move(one);
  EXPECT_EQ(order, (std::vector<int>{-3, 1, 2, 4, 5}));
  EXPECT_FALSE(mutex.is_locked());
  Result<Mutex::Guard> guard = co_await mutex.lock();
  EXPECT_TRUE(mutex.is_locked());
  const Result<Mutex::Guard> timed = co_await with_timeout(1ms, mutex.lock());
  EXPECT_EQ(timed.error(), std::errc::timed_out);
  guard->unlock();
  EXPECT_FALSE(mutex.is_locked());
}

Task<void> tries_without_waiting() {
  Mutex mutex;
  std::optional<Mutex::Guard> first = mutex.try_lock();
  EXPECT_TRUE(first);
  EXPECT_FALSE(mutex.try_lock());
  EXPECT_TRUE(mutex.is_locked()) << "a try that fails changes nothing";
  first.reset();
  EXPECT_TRUE(mutex.try_lock());
  EXPECT_FALSE(mutex.is_locked());
  co_return;
}
TEST(Mutex, can_be_tried) { run_on_a_worker_here(tries_without_waiting()); }

TEST(Mutex, lets_in_one_at_a_time_in_order) { run_on_a_worker_here(one_at_a_time()); }

// The lock is handed over and cancelled in the same turn. It must not get stuck.
Task<void> handed_over_and_cancelled() {
  Mutex mutex;
  std::vector<int> order;
  int inside = 0;
  Result<Mutex::Guard> ours = co_await mutex.lock();
  JoinHandle<void> next = spawn(holds(mutex, order, 1, inside));
  (void)co_await async_nop();
  ours->unlock();
  EXPECT_TRUE(mutex.is_locked()) << "it belongs to the next one already";
  next.request_cancel();
  co_await std::move(next);
  EXPECT_FALSE(mutex.is_locked());
}

TEST(Mutex, survives_a_cancellation_at_the_moment_of_handing_over) {
  run_on_a_worker_here(handed_over_and_cancelled());
}

Task<void> first_of_two_locks() {
  Mutex held, free;
  const Result<Mutex::Guard> ours = co_await held.lock();
  {
    const auto first = co_await when_any(held.lock(), free.lock());
    EXPECT_EQ(first.index, 1U);
    EXPECT_TRUE(free.is_locked());
  }
  EXPECT_FALSE(free.is_locked());
}

TEST(Mutex, goes_into_when_any) { run_on_a_worker_here(first_of_two_locks()); }

}  // namespace
}  // namespace corering
