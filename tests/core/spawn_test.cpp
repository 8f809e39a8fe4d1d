/// spawn_test.cpp — spawned tasks: joined, detached, cancelled; and when their parameters are destroyed.
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::fails;
using test::just;
using test::nothing;

using test::RunningWorker;

TEST(Spawn, a_plain_thread_can_join) {
  RunningWorker running;
  auto handle = running.worker.spawn(just(5));
  ASSERT_TRUE(handle);
  EXPECT_EQ(sync_wait(std::move(*handle)), 5);
}

TEST(Spawn, an_exception_comes_out_of_the_join) {
  RunningWorker running;
  auto handle = running.worker.spawn(fails());
  ASSERT_TRUE(handle);
  EXPECT_THROW(sync_wait(std::move(*handle)), std::runtime_error);
}

Task<void> record_order(std::vector<int>& order, int number) {
  order.push_back(number);
  co_return;
}
Task<void> spawns_three(std::vector<int>& order) {
  JoinHandle<void> first = spawn(record_order(order, 1));
  JoinHandle<void> second = spawn(record_order(order, 2));
  order.push_back(0);
  co_await std::move(second);
  co_await std::move(first);
  order.push_back(3);
}

TEST(Spawn, on_the_same_worker_runs_behind_what_is_ready) {
  std::vector<int> order;
  test::run_on_a_worker_here(spawns_three(order));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

Task<Worker*> where_am_i() { co_return Worker::current(); }

Task<void> joins_from(Worker& there) {
  Worker* const home = Worker::current();
  auto handle = there.spawn(where_am_i());
  Worker* const ran_on = co_await std::move(*handle);
  EXPECT_EQ(ran_on, &there);
  EXPECT_EQ(Worker::current(), home) << "a join resumes at home";
}

TEST(Spawn, joining_a_task_of_another_worker_comes_back) {
  RunningWorker there;
  for (int i = 0; i < 100; ++i) test::run_on_a_worker_here(joins_from(there.worker));
}

Task<void> waits_for(OneShot& gate, std::shared_ptr<int> kept) {
  gate.wait();
  *kept = 1;
  co_return;
}

TEST(Spawn, a_dropped_handle_detaches) {
  auto kept = std::make_shared<int>(0);
  OneShot gate;
  {
    RunningWorker running;
    {
      auto dropped = running.worker.spawn(waits_for(gate, kept));
    }
    gate.set();
  }
  EXPECT_EQ(*kept, 1);
  EXPECT_EQ(kept.use_count(), 1) << "the frame is gone";
}

TEST(Spawn, without_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(spawn(nothing()).detach(), "use worker.spawn.*spawn_test\\.cpp");
}

TEST(Spawn, the_value_of_a_refused_task_is_its_reason) {
  Worker stopped;
  stopped.request_stop();
  std::string said;
  try {
    stopped.spawn(nothing()).value().detach();
  } catch (const std::system_error& refused) {
    said = refused.what();
    EXPECT_EQ(refused.code(), std::errc::operation_canceled);
  }
  EXPECT_NE(said.find("has refused the task"), std::string::npos) << said;
}

Task<void> joins_one_task_twice() {
  JoinHandle<int> task = spawn(just(1));
  (void)co_await std::move(task);
  (void)co_await std::move(task);  // NOLINT(bugprone-use-after-move): this is the mistake
}
TEST(SpawnDeathTest, joining_twice_names_the_line) {
  EXPECT_DEATH(test::run_on_a_worker_here(joins_one_task_twice()), "had been joined.*spawn_test\\.cpp");
}

std::atomic<int> handled = 0;

TEST(Spawn, a_detached_exception_goes_to_the_handler) {
  handled = 0;
  set_detached_exception_handler([](std::exception_ptr) { ++handled; });
  {
    RunningWorker running;
    running.worker.spawn(fails())->detach();
    sync_wait(*running.worker.spawn(nothing()));
  }
  set_detached_exception_handler(nullptr);
  EXPECT_EQ(handled, 1);
}

TEST(SpawnDeathTest, a_detached_exception_ends_the_program_with_its_message) {
  EXPECT_DEATH(
      {
        RunningWorker running;
        running.worker.spawn(fails())->detach();
        sync_wait(*running.worker.spawn(nothing()));
      },
      "the task's own words");
}

/// Notes on which thread it is destroyed.
class Belonging {
 public:
  explicit Belonging(std::atomic<pid_t>& gone_on) noexcept : gone_on_(&gone_on) {}
  Belonging(Belonging&& other) noexcept : gone_on_(std::exchange(other.gone_on_, nullptr)) {}
  ~Belonging() {
    if (gone_on_ != nullptr) *gone_on_ = gettid();
  }

 private:
  std::atomic<pid_t>* gone_on_;
};

Task<int> keep(Belonging) { co_return 7; }
Task<pid_t> thread_of_worker() { co_return gettid(); }

Task<void> looks_at_an_ended_task(std::atomic<pid_t>& gone_on) {
  JoinHandle<int> handle = spawn(keep(Belonging(gone_on)));
  EXPECT_EQ(gone_on, 0);
  (void)co_await sleep_for(Duration::zero());
  EXPECT_TRUE(handle.done());
  EXPECT_EQ(gone_on, gettid());
  const int seven = co_await std::move(handle);
  EXPECT_EQ(seven, 7);
}

TEST(SpawnedTask, lets_go_of_what_it_was_given_when_it_ends) {
  std::atomic<pid_t> gone_on = 0;
  test::run_on_a_worker_here(looks_at_an_ended_task(gone_on));
}

TEST(SpawnedTask, lets_go_of_it_on_its_worker_whoever_joins_or_drops_it) {
  test::RunningWorker running;
  const pid_t there = sync_wait(running.worker.spawn(thread_of_worker()).value());
  for (const bool joins : {true, false}) {
    std::atomic<pid_t> gone_on = 0;
    auto handle = running.worker.spawn(keep(Belonging(gone_on))).value();
    while (!handle.done()) std::this_thread::yield();
    EXPECT_EQ(gone_on, there);
    if (joins) {
      EXPECT_EQ(sync_wait(std::move(handle)), 7);
    }
  }
}

Task<void> hops_away(Belonging, Worker& to, OneShot& entered, OneShot& gate) {
  entered.set();
  gate.wait();
  const Result<void> hopped = co_await SwitchToWorker(to);
  EXPECT_TRUE(hopped);
}
Task<void> waits_here_until_gone(const std::atomic<pid_t>& gone_on) {
  for (const TimePoint end = os::now() + std::chrono::seconds(10); gone_on == 0 && os::now() < end;)
    std::this_thread::yield();
  co_return;
}

TEST(SpawnedTask, lets_go_of_it_where_it_ends_although_its_cancellation_is_still_elsewhere) {
  std::atomic<pid_t> gone_on = 0;
  test::RunningWorker first, second;
  const pid_t there = sync_wait(second.worker.spawn(thread_of_worker()).value());
  OneShot entered, gate;
  auto hopping = first.worker.spawn(hops_away(Belonging(gone_on), second.worker, entered, gate)).value();
  entered.wait();
  auto waiting = first.worker.spawn(waits_here_until_gone(gone_on)).value();
  hopping.request_cancel();  // a message that comes after the task that waits there
  gate.set();
  sync_wait(std::move(waiting));
  EXPECT_EQ(gone_on, there);
  sync_wait(std::move(hopping));
}

Task<int> is_refused(Belonging) { co_return 0; }

TEST(SpawnedTask, lets_go_of_it_when_it_is_refused) {
  std::atomic<pid_t> gone_on = 0;
  Worker worker;
  ASSERT_TRUE(worker.start());
  worker.request_stop();
  worker.join();
  EXPECT_FALSE(worker.spawn(is_refused(Belonging(gone_on))));
  EXPECT_EQ(gone_on, gettid());
}

Task<int> hops_there_and_back(Worker& there, Worker& back) {
  const PromiseBase& frame = co_await detail::OwnPromise();
  const Strand& strand = *frame.scope->strand();
  EXPECT_TRUE(strand.has_never_left(here::front()));
  const LoopFront& birthplace = here::front();
  EXPECT_TRUE(co_await SwitchToWorker(there));
  EXPECT_FALSE(strand.has_never_left(here::front()));
  EXPECT_FALSE(strand.has_never_left(birthplace));
  EXPECT_TRUE(co_await SwitchToWorker(back));
  EXPECT_FALSE(strand.has_never_left(here::front()));
  co_return 7;
}
Task<void> joins_a_traveller(Worker& there, bool begins_to_join_first) {
  JoinHandle<int> handle = spawn(hops_there_and_back(there, *Worker::current()));
  while (!begins_to_join_first && !handle.done()) {
    (void)co_await sleep_for(Duration::zero());
  }
  const int seven = co_await std::move(handle);
  EXPECT_EQ(seven, 7);
}

TEST(SpawnedTask, is_joined_at_home_after_a_journey) {
  RunningWorker here, there;
  for (int i = 0; i < 200; ++i)
    sync_wait(here.worker.spawn(joins_a_traveller(there.worker, i % 2 == 0)).value());
}

/// Holds a handle that another thread cancels.
struct Lent {
  std::optional<JoinHandle<void>> handle;
  std::atomic<bool> is_there = false, was_cancelled = false;
};
Task<void> lends_and_joins(Lent& lent) {
  lent.handle.emplace(spawn(nothing()));
  lent.is_there = true;
  // This does not return to the loop. The task is ready, and the cancellation comes after it in the queue.
  while (!lent.was_cancelled) std::this_thread::yield();
  co_await std::move(*lent.handle);
}

TEST(SpawnedTask, that_ends_before_its_cancellation_has_come_is_joined_after_that) {
  RunningWorker running;
  for (int i = 0; i < 200; ++i) {
    Lent lent;
    auto joining = running.worker.spawn(lends_and_joins(lent)).value();
    while (!lent.is_there) std::this_thread::yield();
    lent.handle->request_cancel();
    lent.was_cancelled = true;
    sync_wait(std::move(joining));
  }
}

/// Does the same, but a third thread drops the handle. Unless the lender returns to the loop first, the task
/// ends while the cancellation is still in the queue.
Task<void> lends(Lent& lent, std::atomic<int>& ended, bool returns_first) {
  const auto counts_its_end = [](std::atomic<int>& count) -> Task<void> {
    ++count;
    co_return;
  };
  lent.handle.emplace(spawn(counts_its_end(ended)));
  lent.is_there = true;
  while (!lent.was_cancelled && returns_first) (void)co_await sleep_for(Duration::zero());
  while (!lent.was_cancelled) std::this_thread::yield();
}

TEST(SpawnedTask, that_others_cancel_and_detach_ends_once) {
  RunningWorker running;
  for (int i = 0; i < 400; ++i) {
    Lent lent;
    std::atomic<int> ended = 0;
    auto lending = running.worker.spawn(lends(lent, ended, i % 2 == 0)).value();
    while (!lent.is_there) std::this_thread::yield();
    lent.handle->request_cancel();
    std::thread([&] { lent.handle.reset(); }).join();
    lent.was_cancelled = true;
    sync_wait(std::move(lending));
    while (ended == 0) std::this_thread::yield();
    EXPECT_EQ(ended, 1);
  }
}

/// This task holds its own handle.
Task<void> holds(std::shared_ptr<std::optional<JoinHandle<void>>>, bool& ended) {
  (void)co_await sleep_for(Duration::zero());
  ended = true;
}
Task<void> spawns_what_holds_itself(bool& ended) {
  auto place = std::make_shared<std::optional<JoinHandle<void>>>();
  place->emplace(spawn(holds(place, ended)));
  co_return;
}

TEST(SpawnedTask, may_hold_its_own_handle) {
  bool ended = false;
  RunningWorker running;
  sync_wait(running.worker.spawn(spawns_what_holds_itself(ended)).value());
  running.worker.request_stop();
  running.worker.join();
  EXPECT_TRUE(ended);
}

Task<std::shared_ptr<int>> returns(std::shared_ptr<int> what) { co_return what; }
Task<void> detaches_what_has_ended() {
  const auto result = std::make_shared<int>(7);
  JoinHandle<std::shared_ptr<int>> handle = spawn(returns(result));
  while (!handle.done()) {
    (void)co_await sleep_for(Duration::zero());
  }
  EXPECT_EQ(result.use_count(), 2);
  handle.detach();
  EXPECT_EQ(result.use_count(), 1) << "nobody will ask for it";
}

TEST(SpawnedTask, that_has_ended_goes_away_when_it_is_detached) {
  RunningWorker running;
  sync_wait(running.worker.spawn(detaches_what_has_ended()).value());
}

Task<void> leaves_a_handle(std::optional<JoinHandle<void>>& here, Worker& inner) {
  here.emplace(spawn(nothing()));
  (void)co_await sleep_for(Duration::zero());
  // This is another loop on the same thread.
  std::optional<JoinHandle<void>> theirs;
  EXPECT_TRUE(inner.run([&](Worker& worker) {
    here.reset();
    theirs.emplace(spawn(nothing()));
    worker.request_stop();
  }));
  theirs.reset();
  here.emplace(spawn(nothing()));
}

TEST(SpawnedTask, is_detached_inside_another_loop_and_after_its_worker) {
  std::optional<JoinHandle<void>> handle;
  {
    RunningWorker running;
    Worker inner;
    sync_wait(running.worker.spawn(leaves_a_handle(handle, inner)).value());
  }
  RunningWorker later;
  const auto lets_go = [](std::optional<JoinHandle<void>>& of) -> Task<void> {
    EXPECT_TRUE(of->done());
    of.reset();
    co_return;
  };
  sync_wait(later.worker.spawn(lets_go(handle)).value());
  EXPECT_FALSE(handle);
}

/// Can be moved `moves` times, and then throws.
struct Fragile {
  explicit Fragile(int moves) : moves_left(moves) {}
  Fragile(Fragile&& other) : moves_left(other.moves_left - 1) {
    if (moves_left < 0) throw std::runtime_error("broken");
  }
  int moves_left;
};
Task<Fragile> makes_something_fragile(int moves) { co_return Fragile(moves); }
Task<void> joins_what_breaks() {
  for (int moves = 0; moves < 2; ++moves) {
    std::string what;
    JoinHandle<Fragile> handle = spawn(makes_something_fragile(moves));
    try {
      [[maybe_unused]] const Fragile got = co_await std::move(handle);
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    EXPECT_EQ(what, "broken");
  }
  JoinHandle<Fragile> handle = spawn(makes_something_fragile(3));
  const Fragile whole = co_await std::move(handle);
  EXPECT_EQ(whole.moves_left, 0);
}

TEST(SpawnedTask, ends_with_the_exception_of_a_result_that_cannot_be_moved) {
  test::run_on_a_worker_here(joins_what_breaks());
}

}  // namespace
}  // namespace corering
