/// recorder_test.cpp — what is recorded, in which order, and what happens when a ring is too small.
#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering::trace {
namespace {

const ThreadRecording* recording_of(const std::vector<ThreadRecording>& all, int tid) {
  const auto found = std::ranges::find(all, tid, &ThreadRecording::tid);
  return found == all.end() ? nullptr : &*found;
}

std::vector<Kind> kinds(const ThreadRecording& recording) {
  std::vector<Kind> found;
  for (const TimedEvent& event : recording.events) found.push_back(event.kind);
  return found;
}

/// Returns true when `wanted` occurs in `events` in this order. Other events may come in between.
bool in_order(const std::vector<Kind>& events, const std::vector<Kind>& wanted) {
  auto at = events.begin();
  for (const Kind kind : wanted) {
    at = std::find(at, events.end(), kind);
    if (at == events.end()) return false;
    ++at;
  }
  return true;
}

TEST(Event, keeps_kind_opcode_and_id_in_one_word) {
  ASSERT_TRUE(start(16));
  record(Kind::sqe_filled, 22, reinterpret_cast<const void*>(0x7fff'1234'5678), 1, 2);
  stop();
  const auto all = snapshot();
  const ThreadRecording* mine = recording_of(all, gettid());
  ASSERT_NE(mine, nullptr);
  ASSERT_EQ(mine->events.size(), 1U);
  const TimedEvent& event = mine->events.front();
  EXPECT_EQ(event.kind, Kind::sqe_filled);
  EXPECT_EQ(event.opcode, 22);
  EXPECT_EQ(event.id, 0x7fff'1234'5678U);
  EXPECT_EQ(event.a, 1U);
  EXPECT_EQ(event.b, 2U);
}

TEST(Recorder, takes_what_a_program_remarks_of_itself) {
  ASSERT_TRUE(start(16));
  const int mine = 0;
  record(Kind::remark, no_opcode, &mine, 7);
  stop();
  const auto all = snapshot();
  const ThreadRecording* const recording = recording_of(all, gettid());
  ASSERT_NE(recording, nullptr);
  EXPECT_EQ(kinds(*recording), std::vector{Kind::remark});
  EXPECT_EQ(kind_names[static_cast<std::size_t>(recording->events.front().kind)], "remark");
  EXPECT_EQ(recording->events.front().a, 7U);
}

TEST(Recorder, is_off_until_started) {
  stop();
  EXPECT_FALSE(enabled());
  ASSERT_TRUE(start(16));
  EXPECT_TRUE(enabled());
  stop();
  EXPECT_FALSE(enabled());
}

TEST(Recorder, keeps_the_newest_events_and_counts_the_lost_ones) {
  ASSERT_TRUE(start(8));
  for (std::uint64_t i = 0; i < 20; ++i) record(Kind::await, no_opcode, nullptr, i);
  stop();
  const auto all = snapshot();
  const ThreadRecording* mine = recording_of(all, gettid());
  ASSERT_NE(mine, nullptr);
  EXPECT_EQ(mine->lost, 12U);
  ASSERT_EQ(mine->events.size(), 8U);
  EXPECT_EQ(mine->events.front().a, 12U);
  EXPECT_EQ(mine->events.back().a, 19U);
}

TEST(Recorder, times_follow_the_raw_monotonic_clock) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
  };
  ASSERT_TRUE(start(8));
  const auto before = now();
  while (now() < before + 20'000'000) std::this_thread::yield();
  record(Kind::await, no_opcode, nullptr);
  const auto after = now();
  stop();
  const auto all = snapshot();
  const std::int64_t stamped = recording_of(all, gettid())->events.front().ns;
  // The scale is a line through two readings, one at start() and one now. A microsecond of slack is generous.
  EXPECT_GE(stamped, before + 20'000'000 - 1000);
  EXPECT_LE(stamped, after + 1000);
}

TEST(Recorder, a_new_start_forgets_the_past) {
  ASSERT_TRUE(start(8));
  record(Kind::await, no_opcode, nullptr);
  ASSERT_TRUE(start(8));
  stop();
  EXPECT_TRUE(snapshot().empty());
}

// Rings of 8 MiB: four of ended threads are kept.
TEST(Recorder, threads_that_come_and_go_take_each_others_rings) {
  ASSERT_TRUE(start(std::size_t{1} << 18));
  for (std::uint64_t i = 0; i < 10; ++i) {
    std::thread([i] { record(Kind::await, no_opcode, nullptr, i); }).join();
  }
  stop();
  std::vector<std::uint64_t> kept;
  std::uint64_t lost = 0;
  for (const ThreadRecording& thread : snapshot()) {
    lost += thread.lost;
    for (const TimedEvent& event : thread.events) kept.push_back(event.a);
  }
  EXPECT_EQ(kept, (std::vector<std::uint64_t>{6, 7, 8, 9})) << "the newest";
  EXPECT_EQ(lost, 6U);
}

TEST(Recorder, can_be_read_while_it_is_written) {
  ASSERT_TRUE(start(64));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (std::uint64_t i = 0; !done; ++i) record(Kind::await, no_opcode, nullptr, i, i);
  });
  bool torn = false;
  std::size_t seen = 0;
  while (seen < 1000) {
    for (const ThreadRecording& recording : snapshot()) {
      for (std::size_t i = 0; i < recording.events.size(); ++i, ++seen) {
        torn = torn || recording.events[i].a != recording.events[i].b;
        torn = torn || (i > 0 && recording.events[i].a != recording.events[i - 1].a + 1);
      }
    }
  }
  done = true;
  writer.join();
  stop();
  EXPECT_FALSE(torn);
}

