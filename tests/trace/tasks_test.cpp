/// tasks_test.cpp — names of tasks, who spawned them, and waits for their ends, as recordings show them.
#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "iotrace/views.hpp"
#include "iotrace/why.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using iotrace::Operation;
using iotrace::TaskLife;
using iotrace::Trace;

Trace recorded(Task<void> task) {
  EXPECT_TRUE(trace::start(std::size_t{1} << 14));
  EXPECT_TRUE(run(std::move(task)));
  trace::stop();
  return iotrace::make_trace(trace::recording());
}

std::vector<const Operation*> operations(const Trace& trace, std::string_view kind) {
  std::vector<const Operation*> found;
  for (const Operation& operation : trace.operations) {
    if (name_of_operation(operation) == kind) found.push_back(&operation);
  }
  return found;
}

/// Those that are awaited in this file.
std::vector<const Operation*> joins(const Trace& trace) {
  std::vector<const Operation*> found = operations(trace, "join");
  std::erase_if(found, [&trace](const Operation* join) {
    return trace.name_of_place(join->place).find("tasks_test.cpp") == std::string::npos;
  });
  return found;
}

/// The given names of a task and of those that spawned it, as far as they have one.
std::vector<std::string> line_of_names(const Trace& trace, std::uint64_t task) {
  std::vector<std::string> names;
  for (const TaskLife* life = trace.task(task); life != nullptr; life = trace.task(task)) {
    if (const std::string name = trace.given_name(task); !name.empty()) names.push_back(name);
    task = life->parent;
  }
  return names;
}
using Names = std::vector<std::string>;

Task<void> one_nop() { (void)co_await async_nop(); }

Task<void> middle() {
  (void)co_await async_nop();  // what has waited is known to run
  auto first = spawn(one_nop(), "first");
  auto second = spawn(one_nop(), "second");
  co_await std::move(first);
  co_await std::move(second);
}

Task<void> spawns_by_name() { co_await spawn(middle(), "middle"); }

TEST(TasksInTrace, have_the_names_that_they_were_given_and_know_who_spawned_them) {
  const Trace trace = recorded(spawns_by_name());
  const auto nops = operations(trace, "nop");
  ASSERT_EQ(nops.size(), 3U);
  EXPECT_EQ(line_of_names(trace, nops[1]->task), (Names{"first", "middle"}));
  EXPECT_EQ(line_of_names(trace, nops[2]->task), (Names{"second", "middle"}));
  EXPECT_NE(iotrace::line_of(trace, *nops[1], 0).find("first"), std::string::npos);
  const std::string descent = iotrace::descent_of(trace, nops[1]->task);
  EXPECT_NE(descent.find("was spawned at first (tasks_test.cpp:"), std::string::npos) << descent;
  EXPECT_NE(descent.find(": middle (tasks_test.cpp:"), std::string::npos) << descent;
}

Task<void> group_by_name() {
  (void)co_await with_group([](TaskGroup& group) -> Task<void> {
    group.spawn(one_nop(), "member");
    group.spawn(one_nop());
    co_return;
  });
}

Task<void> spawns_a_group() { co_await spawn(group_by_name(), "owner"); }

TEST(TasksInTrace, of_a_group_are_members_of_the_task_that_awaits_it) {
  const Trace trace = recorded(spawns_a_group());
  const auto nops = operations(trace, "nop");
  ASSERT_EQ(nops.size(), 2U);
  EXPECT_EQ(line_of_names(trace, nops[0]->task), (Names{"member", "owner"}));
  EXPECT_EQ(line_of_names(trace, nops[1]->task), (Names{"owner"})) << "the other has no name of its own";
}

TEST(TasksInTrace, keep_their_name_on_another_worker) {
  test::RunningWorker other({.name = "other"});
  const Trace trace = recorded(
      [](Worker& there) -> Task<void> { co_await there.spawn(one_nop(), "remote").value(); }(other.worker));
  const auto nops = operations(trace, "nop");
  ASSERT_EQ(nops.size(), 1U);
  EXPECT_EQ(line_of_names(trace, nops[0]->task), (Names{"remote"}));
}

TEST(TasksInTrace, at_the_same_address_are_different_ones) {
  const Trace trace = recorded([]() -> Task<void> {
    for (int i = 0; i < 3; ++i) co_await spawn(one_nop(), "again");
  }());
  const auto nops = operations(trace, "nop");
  ASSERT_EQ(nops.size(), 3U);
  EXPECT_NE(nops[0]->task, nops[1]->task);
  EXPECT_NE(nops[1]->task, nops[2]->task);
}

