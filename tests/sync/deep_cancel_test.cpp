/// deep_cancel_test.cpp — cancelling what is nested very deep: it takes no more stack than one level.
#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

// On the way down, a level that called the next one would take some 200 bytes of stack at least. The stack of
// a worker's thread is 8 MiB.
constexpr int depth = 120'000;

Task<void> waits_below(int levels, Task<void> (*wrap)(int), Event& deepest) {
  if (levels > 0) {
    co_await wrap(levels - 1);
    co_return;
  }
  deepest.set();
  const Result<void> slept = co_await sleep_until(TimePoint::max());
  EXPECT_FALSE(slept);
}

Event* deepest_of_this_test = nullptr;

Task<void> in_all(int levels) { (void)co_await when_all(waits_below(levels, in_all, *deepest_of_this_test)); }
Task<void> in_any(int levels) { (void)co_await when_any(waits_below(levels, in_any, *deepest_of_this_test)); }
Task<void> in_a_group(int levels) {
  const auto body = [levels](TaskGroup& group) -> Task<void> {
    group.spawn(waits_below(levels, in_a_group, *deepest_of_this_test));
    co_return;
  };
  (void)co_await with_group(body);
}
Task<void> joined(int levels) { co_await spawn(waits_below(levels, joined, *deepest_of_this_test)); }
Task<void> in_time(int levels) {
  (void)co_await with_deadline(TimePoint::max(), waits_below(levels, in_time, *deepest_of_this_test));
}
Task<void> mixed(int levels) {
  Task<void> one = waits_below(levels, mixed, *deepest_of_this_test);
  if (levels % 3 == 0) {
    (void)co_await when_all(std::move(one), async_nop());
  } else if (levels % 3 == 1) {
    const auto body = [&one](TaskGroup&) -> Task<void> { co_await std::move(one); };
    (void)co_await with_group(body);
  } else {
    (void)co_await with_deadline(TimePoint::max(), std::move(one));
  }
}

struct Nest {
  const char* name;
  Task<void> (*wrap)(int);
};
class Nested : public testing::TestWithParam<Nest> {};

Task<void> cancels_from_inside(Task<void> (*wrap)(int)) {
  Event deepest;
  deepest_of_this_test = &deepest;
  JoinHandle<void> nest = spawn(wrap(depth));
  EXPECT_TRUE(co_await deepest.wait());
  nest.request_cancel();
  co_await std::move(nest);
}
TEST_P(Nested, deep_tasks_are_cancelled_on_a_bounded_stack) {
  test::RunningWorker running;
  sync_wait(running.worker.spawn(cancels_from_inside(GetParam().wrap)).value());
}

Task<void> is_left_alone(Task<void> (*wrap)(int), OneShot& there) {
  Event deepest;
  deepest_of_this_test = &deepest;
  JoinHandle<void> nest = spawn(wrap(depth));
  EXPECT_TRUE(co_await deepest.wait());
  there.set();
  co_await std::move(nest);
}
TEST_P(Nested, deep_tasks_end_with_their_worker) {
  test::RunningWorker running;
  OneShot there;
  auto handle = running.worker.spawn(is_left_alone(GetParam().wrap, there));
  there.wait();
  running.worker.request_stop();
  sync_wait(std::move(*handle));
}

INSTANTIATE_TEST_SUITE_P(In, Nested,
                         testing::Values(Nest{"when_all", in_all}, Nest{"when_any", in_any},
                                         Nest{"groups", in_a_group}, Nest{"joins", joined},
                                         Nest{"deadlines", in_time}, Nest{"all_of_these", mixed}),
                         [](const testing::TestParamInfo<Nest>& info) { return info.param.name; });

// ---- and the order of those that are side by side ----

Task<void> notes(std::vector<int>& order, int number) {
  (void)co_await sleep_until(TimePoint::max());
  order.push_back(number);
}
Task<void> pair_of(std::vector<int>& order, int first) {
  (void)co_await when_all(notes(order, first), notes(order, first + 1));
}
Task<void> tree(std::vector<int>& order) {
  (void)co_await with_timeout(Duration(1), when_all(pair_of(order, 1), notes(order, 3), pair_of(order, 4)));
}
TEST(Cancelling, reaches_what_is_below_a_member_before_the_next_member) {
  std::vector<int> order;
  test::run_on_a_worker_here(tree(order));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
}

}  // namespace
}  // namespace corering
