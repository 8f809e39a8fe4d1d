/// stepping_test.cpp — moments that last an instant, held still: the workers are stepped turn by turn.
#include <atomic>
#include <optional>
#include <stop_token>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::nothing;
using namespace std::chrono_literals;

/// Makes turns until the worker has ended. Returns false if that does not come soon.
bool ends_soon(Worker& worker) {
  for (int i = 0; i < 200; ++i) {
    if (!worker.turn(1ms).value()) return true;
  }
  return false;
}

// ---- a poster that is slow ----

/// A kernel in which a poster stops between finding the worker asleep and writing the worker's eventfd.
struct HeldWake : test::FaultyKernel {
  std::atomic<bool> owed = false, may_be_written = false;
  std::atomic<bool> closed_too_early = false;

  int wake(int eventfd) noexcept override {
    owed = true;
    owed.notify_all();
    may_be_written.wait(false);
    const int written = test::FaultyKernel::wake(eventfd);
    owed = false;
    return written;
  }
  void close(int fd) noexcept override {
    closed_too_early = closed_too_early || (owed && !may_be_written);
    test::FaultyKernel::close(fd);
  }
  void release() noexcept {
    may_be_written = true;
    may_be_written.notify_all();
  }
  void nap(Duration how_long) noexcept override {
    if (owed) release();
    test::FaultyKernel::nap(how_long);
  }
};

TEST(Stop, waits_for_a_poster_that_is_about_to_write) {
  HeldWake kernel;
  Worker worker({.spin_before_sleep = Duration::zero(), .kernel = &kernel});
  std::jthread poster;
  enum class Stage : std::uint8_t { opens, sleeps, works, ends } stage = Stage::opens;
  bool gave_up_its_wake_read = false;
  kernel.on_enter = [&](unsigned to_submit) {
    if (stage == Stage::sleeps) {  // here it has the mark that it sleeps, and somebody takes that mark
      stage = Stage::works;
      poster = std::jthread([&worker] { worker.spawn(nothing()).value().detach(); });
      kernel.owed.wait(false);
    } else if (stage == Stage::ends && !kernel.may_be_written) {
      gave_up_its_wake_read = to_submit > 0;  // instead of only waiting
      kernel.release();
    }
    return 0;
  };
  ASSERT_TRUE(worker.turn());
  stage = Stage::sleeps;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(worker.turn(1ms).value());
  ASSERT_TRUE(kernel.owed) << "the poster has not written yet";
  stage = Stage::ends;
  worker.request_stop();
  EXPECT_TRUE(ends_soon(worker));
  EXPECT_FALSE(gave_up_its_wake_read);
  EXPECT_FALSE(kernel.closed_too_early);
  kernel.release();
}

// ---- somebody who must come home ----

