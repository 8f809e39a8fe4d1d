/// task_group_test.cpp — children end before the group does, whatever happens.
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> adds(int value, Duration delay, int& sum) {
  (void)co_await sleep_for(delay);
  sum += value;
}
Task<Result<void>> fails_with(int error, Duration delay) {
  const Result<void> slept = co_await sleep_for(delay);
  if (!slept) co_return std::unexpected(slept.error());
  co_return failure(error);
}
Task<void> throws_after(const char* what, Duration delay) {
  (void)co_await sleep_for(delay);
  throw std::runtime_error(what);
}
Task<Result<void>> waits_for_ever(int& cancelled) {
  const Result<void> slept = co_await sleep_until(TimePoint::max());
  if (slept) co_return Result<void>();
  ++cancelled;
  co_return std::unexpected(slept.error());
}

Task<void> outlives_its_children() {
  int sum = 0;
  const Result<int> result = co_await with_group([&](TaskGroup& group) -> Task<int> {
    for (int i = 1; i <= 4; ++i) group.spawn(adds(i, Duration(i * 1'000'000), sum));
    EXPECT_EQ(group.size(), 4U);
    EXPECT_EQ(sum, 0) << "children start behind what is ready";
    co_return 42;
  });
  EXPECT_EQ(result, 42);
  EXPECT_EQ(sum, 10);
}
TEST(TaskGroup, ends_after_its_children) { run_on_a_worker_here(outlives_its_children()); }

Task<void> of_nothing() {
  const Result<void> result = co_await with_group([](TaskGroup&) -> Task<void> { co_return; });
  EXPECT_TRUE(result);
}
Task<int> body_of_its_own(TaskGroup& group) { co_return static_cast<int>(group.size()); }
Task<void> of_a_function() {
  const Result<int> result = co_await with_group(body_of_its_own);
  EXPECT_EQ(result.value(), 0);
}
TEST(TaskGroup, takes_a_plain_function) { run_on_a_worker_here(of_a_function()); }

TEST(TaskGroup, may_be_empty) { run_on_a_worker_here(of_nothing()); }

Task<void> spawns_from_a_child(TaskGroup& group, int depth, int& ran) {
  ++ran;
  if (depth > 0) {
    group.spawn(spawns_from_a_child(group, depth - 1, ran));
    group.spawn(spawns_from_a_child(group, depth - 1, ran));
  }
  (void)co_await async_nop();
}
Task<void> grows_from_inside() {
  int ran = 0;
  const Result<void> result = co_await with_group([&](TaskGroup& group) -> Task<void> {
    group.spawn(spawns_from_a_child(group, 9, ran));
    co_return;
  });
  EXPECT_TRUE(result);
  EXPECT_EQ(ran, 1023);
}
TEST(TaskGroup, children_spawn_into_it) { run_on_a_worker_here(grows_from_inside()); }

// ---- failures ----

Task<void> returns_the_first_error() {
  int cancelled = 0;
  const Result<void> result = co_await with_group([&](TaskGroup& group) -> Task<Result<void>> {
    group.spawn(waits_for_ever(cancelled));
    group.spawn(fails_with(EIO, 1ms));
    group.spawn(fails_with(EPERM, 1h));
    co_return co_await waits_for_ever(cancelled);
  });
  EXPECT_EQ(result.error(), std::errc::io_error);
  EXPECT_EQ(cancelled, 2) << "the sibling and the body";
}
TEST(TaskGroup, returns_the_first_error_and_cancels_the_rest) {
  run_on_a_worker_here(returns_the_first_error());
}

Task<void> throws_at(int position, int& cancelled) {
  (void)co_await with_group([&](TaskGroup& group) -> Task<Result<void>> {
    for (int i = 0; i < 3; ++i) {
      if (i == position) {
        group.spawn(throws_after("a child's", 1ms));
      } else {
        group.spawn(waits_for_ever(cancelled));
      }
    }
    if (position == 3) throw std::runtime_error("the body's");
    co_return co_await waits_for_ever(cancelled);
  });
}
Task<void> rethrows_from_each_position() {
  for (int position = 0; position <= 3; ++position) {
    int cancelled = 0;
    std::string out;
    try {
      co_await throws_at(position, cancelled);
    } catch (const std::runtime_error& error) {
      out = error.what();
    }
    EXPECT_EQ(out, position == 3 ? "the body's" : "a child's");
    EXPECT_EQ(cancelled, 3) << "everybody else was cancelled and joined";
  }
}
TEST(TaskGroup, rethrows_from_each_position) { run_on_a_worker_here(rethrows_from_each_position()); }

