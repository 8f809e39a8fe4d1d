/// sync_wait_test.cpp — a plain thread waits for a coroutine.
#include <cstdlib>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::just;
using test::nothing;

Task<int> waits_inside() { co_return sync_wait(just(7)); }

TEST(SyncWait, may_be_called_by_a_coroutine_of_a_plain_thread) { EXPECT_EQ(sync_wait(waits_inside()), 7); }

/// Runs `action` while a thread waits for a worker that was never started, as soon as something is said about
/// it.
void wait_for_a_worker_that_was_not_started() {
  std::array<int, 2> said{};
  const int real_stderr = ::dup(STDERR_FILENO);
  if (test::sys::pipe2(said.data(), 0) != 0 || ::dup2(said[1], STDERR_FILENO) < 0) std::abort();
  Worker worker({.name = "forgotten"});
  std::thread waiting([&worker] { sync_wait(worker.spawn(nothing()).value()); });
  std::array<char, 512> text{};
  const ssize_t length = test::sys::read(said[0], text.data(), text.size());
  (void)!test::sys::write(real_stderr, text.data(), static_cast<std::size_t>(length));
  if (!worker.start()) std::abort();
  waiting.join();  // it waited all the same
  std::_Exit(0);
}

TEST(SyncWaitDeathTest, says_which_worker_was_never_started) {
  EXPECT_EXIT(
      wait_for_a_worker_that_was_not_started(), testing::ExitedWithCode(0),
      "sync_wait_test\\.cpp:[0-9]+: the worker \"forgotten\" has work in its queue and was never started");
}

TEST(SyncWaitDeathTest, on_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(test::run_on_a_worker_here([]() -> Task<void> {
                 sync_wait(nothing());
                 co_return;
               }()),
               "co_await instead.*sync_wait_test\\.cpp");
}

}  // namespace
}  // namespace corering
