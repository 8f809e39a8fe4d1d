/// timeout_test.cpp — deadlines: inherited, named, never early, and cheap even in millions.
#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<Result<int>> slow(Duration duration) {
  const Result<void> slept = co_await sleep_for(duration);
  if (!slept) co_return std::unexpected(slept.error());
  co_return 1;
}

Task<void> in_time() {
  EXPECT_EQ(co_await with_timeout(1h, slow(1ms)), 1);
  EXPECT_EQ(co_await with_deadline(TimePoint::max(), slow(1ms)), 1);
  EXPECT_EQ(co_await with_timeout(Duration::max(), slow(1ms)), 1);
  EXPECT_TRUE(co_await with_timeout(1h, async_nop()));
  const auto plain = []() -> Task<std::string> { co_return "text"; };
  EXPECT_EQ(co_await with_timeout(1h, plain()), "text");
}
TEST(Timeout, lets_through_what_is_in_time) { run_on_a_worker_here(in_time()); }

Task<void> never_in_any_unit() {
  EXPECT_EQ(co_await with_timeout(std::chrono::microseconds::max(), slow(1ms)), 1);
  EXPECT_EQ(co_await with_timeout(std::chrono::seconds::max(), slow(1ms)), 1);
  EXPECT_EQ(co_await with_timeout(std::chrono::hours::max(), slow(1ms)), 1);
  using Hours = std::chrono::time_point<Clock, std::chrono::hours>;
  EXPECT_EQ(co_await with_deadline(Hours::max(), slow(1ms)), 1);
}
TEST(Timeout, the_longest_time_of_every_unit_means_never) { run_on_a_worker_here(never_in_any_unit()); }

Task<void> ends_by_its_deadline(auto operation) {
  const auto ended = co_await with_timeout(5ms, std::move(operation));
  EXPECT_FALSE(ended);
  EXPECT_EQ(ended ? std::error_code() : ended.error(), std::errc::timed_out);
}
TEST(Timeout, the_kernels_timers_know_never_in_every_unit_too) {
  run_on_a_worker_here(ends_by_its_deadline(async_timeout(std::chrono::hours::max())));
  run_on_a_worker_here(ends_by_its_deadline(async_timeout_at(std::chrono::minutes::max())));
  const auto ticks = []() -> Task<Result<void>> {
    TimeoutStream never(std::chrono::seconds::max());
    co_return co_await never.next();
  };
  run_on_a_worker_here(ends_by_its_deadline(ticks()));
}

Task<void> says_which() {
  const unsigned line = __LINE__ + 1;
  const Result<int> result = co_await with_timeout(3ms, slow(1h));
  EXPECT_FALSE(result);
  if (result) co_return;
  EXPECT_EQ(result.error(), std::errc::timed_out);
  const std::string message = result.error().message();
  EXPECT_NE(message.find("of 3 ms set at"), std::string::npos) << message;
  EXPECT_NE(message.find("timeout_test.cpp:" + std::to_string(line)), std::string::npos) << message;
  const Result<int> at = co_await with_deadline(os::now() + 1ms, slow(1h));
  EXPECT_NE(at.error().message().find("the deadline set at"), std::string::npos) << at.error().message();
}
TEST(Timeout, says_which_deadline_and_where_it_was_set) { run_on_a_worker_here(says_which()); }

TEST(Timeout, names_any_duration) {
  const auto text = [](Duration duration) {
    return CancelReason::deadline(duration, std::source_location::current()).error().message();
  };
  EXPECT_NE(text(1ns).find("of 1 ns "), std::string::npos);
  EXPECT_NE(text(1500ns).find("of 1500 ns "), std::string::npos);
  EXPECT_NE(text(250ms).find("of 250 ms "), std::string::npos);
  EXPECT_NE(text(90s).find("of 90 s "), std::string::npos);
  EXPECT_NE(text(48h).find("of 48 h "), std::string::npos);
  EXPECT_NE(text(1234567890123ns).find("of 1235 s "), std::string::npos)
      << "rounded up: " << text(1234567890123ns);
  EXPECT_EQ(text(0ns).find(" of "), std::string::npos);
  EXPECT_EQ(text(-5ns).find(" of "), std::string::npos);
  EXPECT_EQ(text(Duration::max()).find("has passed") == std::string::npos, false);
}

// ---- inheritance ----

Task<Result<int>> under_its_own(Duration own) { co_return co_await with_timeout(own, slow(1h)); }
Task<void> the_nearest_counts() {
  const TimePoint begin = os::now();
  const unsigned line = __LINE__ + 1;
  const Result<int> outer = co_await with_timeout(5ms, under_its_own(1h));
  EXPECT_LT(os::now() - begin, 30min);
  EXPECT_NE(outer.error().message().find(std::string(":").append(std::to_string(line))), std::string::npos)
      << outer.error().message();
  const Result<int> inner = co_await with_timeout(1h, under_its_own(5ms));
  EXPECT_NE(inner.error().message().find("of 5 ms"), std::string::npos) << inner.error().message();
}
TEST(Timeout, a_callee_can_only_shorten_it) { run_on_a_worker_here(the_nearest_counts()); }