Task<void> throws_before_the_first_await() {
  int cancelled = 0;
  bool thrown = false;
  const auto body = [&](TaskGroup& group) -> Task<void> {
    group.spawn(waits_for_ever(cancelled));
    throw std::runtime_error("no coroutine at all");
  };
  try {
    (void)co_await with_group(body);
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  EXPECT_TRUE(thrown);
}
TEST(TaskGroup, survives_a_body_that_throws_before_it_is_a_coroutine) {
  run_on_a_worker_here(throws_before_the_first_await());
}

Task<void> throws_beside_an_error() {
  std::string out;
  const auto temper = []() -> Task<void> {
    const Result<void> slept = co_await sleep_for(1h);
    if (!slept) throw std::runtime_error("cancelled, and angry");
  };
  try {
    (void)co_await with_group([&](TaskGroup& group) -> Task<void> {
      group.spawn(temper());
      group.spawn(fails_with(EIO, 1ms));
      co_return;
    });
  } catch (const std::runtime_error& error) {
    out = error.what();
  }
  EXPECT_EQ(out, "cancelled, and angry");
}
TEST(TaskGroup, never_swallows_an_exception) { run_on_a_worker_here(throws_beside_an_error()); }

// ---- cancelling ----

Task<void> cancels_itself() {
  int cancelled = 0;
  const Result<int> result = co_await with_group([&](TaskGroup& group) -> Task<int> {
    for (int i = 0; i < 3; ++i) group.spawn(waits_for_ever(cancelled));
    (void)co_await async_nop();
    group.cancel();
    co_return 5;
  });
  EXPECT_EQ(result, 5) << "the background is told to end; that is no failure";
  EXPECT_EQ(cancelled, 3);
}
TEST(TaskGroup, cancelled_by_its_own_code_is_no_failure) { run_on_a_worker_here(cancels_itself()); }

Task<void> cancelled_from_outside() {
  int cancelled = 0;
  const Result<int> result = co_await with_timeout(2ms, with_group([&](TaskGroup& group) -> Task<int> {
                                                     group.spawn(waits_for_ever(cancelled));
                                                     co_return 5;
                                                   }));
  EXPECT_EQ(result.error(), std::errc::timed_out) << result.error().message();
  EXPECT_EQ(cancelled, 1);
}
TEST(TaskGroup, cancelled_from_outside_says_so) { run_on_a_worker_here(cancelled_from_outside()); }

// ---- limits ----

Task<void> counts_neighbours(int& running, int& most, int& ran) {
  most = std::max(most, ++running);
  (void)co_await async_nop();
  (void)co_await sleep_for(Duration(1000));
  --running;
  ++ran;
}
Task<void> keeps_the_limit(std::size_t limit) {
  int running = 0, most = 0, ran = 0;
  const Result<void> result = co_await with_group(
      [&](TaskGroup& group) -> Task<void> {
        for (int i = 0; i < 100; ++i) group.spawn(counts_neighbours(running, most, ran));
        co_return;
      },
      {.max_running = limit});
  EXPECT_TRUE(result);
  EXPECT_EQ(ran, 100);
  EXPECT_EQ(most, static_cast<int>(limit));
}
TEST(TaskGroup, runs_no_more_at_once_than_allowed) {
  for (const std::size_t limit : {1U, 3U, 100U}) run_on_a_worker_here(keeps_the_limit(limit));
}

Task<void> waits_for_room() {
  int running = 0, most = 0, ran = 0;
  std::size_t largest = 0;
  const Result<void> result = co_await with_group(
      [&](TaskGroup& group) -> Task<Result<void>> {
        for (int i = 0; i < 100; ++i) {
          const Result<void> room = co_await group.room();
          if (!room) co_return std::unexpected(room.error());
          group.spawn(counts_neighbours(running, most, ran));
          largest = std::max(largest, group.size());
        }
        co_return Result<void>();
      },
      {.max_running = 4});
  EXPECT_TRUE(result);
  EXPECT_EQ(ran, 100);
  EXPECT_EQ(largest, 4U) << "the producer never ran ahead";
}
TEST(TaskGroup, a_producer_waits_for_room) { run_on_a_worker_here(waits_for_room()); }

Task<void> fails_while_others_are_in_line() {
  int cancelled = 0, sum = 0;
  const Result<void> result = co_await with_group(
      [&](TaskGroup& group) -> Task<void> {
        group.spawn(fails_with(EIO, 1ms));
        for (int i = 0; i < 10; ++i) group.spawn(adds(1, Duration::zero(), sum));
        const Result<void> room = co_await group.room();
        if (!room) ++cancelled;
      },
      {.max_running = 1});
  EXPECT_EQ(result.error(), std::errc::io_error);
  EXPECT_EQ(sum, 0) << "what had not started never ran";
  EXPECT_EQ(cancelled, 1) << "nor does the body wait for room any more";
}
TEST(TaskGroup, destroys_what_could_not_start_before_it_failed) {
  run_on_a_worker_here(fails_while_others_are_in_line());
}

Task<Result<void>> notes_each_step(std::vector<std::string>& steps) {
  steps.emplace_back("started");
  const Result<void> waited = co_await async_nop();
  steps.emplace_back(waited ? "waited" : "refused");
  co_return waited;
}
Task<void> spawns_after_it_was_cancelled() {
  std::vector<std::string> steps;
  const Result<void> ended = co_await with_group([&](TaskGroup& group) -> Task<void> {
    group.cancel();
    group.spawn(notes_each_step(steps));
    co_return;
  });
  EXPECT_TRUE(ended) << "what a task reports because of cancel() is no failure";
  EXPECT_EQ(steps, (std::vector<std::string>{"started", "refused"}));
}
TEST(TaskGroup, that_is_cancelled_starts_what_is_spawned_and_refuses_its_waits) {
  run_on_a_worker_here(spawns_after_it_was_cancelled());
}

// ---- on many workers ----

Task<Result<void>> works_abroad(Worker& there, int& ran) {
  const Result<void> hopped = co_await SwitchToWorker(there);
  if (!hopped) co_return std::unexpected(hopped.error());
  const Result<void> slept = co_await sleep_for(Duration(50'000));
  if (!slept) co_return std::unexpected(slept.error());
  static std::atomic<int> total = 0;
  ran = ++total;
  co_return Result<void>();
}
Task<void> has_children_abroad(Worker& there) {
  Worker* const home = Worker::current();
  for (int i = 0; i < 100; ++i) {
    std::array<int, 3> ran{};
    const Result<void> result = co_await with_group([&](TaskGroup& group) -> Task<void> {
      for (int& one : ran) group.spawn(works_abroad(there, one));
      co_return;
    });
    EXPECT_TRUE(result);
    EXPECT_EQ(Worker::current(), home);
    for (const int one : ran) EXPECT_GT(one, 0);
    int cancelled = 0;
    const Result<void> failed = co_await with_group([&](TaskGroup& group) -> Task<Result<void>> {
      group.spawn(waits_for_ever(cancelled));
      for (int& one : ran) group.spawn(works_abroad(there, one));
      co_return failure(EIO);
    });
    EXPECT_EQ(failed.error(), std::errc::io_error);
  }
}
TEST(TaskGroup, joins_children_on_other_workers) {
  test::RunningWorker there;
  run_on_a_worker_here(has_children_abroad(there.worker));
}

// The body is on another worker when the group is cancelled. Its children are not, and they end at once.
Task<Result<void>> body_abroad(TaskGroup& group, Worker& there, int children) {
  int cancelled = 0;
  for (int i = 0; i < children; ++i) group.spawn(waits_for_ever(cancelled));
  const Result<void> slept = co_await sleep_for(1h).on(there);
  EXPECT_FALSE(slept);
  while (cancelled < children) (void)co_await shield(async_nop());
  co_return slept;
}
Task<void> is_cancelled_while_its_body_is_abroad(Worker& there) {
  for (int i = 0; i < 50; ++i) {
    const Result<void> timed = co_await with_timeout(std::chrono::microseconds(i * 10),
                                                     with_group([&](TaskGroup& group) -> Task<Result<void>> {
                                                       co_return co_await body_abroad(group, there, 20);
                                                     }));
    EXPECT_EQ(timed.error(), std::errc::timed_out);
    const Result<void> failed = co_await with_group([&](TaskGroup& group) -> Task<Result<void>> {
      group.spawn(fails_with(EIO, std::chrono::microseconds(i * 10)));
      co_return co_await body_abroad(group, there, 20);
    });
    EXPECT_EQ(failed.error(), std::errc::io_error);
  }
}
TEST(TaskGroup, is_cancelled_at_home_while_its_body_is_abroad) {
  test::RunningWorker there;
  run_on_a_worker_here(is_cancelled_while_its_body_is_abroad(there.worker));
}

Task<void> waits_for_room_and_leaves_it(TaskGroup& group, int& let_go) {
  const Result<void> room = co_await group.room();
  if (room) ++let_go;
}
Task<void> room_that_is_not_used() {
  int let_go = 0, sum = 0;
  const Result<void> result = co_await with_group(
      [&](TaskGroup& group) -> Task<void> {
        group.spawn(adds(1, 2ms, sum));
        JoinHandle<void> other = spawn(waits_for_room_and_leaves_it(group, let_go));
        co_await waits_for_room_and_leaves_it(group, let_go);
        co_await std::move(other);
      },
      {.max_running = 1});
  EXPECT_TRUE(result);
  EXPECT_EQ(let_go, 2);
}
TEST(TaskGroup, room_that_one_does_not_use_is_there_for_the_next) {
  run_on_a_worker_here(room_that_is_not_used());
}

Task<void> spawns_from_abroad(Worker& there) {
  (void)co_await with_group([&](TaskGroup& group) -> Task<void> {
    (void)co_await SwitchToWorker(there);
    int sum = 0;
    group.spawn(adds(1, Duration::zero(), sum));
  });
}
TEST(TaskGroupDeathTest, spawning_from_another_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(
      {
        test::RunningWorker there;
        run_on_a_worker_here(spawns_from_abroad(there.worker));
      },
      "worker that is not the group's");
}

}  // namespace
}  // namespace corering