/// A coroutine of another library: it starts at once, and nobody waits for it.
struct Stranger {
  struct promise_type {
    Stranger get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};
Stranger joins(JoinHandle<void> task, Worker*& came_home_to) {
  co_await std::move(task);
  came_home_to = Worker::current();
}
Task<void> starts_a_stranger(JoinHandle<void> task, Worker*& came_home_to) {
  joins(std::move(task), came_home_to);
  co_return;
}

TEST(Stop, waits_for_a_coroutine_of_another_library_that_joins_a_task_elsewhere) {
  Worker* came_home_to = nullptr;
  Worker home, there;
  JoinHandle<void> task = there.spawn(nothing()).value();
  home.spawn(starts_a_stranger(std::move(task), came_home_to)).value().detach();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(home.turn().value());
  home.request_stop();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(home.turn().value()) << "the task has not ended";
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(there.turn().value());
  EXPECT_TRUE(ends_soon(home));
  EXPECT_EQ(came_home_to, &home);
}

// ---- a message that comes late ----

Task<void> is_cancelled_as_it_ends(std::optional<JoinHandle<void>>& own) {
  std::thread([&own] { own->request_cancel(); }).join();
  co_return;
}

TEST(SpawnedTask, has_not_ended_while_a_cancellation_is_under_way_to_it) {
  Worker worker;
  std::optional<JoinHandle<void>> task;
  task.emplace(worker.spawn(is_cancelled_as_it_ends(task)).value());
  ASSERT_TRUE(worker.turn());
  EXPECT_FALSE(task->done()) << "the cancellation is in the worker's queue";
  ASSERT_TRUE(worker.turn());
  EXPECT_TRUE(task->done());
}

Task<void> asks_for_the_stop(std::stop_source& stop) {
  std::thread([&stop] { stop.request_stop(); }).join();
  co_return;
}
Task<void> is_stopped_as_it_ends(std::stop_source& stop) {
  co_await with_stop_token(stop.get_token(), asks_for_the_stop(stop));
}
Task<void> joins_on_the_same_worker(std::stop_source& stop, bool& joined) {
  co_await spawn(is_stopped_as_it_ends(stop));
  joined = true;
}

TEST(SpawnedTask, is_joined_on_its_own_worker_when_the_message_to_it_has_come) {
  std::stop_source stop;
  bool joined = false;
  Worker worker;
  worker.spawn(joins_on_the_same_worker(stop, joined)).value().detach();
  ASSERT_TRUE(worker.turn());
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_FALSE(joined) << "the cancellation is in the worker's queue";
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(worker.turn());
  EXPECT_TRUE(joined);
}

// ---- a join that begins too late ----

Task<Result<void>> sleeps_long() { co_return co_await sleep_for(1h); }
Task<Result<void>> joins_after_its_cancellation() {
  const Result<void> slept = co_await sleep_for(1h);
  EXPECT_FALSE(slept);
  co_return co_await spawn(sleeps_long());
}

TEST(SpawnedTask, is_cancelled_by_a_join_that_begins_in_a_cancelled_scope) {
  Worker worker;
  JoinHandle<Result<void>> task = worker.spawn(joins_after_its_cancellation()).value();
  ASSERT_TRUE(worker.turn());
  task.request_cancel();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(worker.turn());
  ASSERT_TRUE(task.done()) << "it waits an hour for a task that nobody has cancelled";
  const Result<void> ended = sync_wait(std::move(task));
  ASSERT_FALSE(ended);
  EXPECT_TRUE(is_cancellation(ended.error()));
}

// ---- a kernel that is short of memory ----

Task<void> writes(int fd, char letter) {
  const Result<std::size_t> written =
      co_await async_write(fd, std::as_bytes(std::span(&letter, 1)), current_position);
  EXPECT_TRUE(written);
}
Task<void> writes_when_the_kernel_has_memory_again(int fd, char letter, bool& short_of_memory) {
  short_of_memory = false;
  co_await writes(fd, letter);
}
Task<void> write_more_than_the_queue_holds(int fd, bool& short_of_memory) {
  std::vector<JoinHandle<void>> writers;
  short_of_memory = true;
  for (const char letter : std::string("abcde")) writers.push_back(spawn(writes(fd, letter)));
  writers.push_back(spawn(writes_when_the_kernel_has_memory_again(fd, 'f', short_of_memory)));
  for (JoinHandle<void>& writer : writers) co_await std::move(writer);
}

/// A chain asks the kernel for room, gets it, and waits all the same, because others have waited longer.
Task<void> chains_when_the_kernel_has_memory_again(bool& short_of_memory) {
  short_of_memory = false;
  const auto chained = co_await chain(async_nop(), async_nop());
  EXPECT_TRUE(chained);
}
Task<void> let_a_chain_make_room(int fd, bool& short_of_memory) {
  std::vector<JoinHandle<void>> all;
  short_of_memory = true;
  for (const char letter : std::string("abcde")) all.push_back(spawn(writes(fd, letter)));
  all.push_back(spawn(chains_when_the_kernel_has_memory_again(short_of_memory)));
  all.push_back(spawn(writes(fd, 'f')));
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

class OperationsInOrder : public testing::TestWithParam<Task<void> (*)(int, bool&)> {};

TEST_P(OperationsInOrder, are_not_overtaken_while_they_wait_for_room_in_the_queue) {
  std::array<int, 2> ends{};
  // Writes to a socket are done when they are submitted. Older kernels would put off those to a pipe, and do
  // the last one first.
  ASSERT_EQ(test::sys::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const Fd from(ends[0]), into(ends[1]);
  bool short_of_memory = false;
  test::FaultyKernel kernel;
  kernel.on_enter = [&short_of_memory](unsigned) { return short_of_memory ? -EAGAIN : 0; };
  test::run_on_a_worker_here(GetParam()(into.get(), short_of_memory), {.sq_entries = 2, .kernel = &kernel});
  std::array<char, 16> written{};
  const ssize_t length = test::sys::read(from.get(), written.data(), written.size());
  EXPECT_EQ(std::string_view(written.data(), static_cast<std::size_t>(length)), "abcdef");
}

INSTANTIATE_TEST_SUITE_P(Of, OperationsInOrder,
                         testing::Values(&write_more_than_the_queue_holds, &let_a_chain_make_room));

}  // namespace
}  // namespace corering