Task<TimePoint> asks_for_its_deadline() { co_return co_await current_deadline(); }
Task<void> deadlines_are_visible() {
  EXPECT_EQ(co_await asks_for_its_deadline(), TimePoint::max());
  const TimePoint far = os::now() + 1h;
  EXPECT_EQ(co_await with_deadline(far, asks_for_its_deadline()), far);
  const auto later_inside = [](TimePoint at) -> Task<Result<TimePoint>> {
    co_return co_await with_deadline(at, asks_for_its_deadline());
  };
  EXPECT_EQ(co_await with_deadline(far, later_inside(far + 1h)), far);
  EXPECT_EQ(co_await with_deadline(far, later_inside(far - 1min)), far - 1min);
  const auto shielded = [](TimePoint) -> Task<TimePoint> {
    co_return co_await shield(asks_for_its_deadline());
  };
  EXPECT_EQ(co_await with_deadline(far, shielded(far)), TimePoint::max()) << "a shield keeps it out";
}
TEST(Timeout, is_visible_from_below) { run_on_a_worker_here(deadlines_are_visible()); }

Task<void> spawned_are_on_their_own() {
  const auto spawner = []() -> Task<JoinHandle<Result<int>>> { co_return spawn(slow(5ms)); };
  auto handle = co_await with_timeout(1h, spawner());
  EXPECT_TRUE(co_await std::move(*handle)) << "a spawned task does not inherit";
}
TEST(Timeout, is_not_inherited_by_what_is_spawned) { run_on_a_worker_here(spawned_are_on_their_own()); }

// ---- late successes ----

Task<Result<int>> succeeds_all_the_same() {
  (void)co_await sleep_for(1h);  // cancelled
  co_return 7;
}
Task<int> succeeds_without_a_result() {
  (void)co_await sleep_for(1h);
  co_return 7;
}
Task<void> nothing_but_waits() { (void)co_await sleep_for(1h); }
Task<void> late() {
  EXPECT_EQ(co_await with_timeout(1ms, succeeds_all_the_same()), 7) << "what was read is not lost";
  const Result<int> plain = co_await with_timeout(1ms, succeeds_without_a_result());
  EXPECT_EQ(plain.error(), std::errc::timed_out);
  const Result<void> nothing = co_await with_timeout(1ms, nothing_but_waits());
  EXPECT_EQ(nothing.error(), std::errc::timed_out);
}
TEST(Timeout, passes_a_late_success_on) { run_on_a_worker_here(late()); }

Task<void> other_errors_stay() {
  const auto fails = []() -> Task<Result<int>> {
    (void)co_await sleep_for(1h);
    co_return failure(EPERM);
  };
  const Result<int> result = co_await with_timeout(1ms, fails());
  EXPECT_EQ(result.error(), std::errc::operation_not_permitted);
}
TEST(Timeout, leaves_other_errors_alone) { run_on_a_worker_here(other_errors_stay()); }

// ---- odd values ----

Task<void> ready_in_time(Duration duration, bool& nop_done, bool& sleep_cut) {
  nop_done = (co_await with_timeout(duration, async_nop())).has_value();
  const Result<void> slept = co_await with_timeout(duration, sleep_for(1h));
  sleep_cut = !slept;
}
class OddTimeout : public testing::TestWithParam<Duration> {};
TEST_P(OddTimeout, lets_end_what_needs_no_waiting_and_cuts_the_rest) {
  bool nop_done = false, sleep_cut = false;
  run_on_a_worker_here(ready_in_time(GetParam(), nop_done, sleep_cut));
  EXPECT_TRUE(nop_done);
  EXPECT_TRUE(sleep_cut);
}
INSTANTIATE_TEST_SUITE_P(Of, OddTimeout,
                         testing::Values(Duration::zero(), Duration(1), Duration(-1), Duration(-5s),
                                         Duration::min()));

Task<void> never_early(Duration duration) {
  const TimePoint begin = os::now();
  const Result<int> result = co_await with_timeout(duration, slow(1h));
  EXPECT_FALSE(result);
  EXPECT_GE(os::now() - begin, duration);
}
TEST(Timeout, is_never_early) {
  for (const Duration duration : {Duration(1), Duration(1us), Duration(333us), Duration(10ms)}) {
    for (int i = 0; i < 20; ++i) run_on_a_worker_here(never_early(duration));
  }
}

// ---- many ----

