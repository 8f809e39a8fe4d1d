/// capture_test.cpp — what was slow, failed or stalled is still there when the ring has wrapped many times.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <corering/trace/attachment.hpp>
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "trace/layout.hpp"
#include "trace/read_recording.hpp"
#include "trace/settings.hpp"

namespace corering::trace {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t small_ring = 64;  // events: some ten operations

/// A program that records, and keeps what is beyond these limits.
class Captures : public ::testing::Test {
 protected:
  void records(const Capture& capture) {
    ASSERT_TRUE(start({.events_per_thread = small_ring, .file = directory_ / "t.crt", .capture = capture}));
  }
  void TearDown() override { stop(); }

  /// Returns what the file has of the thread that calls.
  [[nodiscard]] ThreadRecording mine() const {
    const Recording read = open_recording(directory_ / "t.crt").value();
    const auto found = std::ranges::find(read.threads, ::gettid(), &ThreadRecording::tid);
    return found == read.threads.end() ? ThreadRecording() : *found;
  }

  test::TemporaryDirectory directory_;
};

std::ptrdiff_t count(const ThreadRecording& thread, Kind kind) {
  return std::ranges::count(thread.events, kind, &TimedEvent::kind);
}

std::vector<TimedEvent> kept_for(const ThreadRecording& thread, KeptFor why) {
  std::vector<TimedEvent> found;
  std::ranges::copy_if(thread.events, std::back_inserter(found), [why](const TimedEvent& event) {
    return event.kind == Kind::kept && event.opcode == static_cast<std::uint8_t>(why);
  });
  return found;
}

/// Returns the kinds of the events of this operation that lie before the `kept`.
std::vector<Kind> life_before(const ThreadRecording& thread, const TimedEvent& kept) {
  std::vector<Kind> kinds;
  for (const TimedEvent& event : thread.events) {
    if (event.kind == Kind::kept && event.ns == kept.ns) break;
    if (event.id == kept.id && event.kind != Kind::kept) kinds.push_back(event.kind);
  }
  return kinds;
}

bool has(const std::vector<Kind>& kinds, Kind kind) { return std::ranges::find(kinds, kind) != kinds.end(); }

Task<void> nops(int how_many) {
  for (int i = 0; i < how_many; ++i) {
    const Result<void> done = co_await async_nop();
    EXPECT_TRUE(done);
  }
}

Task<void> computes_for(Duration time) {
  const TimePoint end = Clock::now() + time;
  while (Clock::now() < end) {
  }
  co_return;
}

Task<void> reads_one_byte(int fd) {
  char byte = 0;
  const auto got = co_await async_read(fd, std::as_writable_bytes(std::span(&byte, 1)), current_position);
  EXPECT_TRUE(got);
}

/// A read that takes at least so long, with fast operations meanwhile, and then so many more.
Task<void> one_slow_read_under_many_nops(Duration least, int after) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  JoinHandle<void> slow = spawn(reads_one_byte(ends[0]));
  co_await nops(50);
  co_await computes_for(least);
  EXPECT_EQ(::write(ends[1], "x", 1), 1);
  co_await std::move(slow);
  co_await nops(after);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Captures, keep_one_slow_operation_when_the_ring_has_wrapped_many_times) {
  constexpr int ring = 4096;
  ASSERT_TRUE(start({.events_per_thread = ring,
                     .file = directory_ / "t.crt",
                     .capture = {.slower_than = 50ms, .at_most_every = 0ns}}));
  test::run_on_a_worker_here(one_slow_read_under_many_nops(60ms, ring));
  const ThreadRecording thread = mine();
  const auto kept = kept_for(thread, KeptFor::slow);
  const auto of_read = std::ranges::find_if(kept, [&](const TimedEvent& one) {
    return std::ranges::any_of(thread.events, [&](const TimedEvent& event) {
      return event.id == one.id && event.kind == Kind::sqe_filled &&
             event.opcode == static_cast<std::uint8_t>(Opcode::read);
    });
  });
  ASSERT_NE(of_read, kept.end()) << kept.size() << " were kept";
  EXPECT_GE(thread.captured, kept.size());
  const std::vector<Kind> life = life_before(thread, *of_read);
  for (const Kind kind : {Kind::await, Kind::sqe_filled, Kind::suspended, Kind::processed, Kind::resumed})
    EXPECT_TRUE(has(life, kind)) << kind_names[static_cast<std::size_t>(kind)];
  EXPECT_GT(count(thread, Kind::gap), 0);
  EXPECT_TRUE(std::ranges::is_sorted(thread.events, {}, &TimedEvent::ns));
}

