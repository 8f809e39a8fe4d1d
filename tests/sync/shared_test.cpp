/// shared_test.cpp — what many threads share: events, channels, pools of blocking threads.
#include <atomic>
#include <numeric>
#include <sched.h>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::RunningWorker;

// ---- SharedEvent ----

Task<Result<void>> waits(SharedEvent& event) {
  Worker* const home = Worker::current();
  const Result<void> waited = co_await event.wait();
  EXPECT_EQ(Worker::current(), home);
  co_return waited;
}

TEST(SharedEvent, lets_workers_and_threads_go_on) {
  for (int round = 0; round < 100; ++round) {
    SharedEvent event;
    RunningWorker first, second;
    auto one = first.worker.spawn(waits(event));
    auto two = second.worker.spawn(waits(event));
    std::jthread blocked([&] { event.wait_blocking(); });
    std::jthread setter([&] { event.set(); });
    EXPECT_TRUE(sync_wait(std::move(*one)));
    EXPECT_TRUE(sync_wait(std::move(*two)));
    EXPECT_TRUE(event.is_set());
  }
}

TEST(SharedEvent, a_thread_waits_no_longer_than_it_wants) {
  SharedEvent event;
  const TimePoint deadline = Clock::now() + 5ms;
  EXPECT_FALSE(event.wait_blocking_until(deadline));
  EXPECT_GE(Clock::now(), deadline);
  event.set();
  EXPECT_TRUE(event.wait_blocking_until(deadline));
  event.reset();
  EXPECT_FALSE(event.is_set());
}

TEST(SharedEvent, a_waiting_coroutine_is_cancelled_by_its_handle_and_by_a_stop) {
  SharedEvent never;
  RunningWorker running;
  auto by_handle = running.worker.spawn(waits(never));
  by_handle->request_cancel();
  EXPECT_EQ(sync_wait(std::move(*by_handle)).error(), std::errc::operation_canceled);
  auto by_stop = running.worker.spawn(waits(never));
  running.worker.request_stop();
  EXPECT_EQ(sync_wait(std::move(*by_stop)).error(), std::errc::operation_canceled);
}

// Set by one thread, cancelled by another, at the same moment: it ends once, either way.
TEST(SharedEvent, a_set_races_a_cancellation) {
  RunningWorker running;
  int set_first = 0, cancelled_first = 0;
  constexpr int rounds = test::under_tsan ? 500 : 3'000;
  for (int round = 0; round < rounds; ++round) {
    SharedEvent event;
    auto waiting = running.worker.spawn(waits(event));
    std::jthread setter([&] { event.set(); });
    waiting->request_cancel();
    const Result<void> ended = sync_wait(std::move(*waiting));
    ++(ended ? set_first : cancelled_first);
    if (!ended) {
      EXPECT_EQ(ended.error(), std::errc::operation_canceled);
    }
  }
  EXPECT_EQ(set_first + cancelled_first, rounds);
}

// ---- SharedChannel ----

Task<void> sends(SharedChannel<int>& channel, int from, int count) {
  for (int i = 0; i < count; ++i) {
    const Result<void> sent = co_await channel.send(from + i);
    EXPECT_TRUE(sent);
  }
}
Task<std::vector<int>> receives_all(SharedChannel<int>& channel) {
  std::vector<int> got;
  for (;;) {
    const Result<int> value = co_await channel.receive();
    if (!value) {
      EXPECT_EQ(value.error(), std::errc::broken_pipe);
      co_return got;
    }
    got.push_back(*value);
  }
}

class SharedChannelOf : public testing::TestWithParam<std::size_t> {};
TEST_P(SharedChannelOf, passes_everything_once_between_workers_and_threads) {
  constexpr int each = test::under_tsan ? 1'000 : 20'000;
  SharedChannel<int> channel(GetParam());
  RunningWorker first, second;
  auto receiving_here = first.worker.spawn(receives_all(channel));
  auto receiving_there = second.worker.spawn(receives_all(channel));
  std::vector<int> received_by_thread;
  std::thread receiver([&] {
    while (const Result<int> value = channel.receive_blocking()) received_by_thread.push_back(*value);
  });
  auto sending_here = first.worker.spawn(sends(channel, 0, each));
  auto sending_there = second.worker.spawn(sends(channel, each, each));
  std::thread sender([&] {
    for (int i = 0; i < each; ++i) EXPECT_TRUE(channel.send_blocking(2 * each + i));
  });
  sync_wait(std::move(*sending_here));
  sync_wait(std::move(*sending_there));
  sender.join();
  channel.close();
  receiver.join();
  std::vector<int> all = received_by_thread;
  for (auto* const handle : {&*receiving_here, &*receiving_there}) {
    const std::vector<int> part = sync_wait(std::move(*handle));
    all.insert(all.end(), part.begin(), part.end());
  }
  std::ranges::sort(all);
  std::vector<int> expected(3 * each);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(all, expected);
}
INSTANTIATE_TEST_SUITE_P(Capacity, SharedChannelOf, testing::Values(0, 1, 100));

