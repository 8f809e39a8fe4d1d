/// sync_wait_test.cpp — a plain thread waits for a coroutine.
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::just;
using test::nothing;

Task<int> waits_inside() { co_return sync_wait(just(7)); }

TEST(SyncWait, may_be_called_by_a_coroutine_of_a_plain_thread) { EXPECT_EQ(sync_wait(waits_inside()), 7); }

TEST(SyncWaitDeathTest, on_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(test::run_on_a_worker_here([]() -> Task<void> {
                 sync_wait(nothing());
                 co_return;
               }()),
               "co_await instead");
}

}  // namespace
}  // namespace corering