Task<void> holds(Mutex& mutex, Duration how_long) {
  const auto guard = co_await mutex.lock();
  EXPECT_TRUE(guard);
  if (how_long > 0ns) (void)co_await sleep_for(how_long);
}

Task<void> waits_for_a_lock(Duration least) {
  Mutex mutex;
  JoinHandle<void> holder = spawn(holds(mutex, least));
  JoinHandle<void> waiter = spawn(holds(mutex, 0ns));
  co_await std::move(waiter);
  co_await std::move(holder);
}

TEST_F(Captures, keep_a_slow_wait_for_a_lock_and_none_for_a_task_or_a_time) {
  records({.slower_than = 20ms, .at_most_every = 0ns});
  test::run_on_a_worker_here(waits_for_a_lock(30ms));
  for (std::uint64_t i = 0; i < 1000; ++i) record(Kind::remark, no_opcode, nullptr, i);
  const auto kept = kept_for(mine(), KeptFor::waited);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_TRUE(has(life_before(mine(), kept.front()), Kind::wait_begins));
}

TEST_F(Captures, tell_how_many_events_are_missing_in_between) {
  records({.slower_than = 1ns, .at_most_every = 0ns});
  test::run_on_a_worker_here(nops(3));
  set_capture({});
  for (std::uint64_t i = 0; i < 1000; ++i) record(Kind::remark, no_opcode, nullptr, i);
  const ThreadRecording thread = mine();
  std::uint64_t all = thread.lost;
  for (const TimedEvent& event : thread.events) {
    if (event.kind != Kind::gap && event.kind != Kind::kept) ++all;
  }
  EXPECT_EQ(thread.captured, 3U);
  EXPECT_EQ(count(thread, Kind::kept), 3);
  ASSERT_EQ(count(thread, Kind::gap), 1);
  EXPECT_EQ(std::ranges::find(thread.events, Kind::gap, &TimedEvent::kind)->a, thread.lost);
  EXPECT_EQ(count(thread, Kind::remark), static_cast<std::ptrdiff_t>(small_ring));
  EXPECT_GT(all, 1000U);
}

TEST_F(Captures, leave_each_event_once_when_the_ring_still_has_it) {
  ASSERT_TRUE(start({.events_per_thread = 4096,
                     .file = directory_ / "t.crt",
                     .capture = {.slower_than = 1ns, .at_most_every = 0ns}}));
  test::run_on_a_worker_here(nops(20));
  const ThreadRecording thread = mine();
  EXPECT_EQ(count(thread, Kind::kept), 20);
  EXPECT_EQ(count(thread, Kind::gap), 0);
  EXPECT_EQ(count(thread, Kind::resumed), 20);
  EXPECT_EQ(thread.lost, 0U);
}

TEST_F(Captures, of_the_same_reason_wait_and_what_they_leave_out_is_counted) {
  records({.slower_than = 1ns, .at_most_every = 1h});
  test::run_on_a_worker_here(nops(100));
  const ThreadRecording thread = mine();
  EXPECT_EQ(thread.captured, 1U);
  EXPECT_EQ(thread.suppressed, 99U);
  EXPECT_EQ(kept_for(thread, KeptFor::slow).size(), 1U);
}

Task<void> fails_once() {
  const auto got = co_await async_read(-1, std::span<std::byte>(), current_position);
  EXPECT_EQ(got.error(), std::errc::bad_file_descriptor);
}

