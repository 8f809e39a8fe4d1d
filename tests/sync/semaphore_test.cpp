/// semaphore_test.cpp — permits are given in the order of the requests.
#include <limits>

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

Task<void> uses_one_up(Semaphore& semaphore, int& used) {
  Result<Semaphore::Permit> permit = co_await semaphore.acquire();
  if (!permit) co_return;
  permit->keep();
  ++used;
}
Task<void> a_producer_and_its_consumers() {
  Semaphore made(0);
  int used = 0;
  std::vector<JoinHandle<void>> consumers;
  for (int i = 0; i < 10; ++i) consumers.push_back(spawn(uses_one_up(made, used)));
  co_await turns(2);
  for (int i = 0; i < 3; ++i) made.give();
  co_await turns(3);
  EXPECT_EQ(used, 3);
  EXPECT_EQ(made.available(), 0U);
  for (JoinHandle<void>& consumer : consumers) consumer.request_cancel();
  for (JoinHandle<void>& consumer : consumers) co_await std::move(consumer);
  EXPECT_EQ(used, 3);
}
TEST(Semaphore, counts_what_is_made_and_used_up) { run_on_a_worker_here(a_producer_and_its_consumers()); }

Task<void> tries_permits_without_waiting() {
  Semaphore semaphore(3);
  std::vector<int> order;
  std::optional<Semaphore::Permit> two = semaphore.try_acquire(2);
  EXPECT_TRUE(two);
  EXPECT_FALSE(semaphore.try_acquire(2));
  EXPECT_EQ(semaphore.available(), 1U) << "a try that fails changes nothing";
  JoinHandle<void> waiting = spawn(takes(semaphore, 2, order, 1));
  co_await turns(1);
  EXPECT_FALSE(semaphore.try_acquire(1)) << "nobody passes the one that waits";
  two.reset();
  co_await std::move(waiting);
  EXPECT_TRUE(semaphore.try_acquire(3));
}
TEST(Semaphore, can_be_tried) { run_on_a_worker_here(tries_permits_without_waiting()); }

TEST(Semaphore, serves_in_order) { run_on_a_worker_here(so_many_at_a_time()); }

Task<void> gives_too_many() {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  Semaphore semaphore(most - 1);
  semaphore.give(most);
  EXPECT_EQ(semaphore.available(), most) << "and not fewer than before";
  const Result<Semaphore::Permit> one = co_await semaphore.acquire();
  EXPECT_TRUE(one);
  EXPECT_EQ(semaphore.available(), most - 1);
}

TEST(Semaphore, counts_no_further_than_its_type_and_does_not_wrap_around) {
  run_on_a_worker_here(gives_too_many());
}

Task<void> assigns_permits() {
  Semaphore semaphore(3);
  Result<Semaphore::Permit> one = co_await semaphore.acquire(1);
  Result<Semaphore::Permit> two = co_await semaphore.acquire(2);
  *one = std::move(*two);
  EXPECT_EQ(semaphore.available(), 1U) << "what the first one had is back, and what it took over is not";
  Semaphore::Permit& same = *one;
  *one = std::move(same);
  EXPECT_EQ(semaphore.available(), 1U) << "an assignment to itself changes nothing";
  one->release();
  EXPECT_EQ(semaphore.available(), 3U);
}

TEST(Semaphore, takes_a_permit_back_when_another_is_assigned_to_it) {
  run_on_a_worker_here(assigns_permits());
}

}  // namespace
}  // namespace corering