TEST(TasksInTrace, wait_for_the_end_of_their_group) {
  const Trace trace = recorded(group_by_name());
  ASSERT_EQ(joins(trace).size(), 1U);
  EXPECT_TRUE(joins(trace).front()->has_ended);
  EXPECT_EQ(joins(trace).front()->result, 0);
}

// ---- the end of one task ----

Task<void> waits_for_a_sleeper() {
  auto sleeper =
      spawn([]() -> Task<void> { (void)co_await sleep_for(std::chrono::milliseconds(3)); }(), "sleeper");
  co_await std::move(sleeper);
}

std::string name_of_joined(const Trace& trace, const Operation& join) {
  return join.joined != 0 ? trace.given_name(join.joined) : "nothing";
}

TEST(TasksInTrace, say_for_whose_end_they_wait) {
  const Trace trace = recorded([]() -> Task<void> { co_await spawn(waits_for_a_sleeper(), "outer"); }());
  ASSERT_EQ(joins(trace).size(), 2U);
  const Operation& outer = *joins(trace)[0];
  const Operation& inner = *joins(trace)[1];
  EXPECT_EQ(name_of_joined(trace, outer), "outer");
  EXPECT_EQ(name_of_joined(trace, inner), "sleeper");
  EXPECT_EQ(trace.given_name(inner.task), "outer") << "who waits";
  EXPECT_TRUE(inner.has_ended);
  EXPECT_GE(inner.end() - inner.begin(), 3'000'000);
  EXPECT_NE(iotrace::line_of(trace, inner, 0).find("join(task 4, sleeper (tasks_test.cpp:"),
            std::string::npos)
      << iotrace::line_of(trace, inner, 0);
  const std::string why = explain(trace, inner).text;
  EXPECT_NE(why.find(" for the end of task 4, sleeper (tasks_test.cpp:"), std::string::npos) << why;
  EXPECT_NE(why.find(" of it in sleep "), std::string::npos) << why;
}

TEST(TasksInTrace, do_not_wait_for_a_task_that_has_ended) {
  const Trace trace = recorded([]() -> Task<void> {
    auto task = spawn(one_nop(), "short");
    while (!task.done()) (void)co_await async_nop();
    co_await std::move(task);
  }());
  EXPECT_TRUE(joins(trace).empty());
}

Task<void> waits_for(SharedEvent& event) { (void)co_await event.wait(); }

Task<void> sets(SharedEvent& event) {
  event.set();
  co_return;
}

// Only when this one waits can the other worker's task end.
Task<void> joins_a_remote_task(Worker& there, SharedEvent& event) {
  auto remote = there.spawn(waits_for(event), "remote").value();
  auto setter = spawn(sets(event));
  co_await std::move(remote);
  co_await std::move(setter);
}

TEST(TasksInTrace, wait_for_a_task_of_another_worker) {
  test::RunningWorker other({.name = "other"});
  SharedEvent event;
  const Trace trace = recorded(joins_a_remote_task(other.worker, event));
  ASSERT_EQ(joins(trace).size(), 1U);
  EXPECT_EQ(name_of_joined(trace, *joins(trace)[0]), "remote");
}

// ---- what was slow ----

Task<void> locks_for(Mutex& mutex, Duration how_long) {
  const auto guard = co_await mutex.lock();
  EXPECT_TRUE(guard);
  if (how_long > Duration::zero()) (void)co_await sleep_for(how_long);
}

Task<void> lock_again_and_again() {
  Mutex mutex;
  auto holder = spawn(locks_for(mutex, std::chrono::milliseconds(30)));
  co_await spawn(locks_for(mutex, Duration::zero()));
  co_await std::move(holder);
  for (int i = 0; i < 3; ++i) co_await locks_for(mutex, Duration::zero());
}

TEST(TasksInTrace, show_the_slow_wait_as_the_captured_one) {
  ASSERT_TRUE(trace::start({.capture = {.slower_than = std::chrono::milliseconds(20),
                                        .at_most_every = std::chrono::nanoseconds(0)}}));
  EXPECT_TRUE(run(lock_again_and_again()));
  trace::stop();
  const Trace trace = iotrace::make_trace(trace::recording());
  std::vector<const Operation*> captured = operations(trace, "mutex");
  std::erase_if(captured, [](const Operation* wait) { return !wait->was_kept; });
  ASSERT_EQ(captured.size(), 1U);
  EXPECT_GE(captured[0]->end() - captured[0]->begin(), 20'000'000);
  EXPECT_EQ(why_captured(trace, *captured[0]), "It was captured, because it was slow.\n");
}

}  // namespace
}  // namespace corering