TEST_F(Captures, keep_what_failed) {
  records({.failed = true, .at_most_every = 1h});
  test::run_on_a_worker_here(fails_once());
  test::run_on_a_worker_here(nops(10 * small_ring));
  const ThreadRecording thread = mine();
  const auto kept = kept_for(thread, KeptFor::failed);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_TRUE(has(life_before(thread, kept[0]), Kind::processed));
  EXPECT_EQ(thread.suppressed, 0U);
}

// What does not wait at first would run before the worker's first turn.
Task<void> computes_after_a_nop(Duration time) {
  co_await nops(1);
  co_await computes_for(time);
}

TEST_F(Captures, keep_what_the_worker_did_while_it_stalled) {
  records({.stall = 20ms, .at_most_every = 0ns});
  test::run_on_a_worker_here(computes_after_a_nop(30ms));
  test::run_on_a_worker_here(nops(10 * small_ring));
  EXPECT_FALSE(kept_for(mine(), KeptFor::stall).empty());
}

TEST_F(Captures, know_what_is_slow_for_a_kind_when_they_have_seen_enough_of_it) {
  records({.slower_than_share = 0.9, .at_most_every = 0ns});
  test::run_on_a_worker_here(nops(999));
  EXPECT_EQ(mine().captured, 0U);
  test::run_on_a_worker_here(one_slow_read_under_many_nops(1ms, 0));
  EXPECT_TRUE(kept_for(mine(), KeptFor::failed).empty());
}

// Two workers have seen different things, so it is one task. The machine may be busy: what is slow is so
// beside the slowest before it.
Task<void> nops_and_a_slow_one() {
  Duration slowest(0);
  for (int i = 0; i < 1001; ++i) {
    const TimePoint begin = Clock::now();
    co_await nops(1);
    slowest = std::max(slowest, Duration(Clock::now() - begin));
  }
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < 3; ++i) all.push_back(spawn(nops(1)));
  // It runs after the three have begun, and in their turn, so they wait for it.
  all.push_back(spawn(computes_for(2 * slowest + 1ms)));
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

TEST_F(Captures, take_what_is_slower_than_nearly_all_of_its_kind) {
  records({.slower_than_share = 0.999, .at_most_every = 0ns});
  test::run_on_a_worker_here(nops_and_a_slow_one());
  test::run_on_a_worker_here(nops(10 * small_ring));
  EXPECT_FALSE(kept_for(mine(), KeptFor::slow).empty());
}

