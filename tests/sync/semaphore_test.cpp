/// semaphore_test.cpp — permits are given in the order of the requests.
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> takes(Semaphore& semaphore, std::size_t count, std::vector<int>& order, int number) {
  const Result<Semaphore::Permit> permit = co_await semaphore.acquire(count);
  order.push_back(permit ? number : -number);
  co_await turns(3);
}
Task<void> so_many_at_a_time() {
  Semaphore semaphore(3);
  std::vector<int> order;
  JoinHandle<void> two = spawn(takes(semaphore, 2, order, 1));
  JoinHandle<void> three = spawn(takes(semaphore, 3, order, 2));
  JoinHandle<void> one = spawn(takes(semaphore, 1, order, 3));
  (void)co_await async_nop();
  EXPECT_EQ(order, std::vector<int>{1}) << "one would do for the third, but nobody passes the second";
  EXPECT_EQ(semaphore.available(), 1U);
  three.request_cancel();
  (void)co_await async_nop();
  EXPECT_EQ(order, (std::vector<int>{1, -2, 3})) << "the one in the way has gone";
  co_await std::move(two);
  co_await std::move(three);
  co_await std::move(one);
  EXPECT_EQ(semaphore.available(), 3U);
  JoinHandle<void> five = spawn(takes(semaphore, 5, order, 4));
  (void)co_await async_nop();
  semaphore.give(2);
  co_await std::move(five);
  EXPECT_EQ(order.back(), 4);
}

TEST(Semaphore, serves_in_order) { run_on_a_worker_here(so_many_at_a_time()); }

}  // namespace
}  // namespace corering