// Receivers that give up at any moment: nothing of what was sent is lost.
Task<void> receives_impatiently(SharedChannel<int>& channel, std::vector<int>& got) {
  for (int i = 0;; ++i) {
    const Result<int> value = co_await with_timeout(std::chrono::microseconds(i % 50), channel.receive());
    if (value) {
      got.push_back(*value);
    } else if (value.error() == std::errc::broken_pipe) {
      co_return;
    }
  }
}
TEST(SharedChannel, loses_nothing_to_receivers_that_give_up) {
  constexpr int count = test::under_tsan ? 2'000 : 20'000;
  SharedChannel<int> channel(2);
  RunningWorker first, second;
  std::vector<int> here, there;
  auto one = first.worker.spawn(receives_impatiently(channel, here));
  auto two = second.worker.spawn(receives_impatiently(channel, there));
  for (int i = 0; i < count; ++i) ASSERT_TRUE(channel.send_blocking(i));
  channel.close();
  sync_wait(std::move(*one));
  sync_wait(std::move(*two));
  here.insert(here.end(), there.begin(), there.end());
  std::ranges::sort(here);
  std::vector<int> expected(count);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(here, expected);
}

TEST(SharedChannel, can_be_tried_from_any_thread) {
  SharedChannel<std::unique_ptr<int>> channel(1);
  auto value = std::make_unique<int>(1);
  EXPECT_TRUE(channel.try_send(value));
  value = std::make_unique<int>(2);
  EXPECT_FALSE(channel.try_send(value));
  EXPECT_EQ(*value, 2);
  EXPECT_EQ(**channel.try_receive(), 1);
  EXPECT_FALSE(channel.try_receive());
  channel.close();
  EXPECT_FALSE(channel.try_send(value));
  EXPECT_EQ(channel.send_blocking(nullptr).error(), std::errc::broken_pipe);
  EXPECT_EQ(channel.receive_blocking().error(), std::errc::broken_pipe);
}

Task<void> blocks_on(SharedEvent& event) {
  event.wait_blocking();
  co_return;
}
TEST(SharedEventDeathTest, blocking_a_worker_ends_the_program_with_advice) {
  EXPECT_DEATH(
      {
        SharedEvent event;
        test::run_on_a_worker_here(blocks_on(event));
      },
      "co_await instead");
}

// ---- offload ----

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

// The only thread is held: the first function runs and is waited for, the second has not begun and is
// cancelled.
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

Task<void> looks_up(BlockingPool& pool) {
  const auto found = co_await lookup(pool, "localhost", "80");
  EXPECT_TRUE(found) << found.error().message();
  if (found) {
    EXPECT_FALSE(found->empty());
    for (const Address& address : *found) {
      EXPECT_TRUE(address.get()->sa_family == AF_INET || address.get()->sa_family == AF_INET6);
    }
  }
  const auto unknown = co_await lookup(pool, "no-such-name.invalid", "80");
  EXPECT_FALSE(unknown);
  if (!unknown) {
    EXPECT_EQ(unknown.error().category(), lookup_category()) << unknown.error().message();
  }
  const auto bad = co_await lookup(pool, "localhost", "no-such-service");
  EXPECT_FALSE(bad);
}
TEST(Lookup, finds_what_is_in_the_hosts_file) {
  BlockingPool pool;
  test::run_on_a_worker_here(looks_up(pool));
}

Task<void> lists(BlockingPool& pool, std::string path, std::vector<std::string>& names) {
  const auto entries = co_await list_directory(pool, path);
  EXPECT_TRUE(entries) << entries.error().message();
  if (entries) {
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
  }
  const auto missing = co_await list_directory(pool, path + "/missing");
  EXPECT_EQ(missing.error(), std::errc::no_such_file_or_directory);
}
TEST(ListDirectory, names_every_entry_in_order) {
  const test::TemporaryDirectory directory;
  for (const char* const name : {"b", "a", "c"}) {
    const Fd file(::open((directory / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.is_open());
  }
  BlockingPool pool;
  std::vector<std::string> names;
  test::run_on_a_worker_here(lists(pool, directory / "", names));
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace corering