TEST_F(Captures, keep_the_begin_and_the_end_of_what_is_too_long) {
  ASSERT_TRUE(start({.events_per_thread = 1 << 16,
                     .file = directory_ / "t.crt",
                     .capture = {.slower_than_share = 0.5, .at_most_every = 0ns}}));
  const std::uint64_t begin = stamp();
  for (std::uint64_t i = 0; i < 10'000; ++i) record(Kind::remark, no_opcode, nullptr, i);
  keep_since(begin);
  for (std::uint64_t i = 10'000; i < 100'000; ++i) record(Kind::remark, no_opcode, nullptr, i);
  const ThreadRecording thread = mine();
  EXPECT_EQ(thread.captured, 1U);
  EXPECT_EQ(thread.events.front().a, 0U);
  ASSERT_EQ(count(thread, Kind::gap), 2);
  const auto kept = std::ranges::find(thread.events, Kind::kept, &TimedEvent::kind);
  ASSERT_NE(kept, thread.events.end());
  EXPECT_EQ((kept - 1)->a, 9999U);
  EXPECT_EQ(kept - thread.events.begin(), 4096 + 1);
  EXPECT_EQ(thread.lost, 100'000U - (1 << 16) - 4096);
}

TEST_F(Captures, of_long_ago_make_room_for_newer_ones) {
  ASSERT_TRUE(start({.events_per_thread = 4096,
                     .file = directory_ / "t.crt",
                     .capture = {.slower_than = 1ns, .at_most_every = 0ns}}));
  constexpr std::uint64_t rounds = 40;
  for (std::uint64_t i = 0; i < rounds; ++i) {
    const std::uint64_t begin = stamp();
    for (std::uint64_t j = 0; j < 1000; ++j) record(Kind::remark, no_opcode, nullptr, i);
    keep_since(begin);
  }
  const ThreadRecording thread = mine();
  EXPECT_EQ(thread.captured, rounds);
  EXPECT_LT(count(thread, Kind::kept), static_cast<std::ptrdiff_t>(rounds));
  EXPECT_GT(count(thread, Kind::kept), 2);
  EXPECT_EQ(thread.events.back().kind, Kind::kept);
  EXPECT_EQ((thread.events.end() - 2)->a, rounds - 1);
}

TEST_F(Captures, that_are_damaged_are_read_as_far_as_they_go) {
  records({.slower_than = 1ns, .at_most_every = 0ns});
  test::run_on_a_worker_here(nops(50));
  stop();
  std::ifstream file(directory_ / "t.crt", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::byte> bytes(whole.size());
  const std::size_t store = layout::first_ring_offset + layout::bytes_of_ring(small_ring);
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    std::ranges::copy(std::as_bytes(std::span(whole)), bytes.begin());
    for (int change = 0; change < 8; ++change) {
      const std::size_t at =
          change == 0 ? offsetof(layout::RingHead, written) : layout::page + random() % 4096;
      bytes[store + at + (change == 0 ? random() % 8 : 0)] = static_cast<std::byte>(random());
    }
    const Result<Recording> read = read_recording(MemorySource(bytes));
    ASSERT_TRUE(read);
    ASSERT_EQ(read->threads.size(), 1U);
    EXPECT_EQ(read->threads[0].captured, 50U);
    EXPECT_GE(read->threads[0].events.size(), small_ring);
  }
}

TEST_F(Captures, cost_no_store_when_there_is_no_limit) {
  records({});
  test::run_on_a_worker_here(nops(100));
  EXPECT_FALSE(captures());
  EXPECT_EQ(mine().captured, 0U);
  EXPECT_EQ(count(mine(), Kind::kept), 0);
}

void remarks(std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t i = from; i < to; ++i) record(Kind::remark, no_opcode, nullptr, i);
}

/// Returns the numbers of the remarks that are there.
std::vector<std::uint64_t> remarks_in(const ThreadRecording& thread) {
  std::vector<std::uint64_t> numbers;
  for (const TimedEvent& event : thread.events) {
    if (event.kind == Kind::remark) numbers.push_back(event.a);
  }
  return numbers;
}

TEST_F(Captures, of_different_reasons_in_one_turn_are_all_kept) {
  records({.slower_than = 1h, .failed = true, .at_most_every = 1h});
  const std::uint64_t early = stamp();
  remarks(0, 3);
  const std::uint64_t late = stamp();
  remarks(3, 6);
  notice({.why = KeptFor::slow, .id = 0x100, .since = late, .now = stamp()});
  notice({.why = KeptFor::failed, .id = 0x200, .since = early, .now = stamp()});
  notice({.why = KeptFor::failed, .id = 0x300, .since = early, .now = stamp()});
  keep_what_was_noticed();
  remarks(6, 6 + 10 * small_ring);
  const ThreadRecording thread = mine();
  ASSERT_EQ(kept_for(thread, KeptFor::slow).size(), 1U);
  ASSERT_EQ(kept_for(thread, KeptFor::failed).size(), 1U);
  EXPECT_EQ(kept_for(thread, KeptFor::failed)[0].id, 0x200U);
  EXPECT_EQ(thread.captured, 2U);
  EXPECT_EQ(thread.suppressed, 1U) << "the second one that failed";
  const std::vector<std::uint64_t> numbers = remarks_in(thread);
  ASSERT_GT(numbers.size(), 6U);
  for (std::uint64_t i = 0; i < 6; ++i) EXPECT_EQ(numbers[i], i) << "once, and in order";
}

TEST_F(Captures, that_the_program_asks_for_leave_the_slow_ones_of_the_turn_as_they_are) {
  records({.slower_than = 1h, .at_most_every = 1h});
  const std::uint64_t began = stamp();
  remarks(0, 40);
  notice({.why = KeptFor::slow, .id = 0x100, .since = began, .now = stamp()});
  keep_since(stamp());
  EXPECT_EQ(kept_for(mine(), KeptFor::asked).size(), 1U);
  EXPECT_TRUE(kept_for(mine(), KeptFor::slow).empty()) << "its turn is not over";
  remarks(40, 44);
  keep_what_was_noticed();
  remarks(44, 44 + 10 * small_ring);
  const ThreadRecording thread = mine();
  ASSERT_EQ(kept_for(thread, KeptFor::slow).size(), 1U);
  const std::vector<std::uint64_t> numbers = remarks_in(thread);
  ASSERT_GT(numbers.size(), 44U);
  for (std::uint64_t i = 0; i < 44; ++i) EXPECT_EQ(numbers[i], i) << "once, and in order";
}

TEST_F(Captures, of_threads_that_have_ended_take_few_bytes) {
  records({});
  for (int i = 0; i < 200; ++i) std::thread([] { remarks(0, 1), keep_since(0); }).join();
  EXPECT_LE(std::filesystem::file_size(directory_ / "t.crt"), 36U << 20);
  EXPECT_GT(recording().threads.size(), 40U);
}

TEST_F(Captures, with_a_limit_beyond_all_times_keep_nothing_for_it) {
  records({.slower_than = Duration::max(), .stall = std::chrono::hours::max(), .at_most_every = 0ns});
  test::run_on_a_worker_here(nops(100));
  EXPECT_EQ(mine().captured, 0U);
  records({.slower_than = Duration::max(), .failed = true});
  EXPECT_TRUE(captures()) << "what fails is kept, whatever the other limits add up to";
  test::run_on_a_worker_here(fails_once());
  EXPECT_EQ(mine().captured, 1U);
}

TEST_F(Captures, with_an_endless_pause_keep_one_until_the_pause_is_another_one) {
  records({.slower_than = 1ns, .at_most_every = Duration::max()});
  test::run_on_a_worker_here(nops(100));
  EXPECT_EQ(mine().captured, 1U);
  EXPECT_EQ(mine().suppressed, 99U);
  const std::uint64_t now = stamp();
  set_capture({.slower_than = 1ns, .at_most_every = 0ns});
  notice({.why = KeptFor::slow, .id = 1, .since = now, .now = now});
  keep_what_was_noticed();
  EXPECT_EQ(mine().captured, 2U);
}

TEST(Capture, needs_events) {
  EXPECT_EQ(start({.level = Level::hist, .capture = Capture::of_slow(5ms)}).error(),
            std::errc::invalid_argument);
}

/// Runs `child` with this in CORERING_TRACE, and kills it when it says so.
template <class Child>
Recording recorded_by_a_child(const std::string& setting, const std::string& path, const Child& child) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv("CORERING_TRACE", setting.c_str(), 1);
    child();
    (void)!::write(ends[1], "x", 1);
    for (;;) ::pause();
  }
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 1);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  return open_recording(path).value();
}

