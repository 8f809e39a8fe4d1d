/// cancel_from_elsewhere_test.cpp — a thread asks for a cancellation, and another one finds what it is about.
#include <atomic>
#include <stop_token>
#include <thread>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::RunningWorker;

// A request from another thread is left in the scope that it names, however deep that lies in its strand.
Task<Result<void>> sleeps_and_says_so(std::atomic<bool>& begun) {
  begun = true;
  co_return co_await sleep_for(30s);  // it would end one day, so that a lost request fails and does not hang
}
Task<Result<void>> stoppable_inside(std::stop_token token, std::atomic<bool>& begun) {
  co_return co_await with_timeout(1h, with_stop_token(token, sleeps_and_says_so(begun)));
}
TEST(CancelledScope, inside_another_one_is_reached_from_another_thread) {
  RunningWorker running;
  std::stop_source stop;
  std::atomic<bool> begun = false;
  auto sleeping = running.worker.spawn(stoppable_inside(stop.get_token(), begun)).value();
  while (!begun) std::this_thread::yield();
  stop.request_stop();
  const Result<void> slept = sync_wait(std::move(sleeping));
  ASSERT_FALSE(slept);
  EXPECT_EQ(slept.error(), std::errc::operation_canceled);
}

/// A strand that hops from `here` to `there` after it was asked to end, and before its worker knows of that.
struct Move {
  RunningWorker here, there;
  std::atomic<bool> begun = false, asked = false, sleeps = false;
  Worker* ended_on = nullptr;
};
Task<void> sets(std::atomic<bool>& flag) {
  flag = true;
  co_return;
}
// It keeps its worker from looking into its mailbox.
Task<void> keeps_busy_until(std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
  co_return;
}
Task<Result<void>> moves_and_sleeps(Move& move) {
  move.begun = true;
  while (!move.asked) std::this_thread::yield();
  const JoinHandle<void> holding = spawn(keeps_busy_until(move.sleeps));
  const Result<void> hopped = co_await SwitchToWorker(move.there.worker);
  EXPECT_TRUE(hopped);
  const JoinHandle<void> says = spawn(sets(move.sleeps));  // it runs when this one sleeps
  const Result<void> slept = co_await sleep_for(30s);
  move.ended_on = Worker::current();
  co_return slept;
}
TEST(CancelledScope, of_a_strand_that_has_moved_on_ends_it_where_it_is_now) {
  Move move;
  auto moving = move.here.worker.spawn(moves_and_sleeps(move)).value();
  while (!move.begun) std::this_thread::yield();
  moving.request_cancel();
  move.asked = true;
  const Result<void> slept = sync_wait(std::move(moving));
  EXPECT_FALSE(slept);
  EXPECT_EQ(move.ended_on, &move.there.worker);
}

}  // namespace
}  // namespace corering
