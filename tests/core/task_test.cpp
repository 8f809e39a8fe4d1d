/// task_test.cpp — a task starts when it is awaited, and passes on results and exceptions.
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::fails;
using test::just;

using test::RunningWorker;

TEST(Task, hands_its_value_to_who_awaits_it) { EXPECT_EQ(sync_wait(just(42)), 42); }

Task<int> sum_of_two() {
  const int first = co_await just(20);
  const int second = co_await just(22);
  co_return first + second;
}

TEST(Task, awaits_other_tasks) { EXPECT_EQ(sync_wait(sum_of_two()), 42); }

Task<std::unique_ptr<std::string>> make_text() { co_return std::make_unique<std::string>("moved"); }

TEST(Task, moves_a_value_that_cannot_be_copied) { EXPECT_EQ(*sync_wait(make_text()), "moved"); }

TEST(Task, lets_exceptions_through) { EXPECT_THROW(sync_wait(fails()), std::runtime_error); }

Task<std::string> catches() {
  std::string what;
  try {
    co_await fails();
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  co_return what;
}

TEST(Task, exceptions_can_be_caught_around_the_await) {
  EXPECT_EQ(sync_wait(catches()), "the task's own words");
}

Task<void> sets(bool& ran) {
  ran = true;
  co_return;
}

TEST(Task, never_awaited_never_runs) {
  bool ran = false;
  {
    const Task<void> task = sets(ran);
  }
  EXPECT_FALSE(ran);
}

Task<int> many_ready_tasks(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await just(1);
  co_return sum;
}

TEST(Task, a_million_synchronous_completions_do_not_grow_the_stack) {
  EXPECT_EQ(sync_wait(many_ready_tasks(1'000'000)), 1'000'000);
}

TEST(Task, nor_do_they_on_a_worker) {
  RunningWorker running;
  EXPECT_EQ(sync_wait(*running.worker.spawn(many_ready_tasks(1'000'000))), 1'000'000);
}

Task<int> nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await nested(depth - 1);
}

TEST(Task, a_deep_chain_does_not_grow_the_stack) { EXPECT_EQ(sync_wait(nested(100'000)), 100'000); }

Task<void> await_twice() {
  Task<int> task = just(1);
  co_await std::move(task);
  co_await std::move(task);  // NOLINT(bugprone-use-after-move): this is the mistake
}

TEST(TaskDeathTest, awaiting_twice_ends_the_program) {
  EXPECT_DEATH(sync_wait(await_twice()), "awaited only once.*task_test\\.cpp");
}

}  // namespace
}  // namespace corering