struct Sleepers {
  test::FaultyKernel kernel;
  int woken = 0;
  int early = 0;
  int disorder = 0;
  TimePoint last = TimePoint::min();
};
Task<void> sleeps_until(TimePoint deadline, Sleepers& sleepers) {
  const Result<void> slept = co_await sleep_until(deadline);
  if (sleepers.kernel.now() < deadline) ++sleepers.early;
  if (deadline < sleepers.last) ++sleepers.disorder;
  sleepers.last = std::max(sleepers.last, deadline);
  if (slept) ++sleepers.woken;
}
Task<void> a_million_sleepers(Sleepers& sleepers) {
  constexpr int count = 1'000'000;
  const TimePoint begin = sleepers.kernel.now() + 1h;
  std::vector<JoinHandle<void>> handles;
  handles.reserve(count);
  std::uint64_t random = 1;
  for (int i = 0; i < count; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    handles.push_back(spawn(sleeps_until(begin + std::chrono::seconds((random >> 33) % 3'600), sleepers)));
  }
  while (sleepers.woken < count) {
    (void)co_await async_nop();
    sleepers.kernel.pass_time(10min);
  }
  for (auto& handle : handles) co_await std::move(handle);
}
TEST(Timers, a_million_at_once_fire_in_order_and_none_early) {
  Sleepers sleepers;
  run_on_a_worker_here(a_million_sleepers(sleepers), {.kernel = &sleepers.kernel});
  EXPECT_EQ(sleepers.early, 0);
  EXPECT_EQ(sleepers.disorder, 0);
}

Task<void> arms_and_disarms(int count) {
  for (int i = 0; i < count; ++i) EXPECT_TRUE(co_await with_timeout(1h, async_nop()));
}
TEST(Timers, disarmed_ones_leave_nothing_behind) {
  // If a timer stayed in the heap, it would keep the worker from ending, or it would fire into a frame that
  // has been destroyed.
  run_on_a_worker_here(arms_and_disarms(100'000));
}

// ---- fairness ----

/// Measures how much processor time a thread uses after a deadline. It does not count the time that other
/// programs use, because that is not the thread's fault.
class Lateness {
 public:
  void begin(TimePoint deadline) noexcept {
    deadline_ = deadline;
    used_at_deadline_.reset();
  }
  void look() noexcept {
    if (!used_at_deadline_ && os::now() >= deadline_) used_at_deadline_ = used();
  }
  [[nodiscard]] Duration end() noexcept {
    look();
    return used() - used_at_deadline_.value_or(used());
  }

 private:
  static Duration used() noexcept {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
  TimePoint deadline_ = TimePoint::max();
  std::optional<Duration> used_at_deadline_;
};

Task<void> wakes_the_other(Event& mine, Event& other, const bool& stop, Lateness& lateness) {
  while (!stop) {
    lateness.look();
    mine.reset();
    other.set();
    (void)co_await mine.wait();
  }
  other.set();
}
struct Late {
  std::vector<Duration> by_its_own_work, by_the_clock;
};
Task<void> measures(Late& all, Lateness& lateness, int fd, bool& stop, int& reads) {
  std::array<std::byte, 1> buffer;
  for (int i = 0; i < 100; ++i) {
    const TimePoint deadline = os::now() + 10ms;
    lateness.begin(deadline);
    (void)co_await sleep_until(deadline);
    EXPECT_GE(os::now(), deadline);
    all.by_its_own_work.push_back(lateness.end());
    all.by_the_clock.push_back(os::now() - deadline);
    const Result<std::size_t> got = co_await async_read(fd, buffer, 0);
    if (got) ++reads;
  }
  stop = true;
}
Task<void> ping_pong_beside_a_timer(Late& late, int& reads) {
  const Fd file(test::sys::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  bool stop = false;
  Event ping, pong;
  Lateness one;
  JoinHandle<void> first = spawn(wakes_the_other(ping, pong, stop, one));
  JoinHandle<void> second = spawn(wakes_the_other(pong, ping, stop, one));
  co_await measures(late, one, file.get(), stop, reads);
  co_await std::move(first);
  co_await std::move(second);
}
TEST(Fairness, two_that_wake_each_other_for_ever_delay_a_timer_by_less_than_20_ms_at_p99) {
  Late late;
  int reads = 0;
  run_on_a_worker_here(ping_pong_beside_a_timer(late, reads));
  EXPECT_EQ(reads, 100);
  ASSERT_EQ(late.by_its_own_work.size(), 100U);
  std::ranges::sort(late.by_its_own_work);
  EXPECT_LT(late.by_its_own_work[98], 20ms);
  // The worker does not sleep while a coroutine is ready, either. Even on a busy machine some timers are on
  // time.
  std::ranges::sort(late.by_the_clock);
  EXPECT_LT(late.by_the_clock[10], 20ms);
}

}  // namespace
}  // namespace corering
