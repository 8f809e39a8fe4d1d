/// lateness_test.cpp — how late sleeps end, and who is told.
#include <algorithm>
#include <array>
#include <poll.h>
#include <regex>
#include <vector>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<void> sleeps(Duration time) { (void)co_await sleep_for(time); }
/// Where the clock stands: a duration is counted from the machine's time, and that goes on.
Task<void> sleeps_by(const Kernel& kernel, Duration time) { (void)co_await sleep_until(kernel.now() + time); }

/// When it is told so, its next wait takes 300 ms longer.
struct LateKernel : test::FaultyKernel {
  LateKernel() {
    stop_clock();
    on_enter = [this](unsigned) {
      if (std::exchange(next_is_late, false)) pass_time(300ms);
      return 0;
    };
  }
  bool next_is_late = false;
};

Task<void> sleeps_too_long(LateKernel& kernel) {
  kernel.next_is_late = true;
  co_await sleeps_by(kernel, 10ms);
}

WorkerStats stats_with_a_late_wait() {
  LateKernel kernel;
  Worker worker({.kernel = &kernel});
  if (const Result<void> started = worker.start(); !started) throw std::system_error(started.error());
  sync_wait(worker.spawn(sleeps_too_long(kernel)).value());
  return worker.stats();
}

TEST(Lateness, of_a_wait_that_the_kernel_ends_late_is_counted) {
  const WorkerStats stats = stats_with_a_late_wait();
  EXPECT_EQ(stats.late_waits, 1U);
  EXPECT_EQ(stats.lateness.count(), 1U);
  EXPECT_GE(stats.lateness.quantile(1), 285ms) << "ten of them had been waited for";
  EXPECT_LE(stats.lateness.quantile(1), 295ms) << "it knows them to 2 %";
}

TEST(Lateness, of_a_wait_that_something_else_ends_is_none) {
  test::RunningWorker running;
  JoinHandle<void> task = running.worker.spawn(sleeps(1h)).value();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(sync_wait(async_nop().on(running.worker)));
  task.request_cancel();
  sync_wait(std::move(task));
  const WorkerStats stats = running.worker.stats();
  EXPECT_EQ(stats.late_waits, 0U);
  EXPECT_EQ(stats.lateness.count(), 0U);
}

Task<void> is_busy_while_another_sleeps(test::FaultyKernel& kernel) {
  JoinHandle<void> other = spawn(sleeps_by(kernel, 10ms));
  (void)co_await async_nop();
  kernel.pass_time(1s);  // as if it had computed for a second
  co_await std::move(other);
}

TEST(Lateness, of_a_timer_whose_worker_was_busy_is_not_the_kernels) {
  test::FaultyKernel kernel;
  kernel.stop_clock();
  Worker worker({.kernel = &kernel});
  ASSERT_TRUE(worker.start());
  sync_wait(worker.spawn(is_busy_while_another_sleeps(kernel)).value());
  EXPECT_EQ(worker.stats().late_waits, 0U);
}

// What the caller of turn() does between two turns is no wait of the worker.
TEST(Lateness, of_a_worker_that_nobody_turns_is_none) {
  test::FaultyKernel kernel;
  kernel.stop_clock();
  Worker worker({.kernel = &kernel});
  const JoinHandle<void> task = worker.spawn(sleeps_by(kernel, 1min)).value();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(worker.turn(1ms));
  kernel.pass_time(1h);
  ASSERT_TRUE(worker.turn(1ms));
  EXPECT_EQ(worker.stats().lateness.count(), 0U);
  EXPECT_EQ(worker.stats().late_waits, 0U);
  worker.request_stop();
  while (worker.turn(1ms).value()) {
  }
}

TEST(Lateness, of_a_guest_lasts_until_its_turn) {
  test::FaultyKernel kernel;
  kernel.stop_clock();
  Worker worker({.kernel = &kernel});
  pollfd watched{.fd = worker.descriptor().value(), .events = POLLIN, .revents = 0};
  const JoinHandle<void> task = worker.spawn(sleeps_by(kernel, 1h)).value();
  while (::poll(&watched, 1, 0) == 1) ASSERT_TRUE(worker.turn());  // until it sleeps
  kernel.pass_time(1h + 150ms);                                    // the other loop lets it wait
  ASSERT_TRUE(worker.turn());
  EXPECT_EQ(worker.stats().lateness.count(), 1U);
  EXPECT_EQ(worker.stats().late_waits, 1U);
  worker.request_stop();
  while (worker.turn(1ms).value()) {
  }
}

TEST(Lateness, adds_up_and_is_written_for_prometheus) {
  WorkerStats sum = stats_with_a_late_wait();
  sum += WorkerStats(sum);
  EXPECT_EQ(sum.late_waits, 2U);
  EXPECT_EQ(sum.lateness.count(), 2U);
  const std::string text = write_prometheus(std::span(&sum, 1));
  EXPECT_NE(text.find("corering_late_waits_total{worker=\"corering\""), std::string::npos) << text;
  EXPECT_TRUE(std::regex_search(
      text,
      std::regex(
          R"(corering_wait_lateness_seconds\{worker="corering",kernel="io_uring",quantile="1"\} [0-9]*\.[23])")))
      << text;
}

// ---- beside a poll ----

struct Lateness {
  std::vector<Duration> each;
  Duration median() {
    std::ranges::sort(each);
    return each.at(each.size() / 2);
  }
};

Task<void> waits_again_and_again(int times, Lateness& lateness) {
  for (int i = 0; i < times; ++i) {
    const TimePoint due = Clock::now() + 10ms;
    (void)co_await sleep_until(due);
    lateness.each.push_back(Clock::now() - due);
  }
}
Task<void> polls(int fd) { (void)co_await async_poll(fd, POLLIN); }
Task<void> waits_beside_a_poll(int fd, Lateness& lateness) {
  JoinHandle<void> pending = spawn(polls(fd));
  co_await waits_again_and_again(30, lateness);
  pending.request_cancel();
  co_await std::move(pending);
}

// Linux 7.0 made each wait beside a pending poll a quarter of a second late, or more. A busy machine makes
// waits late, too, but not most of them by that much, and only beside a poll.
TEST(Lateness, beside_a_pending_poll_is_as_it_is_without) {
  const test::SocketPair pair;
  Lateness alone, beside;
  test::RunningWorker running;
  sync_wait(running.worker.spawn(waits_again_and_again(30, alone)).value());
  sync_wait(running.worker.spawn(waits_beside_a_poll(pair.ours.get(), beside)).value());
  EXPECT_LE(beside.median(), 10 * alone.median() + 100ms);
  const WorkerStats stats = running.worker.stats();
  EXPECT_GE(stats.lateness.count(), 1U);
  EXPECT_LE(stats.lateness.count(), 60U) << "a sleep that a post ended is none of them";
}

}  // namespace
}  // namespace corering
