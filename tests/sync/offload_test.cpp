/// offload_test.cpp — functions on a pool of threads.
#include <atomic>
#include <sched.h>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::RunningWorker;

Task<void> offloads(BlockingPool& pool) {
  Worker* const home = Worker::current();
  const std::thread::id here = std::this_thread::get_id();
  const auto where = [] { return std::this_thread::get_id(); };
  const Result<std::thread::id> elsewhere = co_await offload(pool, where);
  EXPECT_TRUE(elsewhere && *elsewhere != here);
  EXPECT_EQ(Worker::current(), home);
  EXPECT_EQ(std::this_thread::get_id(), here);
  bool ran = false;
  EXPECT_TRUE(co_await offload(pool, [&ran] { ran = true; }));
  EXPECT_TRUE(ran);
  const auto fails = []() -> Result<int> { return failure(EPERM); };
  const Result<int> failed = co_await offload(pool, fails);
  EXPECT_EQ(failed.error(), std::errc::operation_not_permitted);
  const auto throws = []() -> int { throw std::runtime_error("from the pool"); };
  std::string out;
  try {
    (void)co_await offload(pool, throws);
  } catch (const std::runtime_error& error) {
    out = error.what();
  }
  EXPECT_EQ(out, "from the pool");
}

TEST(Offload, runs_elsewhere_and_brings_result_or_exception_home) {
  BlockingPool pool;
  test::run_on_a_worker_here(offloads(pool));
}

int forty_two() { return 42; }
Task<void> offloads_a_function(BlockingPool& pool) {
  const Result<int> got = co_await offload(pool, forty_two);
  EXPECT_EQ(got.value(), 42);
}

TEST(Offload, takes_a_plain_function) {
  BlockingPool pool;
  test::run_on_a_worker_here(offloads_a_function(pool));
}

Task<void> offloads_many(BlockingPool& pool, std::atomic<int>& running, std::atomic<int>& most) {
  std::vector<Task<Result<void>>> many;
  const auto one = [](BlockingPool& on, std::atomic<int>& now, std::atomic<int>& top) -> Task<Result<void>> {
    const auto work = [&now, &top] {
      const int neighbours = ++now;
      int before = top;
      while (before < neighbours && !top.compare_exchange_weak(before, neighbours)) {
      }
      std::this_thread::yield();
      --now;
    };
    co_return co_await offload(on, work);
  };
  for (int i = 0; i < 1'000; ++i) many.push_back(one(pool, running, most));
  const std::vector<Result<void>> results = co_await when_all(std::move(many));
  for (const Result<void>& result : results) EXPECT_TRUE(result);
}

TEST(Offload, is_bounded) {
  BlockingPool pool({.max_threads = 3});
  std::atomic<int> running = 0, most = 0;
  RunningWorker other;
  auto there = other.worker.spawn(offloads_many(pool, running, most));
  test::run_on_a_worker_here(offloads_many(pool, running, most));
  sync_wait(std::move(*there));
  EXPECT_LE(most, 3);
  EXPECT_LE(pool.threads(), 3U);
}

TEST(Offload, of_a_pinned_worker_may_use_every_processor) {
  BlockingPool pool;
  RunningWorker pinned({.cpu = 0});
  const auto counts = [](BlockingPool& on) -> Task<Result<int>> {
    const auto usable = [] {
      cpu_set_t set{};
      sched_getaffinity(0, sizeof set, &set);
      return CPU_COUNT(&set);
    };
    co_return co_await offload(on, usable);
  };
  cpu_set_t ours{};
  sched_getaffinity(0, sizeof ours, &ours);
  EXPECT_EQ(sync_wait(*pinned.worker.spawn(counts(pool))), CPU_COUNT(&ours));
}

// The only thread is busy. The first function runs, and the coroutine waits for it. The second function has
// not begun, and is cancelled.
Task<void> offload_is_cancelled(BlockingPool& pool, SharedEvent& begun, SharedEvent& gate) {
  const auto hold = [&begun, &gate] {
    begun.set();
    gate.wait_blocking();
    return 7;
  };
  const auto never = [] { return 8; };
  const auto run = [](BlockingPool& on, auto function, Result<int>& into) -> Task<void> {
    into = co_await offload(on, function);
  };
  Result<int> held = 0, waiting = 0;
  JoinHandle<void> first = spawn(run(pool, hold, held));
  EXPECT_TRUE(co_await begun.wait());
  JoinHandle<void> second = spawn(run(pool, never, waiting));
  (void)co_await async_nop();
  first.request_cancel();
  second.request_cancel();
  co_await std::move(second);
  EXPECT_EQ(waiting.error(), std::errc::operation_canceled);
  EXPECT_FALSE(first.done()) << "what runs is waited for";
  gate.set();
  co_await std::move(first);
  EXPECT_EQ(held, 7) << "and its result counts";
}

TEST(Offload, in_line_is_cancelled_and_running_is_waited_for) {
  BlockingPool pool({.max_threads = 1});
  SharedEvent begun, gate;
  test::run_on_a_worker_here(offload_is_cancelled(pool, begun, gate));
}

}  // namespace
}  // namespace corering