TEST(Capture, survives_sigkill_as_the_environment_asked_for_it) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  const Recording read = recorded_by_a_child(
      "full,file=" + path + ",events=64,slow=50ms,every=1ns", path,
      [] { test::run_on_a_worker_here(one_slow_read_under_many_nops(60ms, 10 * small_ring)); });
  ASSERT_EQ(read.threads.size(), 1U);
  EXPECT_GE(read.threads[0].captured, 1U);
  EXPECT_FALSE(kept_for(read.threads[0], KeptFor::slow).empty());
}

TEST(Capture, of_the_environment_can_be_relative) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  const Recording read = recorded_by_a_child("full,file=" + path + ",slow=p50,stall=1000s,every=1000s", path,
                                             [] { test::run_on_a_worker_here(nops(3000)); });
  ASSERT_EQ(read.threads.size(), 1U);
  EXPECT_EQ(read.threads[0].captured, 1U);
  EXPECT_GT(read.threads[0].suppressed, 0U);
}

TEST(Capture, of_the_environment_does_not_depend_on_the_order_of_the_words) {
  const auto stall_of = [](const char* setting) {
    ::setenv("CORERING_TRACE", setting, 1);
    const auto options = settings_of_environment();
    ::unsetenv("CORERING_TRACE");
    return options && *options ? Duration((*options)->capture.stall) : Duration::min();
  };
  for (const char* const setting :
       {"full,slow=5ms,stall=1s", "full,stall=1s,slow=5ms", "full,stall=1s,slow=p99"})
    EXPECT_EQ(stall_of(setting), Duration(1s)) << setting;
  EXPECT_EQ(stall_of("full,slow=5ms"), Duration(5ms));
  EXPECT_EQ(stall_of("full,slow=p99"), Duration(10ms));
}

