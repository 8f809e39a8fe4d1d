/// switch_to_worker_test.cpp — a coroutine moves to a worker; coroutines of other libraries may, too.
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::RunningWorker;

Task<Worker*> hop_to(Worker& worker) {
  EXPECT_TRUE(co_await SwitchToWorker(worker));
  co_return Worker::current();
}

TEST(SwitchToWorker, goes_on_on_the_worker) {
  RunningWorker running;
  EXPECT_EQ(sync_wait(hop_to(running.worker)), &running.worker);
}

Task<int> tour(Worker& first, Worker& second) {
  int right = 0;
  for (int i = 0; i < 1000; ++i) {
    Worker& next = i % 2 == 0 ? first : second;
    const Result<void> hopped = co_await SwitchToWorker(next);
    if (hopped && Worker::current() == &next) ++right;
  }
  co_return right;
}

// If the compiler cached the address of a thread_local, reading the current worker right after a hop would be
// wrong.
TEST(SwitchToWorker, always_knows_where_it_is) {
  RunningWorker first, second;
  EXPECT_EQ(sync_wait(tour(first.worker, second.worker)), 1000);
}

Task<int> tour_with_operations(Worker& first, Worker& second) {
  int right = 0;
  for (int i = 0; i < 1000; ++i) {
    Worker& next = i % 2 == 0 ? first : second;
    const Result<void> hopped = co_await SwitchToWorker(next);
    const Result<void> done = co_await async_nop();
    if (hopped && done && Worker::current() == &next) ++right;
  }
  co_return right;
}

// A co_await of an operation finds the worker's ring without a call, in the coroutine's own code.
TEST(SwitchToWorker, what_is_awaited_then_begins_over_there) {
  RunningWorker first, second;
  EXPECT_EQ(sync_wait(tour_with_operations(first.worker, second.worker)), 1000);
}

Task<bool> hop_to_where_we_are(Worker& worker) {
  EXPECT_TRUE(co_await SwitchToWorker(worker));
  SwitchToWorker again(worker);
  co_return again.await_ready();
}

TEST(SwitchToWorker, does_not_suspend_when_already_there) {
  RunningWorker running;
  EXPECT_TRUE(sync_wait(hop_to_where_we_are(running.worker)));
}

Task<void> hop_a_lot(Worker& worker, int& hops) {
  for (int i = 0; i < 1'000'000; ++i) {
    const Result<void> hopped = co_await SwitchToWorker(worker);
    if (hopped) ++hops;
  }
}

TEST(SwitchToWorker, a_million_times_to_itself_does_not_grow_the_stack) {
  int hops = 0;
  RunningWorker running;
  sync_wait(*running.worker.spawn(hop_a_lot(running.worker, hops)));
  EXPECT_EQ(hops, 1'000'000);
}

/// A coroutine of another library.
struct Foreign {
  struct promise_type {
    Foreign get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};
Foreign awaits_ours(int fd, Worker& there, std::vector<std::error_code>& ends) {
  std::array<std::byte, 1> buffer;
  const Result<std::size_t> here = co_await async_recv(fd, buffer);
  if (!here) ends.push_back(here.error());
  const Result<std::size_t> abroad = co_await async_recv(fd, buffer).on(there);
  if (!abroad) ends.push_back(abroad.error());
  const Result<void> slept = co_await sleep_for(std::chrono::hours(1));
  if (!slept) ends.push_back(slept.error());
}

TEST(ForeignCoroutine, awaits_operations_and_is_cancelled_when_its_worker_stops) {
  test::SocketPair pair;
  std::vector<std::error_code> ends;
  {
    RunningWorker there;
    there.worker.request_stop();
    Worker worker;
    ASSERT_TRUE(worker.start([&](Worker&) { awaits_ours(pair.ours.get(), there.worker, ends); }));
  }
  EXPECT_EQ(ends, std::vector<std::error_code>(3, std::error_code(ECANCELED, std::system_category())));
}
Foreign receives_on(int fd, Worker& there, std::error_code& ended) {
  std::array<std::byte, 1> buffer;
  const Result<std::size_t> got = co_await async_recv(fd, buffer).on(there);
  if (!got) ended = got.error();
}

TEST(ForeignCoroutine, is_sent_home_by_a_worker_that_stops) {
  test::SocketPair pair;
  std::error_code ended;
  RunningWorker there;
  {
    Worker home;
    ASSERT_TRUE(home.start([&](Worker&) { receives_on(pair.ours.get(), there.worker, ended); }));
    there.worker.request_stop();
    there.worker.join();
  }
  EXPECT_EQ(ended, std::errc::operation_canceled);
}
Foreign opens_a_group() {
  (void)co_await with_group([](TaskGroup&) -> Task<void> { co_return; });
}

TEST(ForeignCoroutineDeathTest, that_opens_a_scope_ends_the_program_with_advice) {
  EXPECT_DEATH(
      {
        Worker worker;
        (void)worker.run([&](Worker&) { opens_a_group(); });
      },
      "start a task of this library with spawn");
}

/// Resumes the coroutine on a new thread.
struct OnAnotherThread {
  OnAnotherThread() noexcept = default;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) const {
    std::thread([coroutine] { coroutine.resume(); }).detach();
  }
  void await_resume() const noexcept {}
};
Task<void> is_taken_away(Worker& home) {
  co_await OnAnotherThread();
  (void)co_await SwitchToWorker(home);
}

TEST(SwitchToWorkerDeathTest, a_task_that_somebody_resumed_elsewhere_ends_the_program_with_advice) {
  EXPECT_DEATH(
      {
        RunningWorker home;
        sync_wait(*home.worker.spawn(is_taken_away(home.worker)));
      },
      "wait for other threads with SharedEvent");
}

}  // namespace
}  // namespace corering