TEST(Flow, switch_to_worker_is_recorded_step_by_step) {
  test::RunningWorker running;
  ASSERT_TRUE(start());
  ASSERT_TRUE(sync_wait(async_nop().on(running.worker)));
  stop();
  const auto all = snapshot();
  const ThreadRecording* main = recording_of(all, gettid());
  ASSERT_NE(main, nullptr);
  EXPECT_TRUE(in_order(kinds(*main), {Kind::sync_wait_begin, Kind::await, Kind::pushed, Kind::suspended,
                                      Kind::sync_wait_end}));
  const auto worker =
      std::ranges::find_if(all, [&](const ThreadRecording& one) { return one.tid != gettid(); });
  ASSERT_NE(worker, all.end());
  EXPECT_TRUE(in_order(kinds(*worker),
                       {Kind::popped, Kind::resumed_on_worker, Kind::await, Kind::sqe_filled, Kind::suspended,
                        Kind::submitted, Kind::processed, Kind::resumed, Kind::root_done}));
}

Task<void> some_nops(int count) {
  for (int i = 0; i < count; ++i) {
    const Result<void> done = co_await async_nop();
    EXPECT_TRUE(done);
  }
}
Task<void> nops_side_by_side() {
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < 40; ++i) all.push_back(spawn(some_nops(10)));
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

/// Returns the events of `recording` that belong to `id`.
std::vector<TimedEvent> of(const ThreadRecording& recording, std::uint64_t id) {
  std::vector<TimedEvent> found;
  std::ranges::copy_if(recording.events, std::back_inserter(found),
                       [id](const TimedEvent& event) { return event.id == id; });
  return found;
}

// This holds even when the SQ is full in between.
TEST(Flow, every_operation_is_whole_and_what_happens_in_one_go_has_one_time) {
  NEEDS_IO_URING("the emulated one records steps of its own in between");
  ASSERT_TRUE(start());
  test::run_on_a_worker_here(nops_side_by_side(), WorkerOptions{.sq_entries = 16});
  stop();
  const auto all = snapshot();
  const ThreadRecording* mine = recording_of(all, gettid());
  ASSERT_NE(mine, nullptr);
  EXPECT_TRUE(std::ranges::is_sorted(mine->events, {}, &TimedEvent::ns));
  std::size_t begun = 0, at_once = 0;
  for (const TimedEvent& event : mine->events) {
    if (event.kind != Kind::await) continue;
    ++begun;
    const std::vector<TimedEvent> life = of(*mine, event.id);
    const auto own = std::ranges::find_if(life, [&](const TimedEvent& one) { return one.ns == event.ns; });
    ASSERT_GE(life.end() - own, 5);
    const std::vector<Kind> next = {own[0].kind, own[1].kind, own[2].kind, own[3].kind, own[4].kind};
    if (next[1] == Kind::parked) continue;
    ASSERT_EQ(next,
              (std::vector{Kind::await, Kind::sqe_filled, Kind::suspended, Kind::processed, Kind::resumed}));
    if (own[1].ns == event.ns && own[2].ns == event.ns) ++at_once;
  }
  EXPECT_EQ(begun, 400U);
  EXPECT_GT(at_once, 200U);
}

Task<void> sleeps_until(TimePoint deadline) { (void)co_await sleep_until(deadline); }
TEST(Flow, a_timer_shows_how_long_it_had_to_go) {
  ASSERT_TRUE(start());
  test::run_on_a_worker_here(sleeps_until(TimePoint::min()));  // a plain subtraction would overflow
  {
    test::RunningWorker running;
    running.worker.spawn(sleeps_until(Clock::now() + std::chrono::hours(2)))->detach();
    sync_wait(async_nop().on(running.worker));  // after the sleep, which the worker's end then cuts short
  }
  stop();
  std::vector<std::uint64_t> to_go;
  for (const ThreadRecording& thread : snapshot()) {
    for (const TimedEvent& event : thread.events) {
      if (event.kind == Kind::timer_armed) to_go.push_back(event.a);
    }
  }
  ASSERT_EQ(to_go.size(), 2U);
  EXPECT_EQ(to_go[0], 0U);
  EXPECT_GT(to_go[1], 3'600'000'000'000U);
  EXPECT_LE(to_go[1], 7'200'000'000'000U);
}

Task<void> awaits_a_nop(OneShot& done) {
  EXPECT_TRUE(co_await async_nop());
  done.set();
}
TEST(Flow, worker_callback_is_recorded_step_by_step_without_a_hop) {
  ASSERT_TRUE(start());
  {
    OneShot done;
    Worker worker;
    ASSERT_TRUE(worker.start([&done](Worker&) { spawn(awaits_a_nop(done)).detach(); }));
    done.wait();
  }
  stop();
  const auto all = snapshot();
  EXPECT_TRUE(in_order(kinds(*recording_of(all, gettid())), {Kind::thread_start}));
  const auto worker =
      std::ranges::find_if(all, [&](const ThreadRecording& one) { return one.tid != gettid(); });
  ASSERT_NE(worker, all.end());
  const std::vector<Kind> seen = kinds(*worker);
  EXPECT_TRUE(
      in_order(seen, {Kind::worker_up, Kind::init_callback, Kind::spawned, Kind::await, Kind::sqe_filled,
                      Kind::suspended, Kind::submitted, Kind::processed, Kind::resumed}));
  EXPECT_EQ(std::ranges::count(seen, Kind::popped), 0);
}

}  // namespace
}  // namespace corering::trace
