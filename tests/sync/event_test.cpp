/// event_test.cpp — which coroutines go on when an event is set or notified.
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> notes_when_set(Event& event, std::vector<int>& order, int number) {
  const Result<void> waited = co_await event.wait();
  order.push_back(waited ? number : -number);
}
Task<void> set_in_order() {
  Event event;
  std::vector<int> order;
  std::vector<JoinHandle<void>> waiting;
  for (int i = 1; i <= 5; ++i) waiting.push_back(spawn(notes_when_set(event, order, i)));
  co_await turns(3);
  EXPECT_TRUE(order.empty());
  event.notify_one();
  co_await turns(3);
  EXPECT_EQ(order, std::vector<int>{1});
  waiting[1].request_cancel();
  co_await turns(3);
  EXPECT_EQ(order, (std::vector<int>{1, -2}));
  event.notify_all();
  co_await turns(3);
  EXPECT_EQ(order, (std::vector<int>{1, -2, 3, 4, 5}));
  EXPECT_FALSE(event.is_set());
  event.set();
  EXPECT_TRUE(co_await event.wait()) << "at once";
  event.reset();
  const Result<void> timed = co_await with_timeout(1ms, event.wait());
  EXPECT_EQ(timed.error(), std::errc::timed_out);
  for (auto& one : waiting) co_await std::move(one);
}

TEST(Event, lets_go_on_in_order_and_can_be_cancelled) { run_on_a_worker_here(set_in_order()); }

Task<void> sets_and_goes_on() {
  Event event;
  std::vector<int> order;
  JoinHandle<void> waiting = spawn(notes_when_set(event, order, 1));
  co_await turns(1);
  event.set();
  event.reset();
  order.push_back(0);
  EXPECT_EQ(order, std::vector<int>{0}) << "nothing runs inside set()";
  co_await std::move(waiting);
  EXPECT_EQ(order, (std::vector<int>{0, 1})) << "what set() has made ready stays ready";
}
TEST(Event, lets_go_on_later_and_not_inside_set) { run_on_a_worker_here(sets_and_goes_on()); }

Task<void> touches(Event& event) {
  event.set();
  co_return;
}

TEST(EventDeathTest, notices_a_foreign_worker) {
  EXPECT_DEATH(
      {
        Event event;
        test::RunningWorker first;
        test::RunningWorker second;
        sync_wait(*first.worker.spawn(touches(event)));
        sync_wait(*second.worker.spawn(touches(event)));
      },
      "belongs to one worker");
}

}  // namespace
}  // namespace corering