TEST(Capture, of_the_environment_is_not_understood_without_a_unit_or_without_events) {
  for (const char* const wrong : {"full,slow=5", "full,slow=p100", "full,slow=", "full,stall=ms",
                                  "hist,slow=5ms", "full,every=99999999s"}) {
    ::setenv("CORERING_TRACE", wrong, 1);
    ::testing::internal::CaptureStderr();
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(start_as_environment_says().error() == std::errc::invalid_argument ? 0 : 1);
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0) << wrong;
    EXPECT_NE(::testing::internal::GetCapturedStderr().find(wrong), std::string::npos);
  }
  ::unsetenv("CORERING_TRACE");
}

// ---- limits from outside ----

TEST_F(Captures, are_asked_for_from_outside_and_only_as_long) {
  records({});
  {
    Attachment attached = Attachment::to(::getpid(), Level::full).value();
    ASSERT_TRUE(attached.keep({.slower_than = 1ns, .at_most_every = 0ns}));
    EXPECT_TRUE(captures());
    test::run_on_a_worker_here(nops(3));
    EXPECT_FALSE(kept_for(mine(), KeptFor::slow).empty());
    EXPECT_TRUE(attached.keep({.failed = true})) << "the same one may change its mind";
    Attachment other = Attachment::to(::getpid(), Level::full).value();
    EXPECT_EQ(other.keep({.slower_than = 1s}).error(), std::errc::device_or_resource_busy);
  }
  EXPECT_FALSE(captures());
  EXPECT_TRUE(enabled());
}

TEST_F(Captures, stay_as_the_program_wants_them_when_somebody_attaches) {
  records({.slower_than = 5ms});
  {
    Attachment attached = Attachment::to(::getpid(), Level::full).value();
    EXPECT_EQ(attached.keep({.failed = true}).error(), std::errc::device_or_resource_busy);
  }
  EXPECT_TRUE(captures());
}

TEST_F(Captures, need_events_and_a_limit) {
  records({});
  Attachment full = Attachment::to(::getpid(), Level::full).value();
  EXPECT_EQ(full.keep({}).error(), std::errc::invalid_argument);
  Attachment hist = Attachment::to(::getpid(), Level::hist).value();
  EXPECT_EQ(hist.keep({.failed = true}).error(), std::errc::invalid_argument);
  EXPECT_FALSE(captures());
}

TEST_F(Captures, end_with_the_process_that_had_asked_for_them) {
  records({});
  const pid_t me = ::getpid();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Result<Attachment> attached = Attachment::to(me, Level::full);
    ::_exit(attached && attached->keep({.failed = true}) ? 0 : 1);  // no destructor runs
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(captures());
  {
    const Result<Attachment> next = Attachment::to(me, Level::hist);
  }
  EXPECT_FALSE(captures());
}

TEST(CaptureWords, are_those_of_the_environment) {
  const Capture all = parse_capture("slow=5ms,stall=20ms,every=1s").value();
  EXPECT_EQ(Duration(all.slower_than), Duration(5ms));
  EXPECT_EQ(Duration(all.stall), Duration(20ms));
  EXPECT_EQ(Duration(all.at_most_every), Duration(1s));
  EXPECT_TRUE(all.failed) << "slow= includes what fails";
  const Capture failed = parse_capture("failed").value();
  EXPECT_TRUE(failed.failed && Duration(failed.slower_than) == Duration(0ns));
  EXPECT_TRUE(parse_capture("slow=p99.9"));
  for (const char* const wrong : {"", "slow", "slow=", "slow=5", "every=1s", "failed,", "fast=5ms"})
    EXPECT_FALSE(parse_capture(wrong)) << wrong;
}

}  // namespace
}  // namespace corering::trace
