/// latch_test.cpp — all coroutines go on when the count is zero.
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> counts_down() {
  Latch open(0);
  EXPECT_TRUE(co_await open.wait());
  Latch latch(3);
  std::vector<int> order;
  const auto waits = [](Latch& on, std::vector<int>& done) -> Task<void> {
    (void)co_await on.wait();
    done.push_back(static_cast<int>(on.left()));
  };
  JoinHandle<void> first = spawn(waits(latch, order));
  JoinHandle<void> second = spawn(waits(latch, order));
  for (int i = 0; i < 3; ++i) {
    co_await turns(3);
    EXPECT_TRUE(order.empty());
    latch.count_down();
  }
  co_await std::move(first);
  co_await std::move(second);
  EXPECT_EQ(order, (std::vector<int>{0, 0}));
}

TEST(Latch, opens_at_zero) { run_on_a_worker_here(counts_down()); }

TEST(LatchDeathTest, counted_too_far_ends_the_program) {
  EXPECT_DEATH(
      {
        Latch latch(0);
        latch.count_down();
      },
      "more often than its count");
}

}  // namespace
}  // namespace corering
