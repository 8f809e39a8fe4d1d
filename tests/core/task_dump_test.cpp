/// task_dump_test.cpp — what a dump says about each task.
#include <algorithm>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::nothing;

using namespace std::chrono_literals;
using test::RunningWorker;

Task<void> inner_wait(int fd) {
  std::array<std::byte, 1> buffer;
  (void)co_await async_recv(fd, buffer);
}
Task<void> outer_wait(int fd) { co_await inner_wait(fd); }
Task<void> waits_in_many_ways(int fd) {
  Mutex mutex;
  const Result<Mutex::Guard> guard = co_await mutex.lock();
  const auto locks = [](Mutex& on) -> Task<void> { (void)co_await on.lock(); };
  (void)co_await with_group([&](TaskGroup& group) -> Task<void> {
    group.spawn(locks(mutex));
    (void)co_await when_all(outer_wait(fd), with_timeout(1h, sleep_until(TimePoint::max())));
  });
}

bool receives_for(const TaskDump& dump, Duration at_least) {
  return std::ranges::any_of(dump.tasks, [&](const TaskInfo& task) {
    return task.waits_for.starts_with("recv (fd ") && task.waiting >= at_least;
  });
}

TEST(Dump, shows_every_task_with_its_chain_of_awaits) {
  test::SocketPair pair;
  RunningWorker running({.name = "dumped"});
  const TimePoint begin = os::now();
  const unsigned spawned_at = __LINE__ + 1;
  auto handle = running.worker.spawn(waits_in_many_ways(pair.ours.get()));
  std::optional<TaskDump> dump;
  do {
    dump = running.worker.dump_tasks(1h);
    ASSERT_TRUE(dump);
  } while (!receives_for(*dump, 5ms));
  const Duration at_most = os::now() - begin;
  EXPECT_EQ(dump->worker, "dumped");
  EXPECT_EQ(dump->operations_in_flight, 1U);
  const std::string text = dump->to_string();
  ASSERT_EQ(dump->tasks.size(), 5U) << text;
  const auto task = [&](const std::string& waits_for) -> const TaskInfo& {
    for (const TaskInfo& one : dump->tasks) {
      if (one.waits_for.starts_with(waits_for)) return one;
    }
    ADD_FAILURE() << "nothing waits for " << waits_for << ":\n" << text;
    return dump->tasks.front();
  };
  EXPECT_EQ(task("1 tasks and the body of its group").spawned_at.line(), spawned_at);
  EXPECT_EQ(task("2 of 2 members").deadline_in, std::nullopt);
  EXPECT_EQ(task("a mutex").deadline_in, std::nullopt);
  EXPECT_GT(task("sleep without end").deadline_in.value(), 59min);
  const TaskInfo& receiving = task("recv (fd ");
  EXPECT_LE(receiving.waiting.value(), at_most + 1ms) << "two clocks do not go quite alike";
  ASSERT_GE(receiving.awaits.size(), 3U) << text;
  EXPECT_NE(std::string(receiving.awaits[0].function_name()).find("inner_wait"), std::string::npos) << text;
  EXPECT_NE(std::string(receiving.awaits[1].function_name()).find("outer_wait"), std::string::npos) << text;
  for (const char* const part : {"worker dumped: 5 tasks, 1 operations in flight", "inner_wait", "outer_wait",
                                 "waits_in_many_ways", "deadline in 3599.", "spawned at"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  }
  handle->request_cancel();
  sync_wait(std::move(*handle));
}

TEST(Dump, of_a_busy_worker_gives_up_and_of_an_ended_one_is_empty) {
  Worker worker;
  ASSERT_TRUE(worker.start());
  OneShot entered, gate;
  const auto blocks = [](OneShot& in, OneShot& out) -> Task<void> {
    in.set();
    out.wait();
    co_return;
  };
  auto blocked = worker.spawn(blocks(entered, gate));
  entered.wait();
  EXPECT_FALSE(worker.dump_tasks(5ms));
  gate.set();
  sync_wait(std::move(*blocked));
  EXPECT_TRUE(worker.dump_tasks(1h)->tasks.empty());
  worker.request_stop();
  worker.join();
  EXPECT_TRUE(worker.dump_tasks(1h)->tasks.empty());
}

TEST(Dump, and_its_worker_name_the_kernel) {
  for (Kernel* const kernel : {&default_kernel(), &emulated_kernel()}) {
    RunningWorker running({.name = "named", .kernel = kernel});
    const std::string name(kernel->name());
    EXPECT_EQ(running.worker.kernel_name(), name);
    const std::optional<TaskDump> dump = running.worker.dump_tasks(1h);
    ASSERT_TRUE(dump);
    EXPECT_EQ(dump->kernel, name);
    const std::string text = dump->to_string();
    EXPECT_TRUE(text.substr(0, text.find('\n')).ends_with("; kernel: " + name)) << text;
    running.worker.request_stop();
    running.worker.join();
    EXPECT_EQ(running.worker.dump_tasks(1h)->kernel, name) << "when it has ended, too";
  }
}

Task<void> hops_through(Worker& there) {
  for (;;) {
    const Result<void> slept = co_await sleep_for(Duration(1000)).on(there);
    if (!slept) co_return;
  }
}

TEST(Dump, may_be_asked_for_at_any_moment) {
  RunningWorker first, second;
  std::vector<JoinHandle<void>> hopping;
  for (int i = 0; i < 20; ++i) hopping.push_back(std::move(*first.worker.spawn(hops_through(second.worker))));
  std::size_t seen = 0;
  for (int i = 0; i < 300; ++i) {
    seen += first.worker.dump_tasks(1h)->tasks.size();
    seen += second.worker.dump_tasks(1h)->tasks.size();
  }
  EXPECT_GT(seen, 0U);
  for (auto& one : hopping) one.request_cancel();
  for (auto& one : hopping) sync_wait(std::move(one));
}

}  // namespace
}  // namespace corering
