/// mailbox_test.cpp — posts in every phase of a worker, and how many wakes they take.
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/tasks.hpp"
#include "support/working.hpp"

namespace corering {
namespace {

using test::nothing;
using test::tells;
using test::which_thread;

using test::RunningWorker;
using namespace std::chrono_literals;

TEST(Posting, before_start_runs_once_started) {
  Worker worker;
  auto handle = worker.spawn(which_thread());
  ASSERT_TRUE(handle);
  ASSERT_TRUE(worker.start());
  EXPECT_NE(sync_wait(std::move(*handle)), std::this_thread::get_id());
}

TEST(Posting, after_the_end_is_refused_on_the_posters_thread) {
  Worker worker;
  ASSERT_TRUE(worker.start());
  worker.request_stop();
  worker.join();
  EXPECT_EQ(worker.spawn(nothing()).error(), std::errc::operation_canceled);
  Result<void> told;
  sync_wait(tells(told, worker));
  EXPECT_EQ(told.error(), std::errc::operation_canceled);
  std::array<std::byte, 1> buffer;
  EXPECT_EQ(sync_wait(async_read(0, buffer, 0).on(worker)).error(), std::errc::operation_canceled);
}

Task<bool> arrives(Worker& worker) {
  const Result<void> hopped = co_await SwitchToWorker(worker);
  if (!hopped) {
    EXPECT_EQ(hopped.error(), std::errc::operation_canceled);
  }
  co_return hopped.has_value();
}

// Every hop is answered, at whatever moment it comes. The posters go on until they are told that the worker
// stops.
TEST(Posting, while_the_worker_stops_runs_or_is_told) {
  constexpr int rounds = test::under_tsan ? 100 : 300;
  std::atomic<int> told = 0;
  for (int round = 0; round < rounds; ++round) {
    Worker worker;
    ASSERT_TRUE(worker.start());
    std::atomic<int> posting = 0;
    const auto post_until_told = [&] {
      ++posting;
      while (sync_wait(arrives(worker))) {
      }
      ++told;
    };
    std::thread first(post_until_told), second(post_until_told);
    while (posting < 2) std::this_thread::yield();
    worker.request_stop();
    worker.join();
    first.join();
    second.join();
  }
  EXPECT_EQ(told, 2 * rounds);
}

Task<void> block(OneShot& entered, OneShot& gate) {
  entered.set();
  gate.wait();
  co_return;
}

TEST(WakeUp, a_burst_of_posts_to_a_busy_worker_needs_none) {
  test::FaultyKernel kernel;
  RunningWorker running({.kernel = &kernel});
  OneShot entered, gate;
  auto blocked = running.worker.spawn(block(entered, gate));
  entered.wait();
  const int before = kernel.wakes;
  for (int i = 0; i < 1000; ++i) running.worker.spawn(nothing())->detach();
  EXPECT_EQ(kernel.wakes, before) << "it was awake all the time";
  gate.set();
  sync_wait(std::move(*blocked));
}

Task<void> block_after_io(int fd, OneShot& entered, OneShot& gate) {
  std::array<std::byte, 1> buffer;
  EXPECT_TRUE(co_await async_recv(fd, buffer));
  entered.set();
  gate.wait();
}

// The worker is woken by I/O, not by a post. It left a mark when it fell asleep, and this mark must not cost
// the next poster a write.
TEST(WakeUp, a_worker_that_woke_for_io_needs_none) {
  test::FaultyKernel kernel;
  test::SocketPair pair;
  RunningWorker running({.kernel = &kernel});
  OneShot entered, gate;
  kernel.wait_until_asleep();
  const int slept = kernel.sleeps;
  auto blocked = running.worker.spawn(block_after_io(pair.ours.get(), entered, gate));
  kernel.wait_for_sleep_after(slept);  // now it waits for the byte
  ASSERT_EQ(test::sys::write(pair.theirs.get(), "x", 1), 1);
  entered.wait();
  const int before = kernel.wakes;
  for (int i = 0; i < 100; ++i) running.worker.spawn(nothing())->detach();
  EXPECT_EQ(kernel.wakes, before);
  gate.set();
  sync_wait(std::move(*blocked));
}

TEST(WakeUp, a_sleeping_worker_gets_one_per_post) {
  test::FaultyKernel kernel;
  RunningWorker running({.kernel = &kernel});
  constexpr int posts = 50;
  for (int i = 1; i <= posts; ++i) {
    kernel.wait_until_asleep();
    sync_wait(*running.worker.spawn(nothing()));
    ASSERT_EQ(kernel.wakes, i);
  }
}

}  // namespace
}  // namespace corering
