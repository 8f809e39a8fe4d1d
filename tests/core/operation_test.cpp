/// operation_test.cpp — operations on a named worker, and what ends the program.
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::RunningWorker;

TEST(OperationOn, hops_by_itself_from_a_plain_thread) {
  RunningWorker running;
  EXPECT_TRUE(sync_wait(async_nop().on(running.worker)));
}

Task<Worker*> nop_elsewhere(Worker& there) {
  EXPECT_TRUE(co_await async_nop().on(there));
  co_return Worker::current();
}

TEST(OperationOn, brings_a_workers_coroutine_back_home) {
  RunningWorker home, there;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(sync_wait(*home.worker.spawn(nop_elsewhere(there.worker))), &home.worker);
  }
}

TEST(OperationOn, leaves_a_plain_threads_coroutine_on_the_worker) {
  RunningWorker there;
  EXPECT_EQ(sync_wait(nop_elsewhere(there.worker)), &there.worker);
}

/// An awaitable for a worker that throws there.
struct Throws {
  Throws() noexcept = default;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  Result<void> await_resume() const { throw std::runtime_error("over there"); }
};
Task<Result<void>> throws_under_a_deadline(Worker& there) {
  co_return co_await with_timeout(std::chrono::hours(1), Throws()).on(there);
}
Task<void> comes_home_with_an_exception(Worker& there, std::string& what) {
  Worker* const home = Worker::current();
  for (Worker* const where : {&there, home}) {
    try {
      (void)co_await throws_under_a_deadline(*where);
    } catch (const std::runtime_error& error) {
      what += error.what();
    }
    EXPECT_EQ(Worker::current(), home);
  }
}

TEST(OperationOn, comes_home_with_an_exception) {
  RunningWorker there;
  std::string what;
  test::run_on_a_worker_here(comes_home_with_an_exception(there.worker, what));
  EXPECT_EQ(what, "over thereover there");
}

Task<Result<void>> nop_on(Worker& there) { co_return co_await async_nop().on(there); }

TEST(OperationOn, a_stopped_worker_is_told_at_home) {
  RunningWorker home;
  Worker stopped;
  ASSERT_TRUE(stopped.start());
  stopped.request_stop();
  stopped.join();
  EXPECT_EQ(sync_wait(*home.worker.spawn(nop_on(stopped))).error(), std::errc::operation_canceled);
}

Task<Worker*> nop_elsewhere_if_allowed(Worker& there) {
  const Result<void> done = co_await async_nop().on(there);
  if (!done) {
    EXPECT_EQ(done.error(), std::errc::operation_canceled);
  }
  co_return Worker::current();
}

// The home worker is asked to stop while its coroutine is away. It calls the coroutine back and waits for it.
TEST(OperationOn, a_stopping_home_waits_for_who_is_away) {
  for (int round = 0; round < 100; ++round) {
    RunningWorker there;
    Worker home;
    ASSERT_TRUE(home.start());
    auto away = home.spawn(nop_elsewhere_if_allowed(there.worker));
    ASSERT_TRUE(away);
    home.request_stop();
    EXPECT_EQ(sync_wait(std::move(*away)), &home);
    home.join();
  }
}

Task<void> nop_without_worker() { (void)co_await async_nop(); }

TEST(OperationDeathTest, without_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(sync_wait(nop_without_worker()), "\\.on\\(worker\\).*operation_test\\.cpp");
}

Task<void> sleep_without_worker() { (void)co_await sleep_for(Duration(1)); }

TEST(OperationDeathTest, sleeping_without_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(sync_wait(sleep_without_worker()), "SwitchToWorker.*operation_test\\.cpp");
}

/// A coroutine whose frame a test destroys too early.
struct Loose {
  struct promise_type : PromiseBase {
    Loose get_return_object() noexcept {
      return Loose(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  explicit Loose(std::coroutine_handle<> handle) noexcept : handle(handle) {}
  std::coroutine_handle<> handle;
};

Loose receives_for_ever(int fd) {
  std::array<std::byte, 1> buffer;
  (void)co_await async_recv(fd, buffer);
}

TEST(OperationDeathTest, destroying_a_frame_in_flight_names_the_operation) {
  EXPECT_DEATH(
      {
        test::SocketPair pair;
        Worker worker;
        (void)worker.run([&](Worker&) { receives_for_ever(pair.ours.get()).handle.destroy(); });
      },
      "destroyed while its recv \\(fd [0-9]+\\) was in flight, awaited at .*operation_test.cpp");
}

Loose sleeps_for_ever() { (void)co_await sleep_until(TimePoint::max()); }

TEST(OperationDeathTest, destroying_a_frame_that_sleeps_is_noticed) {
  EXPECT_DEATH(
      {
        Worker worker;
        (void)worker.run([](Worker&) { sleeps_for_ever().handle.destroy(); });
      },
      "destroyed while it slept");
}

Loose hops_for_ever(Worker& worker) { (void)co_await SwitchToWorker(worker); }

TEST(OperationDeathTest, destroying_a_frame_that_hops_is_noticed) {
  EXPECT_DEATH(
      {
        Worker never;
        hops_for_ever(never).handle.destroy();
      },
      "destroyed while it hopped");
}

TEST(OperationOn, closes_and_sleeps_over_there_too) {
  RunningWorker there;
  const int number = ::dup(0);
  EXPECT_TRUE(sync_wait(async_close(Fd(number)).on(there.worker)));
  EXPECT_LT(::fcntl(number, F_GETFD), 0);
  const TimePoint begin = os::now();
  EXPECT_TRUE(sync_wait(sleep_for(std::chrono::milliseconds(3)).on(there.worker)));
  EXPECT_GE(os::now() - begin, std::chrono::milliseconds(3));
}

TEST(OperationOn, a_refused_close_closes_all_the_same) {
  Worker stopped;
  ASSERT_TRUE(stopped.start());
  stopped.request_stop();
  stopped.join();
  const int number = ::dup(0);
  EXPECT_EQ(sync_wait(async_close(Fd(number)).on(stopped)).error(), std::errc::operation_canceled);
  EXPECT_LT(::fcntl(number, F_GETFD), 0);
}

}  // namespace
}  // namespace corering
