/// run_test.cpp — one task on a worker of its own.
#include <cerrno>
#include <stdexcept>
#include <string>

#include <corering/core/run.hpp>
#include <corering/io/control_calls.hpp>
#include <corering/sync/sleep.hpp>
#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

Task<std::string> name_of_this_worker() {
  (void)co_await async_nop();
  co_return Worker::current()->name();
}

TEST(Run, yields_what_the_task_returns) {
  const Result<std::string> name = run(name_of_this_worker(), {.name = "brief"});
  ASSERT_TRUE(name) << name.error().message();
  EXPECT_EQ(*name, "brief");
}

Task<Result<int>> refuse(int error) {
  (void)co_await async_nop();
  co_return failure(error);
}

TEST(Run, yields_the_tasks_own_result) {
  const Result<int> refused = run(refuse(EDOM));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), std::errc::argument_out_of_domain);
}

Task<void> note(bool& ran) {
  ran = true;
  co_return;
}

TEST(Run, of_a_task_that_returns_nothing_is_a_success) {
  bool ran = false;
  EXPECT_TRUE(run(note(ran)));
  EXPECT_TRUE(ran);
}

Task<void> fail_loudly() {
  (void)co_await async_nop();
  throw std::runtime_error("as told");
}

TEST(Run, lets_the_tasks_exception_out) { EXPECT_THROW((void)run(fail_loudly()), std::runtime_error); }

TEST(Run, tells_why_the_ring_cannot_be_set_up_and_does_not_run_the_task) {
  test::FaultyKernel kernel;
  kernel.on_open_ring = [](const RingParams&) { return -EPERM; };
  bool ran = false;
  const Result<void> refused = run(note(ran), {.kernel = &kernel});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), std::errc::operation_not_permitted);
  EXPECT_FALSE(ran);
}

Task<void> sleep_until_cancelled(std::error_code& why) {
  const Result<void> slept = co_await sleep_until(TimePoint::max());
  if (!slept) why = slept.error();
}

Task<void> leave_behind(std::error_code& why) {
  spawn(sleep_until_cancelled(why)).detach();
  (void)co_await async_nop();
}

TEST(Run, cancels_what_the_task_has_left_behind_and_waits_for_it) {
  std::error_code why;
  EXPECT_TRUE(run(leave_behind(why)));
  EXPECT_EQ(why, std::errc::operation_canceled);
}

Task<int> ends_elsewhere(Worker& there) {
  const Result<void> hopped = co_await SwitchToWorker(there);
  EXPECT_TRUE(hopped);
  co_return 7;
}

TEST(Run, of_a_task_that_ends_on_another_worker_has_its_result) {
  test::RunningWorker there;
  EXPECT_EQ(run(ends_elsewhere(there.worker)), 7);
}

// The worker of run() is told to stop while its only task is away. It waits for the task all the same.
Task<Result<void>> is_away_when_the_worker_stops(Worker& there) {
  Worker& here = *Worker::current();
  const Result<void> hopped = co_await SwitchToWorker(there);
  EXPECT_TRUE(hopped);
  here.request_stop();
  co_return co_await sleep_until(TimePoint::max());
}

TEST(Run, does_not_return_while_its_task_is_on_another_worker) {
  test::RunningWorker there;
  const Result<void> ended = run(is_away_when_the_worker_stops(there.worker));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error(), std::errc::operation_canceled);
}

Task<void> run_in_a_task() {
  bool ran = false;
  (void)run(note(ran));
  co_return;
}

TEST(RunDeathTest, on_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH((void)run(run_in_a_task()), "co_await the task instead.*run_test\\.cpp");
}

}  // namespace
}  // namespace corering
