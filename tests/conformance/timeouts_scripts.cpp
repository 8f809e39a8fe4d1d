/// timeouts_scripts.cpp — timeouts on every clock, and how they are removed, moved and counted.
#include <cerrno>
#include <ctime>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

SCRIPTS(Timeouts);

TEST_P(Timeouts, fire_after_their_time) {
  const TimePoint begin = kernel().now();
  script.submit({timeout(1, 3ms)});
  script.expect({{1, -ETIME}});
  EXPECT_GE(kernel().now() - begin, 3ms);
}

TEST_P(Timeouts, of_zero_fire_at_once) {
  script.submit({timeout(1, 0ns)});
  script.expect({{1, -ETIME}});
}

TEST_P(Timeouts, fire_in_the_order_of_their_times) {
  script.submit({timeout(1, 30ms), timeout(2, 1ms), timeout(3, 15ms)});
  script.expect({{2, -ETIME}, {3, -ETIME}, {1, -ETIME}});
}

TEST_P(Timeouts, at_a_time_fire_then_on_every_clock) {
  struct Case {
    std::uint32_t flags;
    clockid_t clock;
  };
  for (const auto& [flags, clock] : {Case{0, CLOCK_MONOTONIC}, Case{uapi::timeout_boottime, CLOCK_BOOTTIME},
                                     Case{uapi::timeout_realtime, CLOCK_REALTIME}}) {
    const Duration when = machine->now_of(clock) + 2ms;
    script.submit({timeout(1, when, flags | uapi::timeout_abs)});
    script.expect({{1, -ETIME}});
    EXPECT_GE(machine->now_of(clock), when);
  }
}

TEST_P(Timeouts, at_a_time_that_has_passed_fire_at_once_on_every_clock) {
  for (const std::uint32_t clock : {0U, uapi::timeout_boottime, uapi::timeout_realtime}) {
    script.submit({timeout(1, 1s, clock | uapi::timeout_abs)});
    script.expect({{1, -ETIME}});
  }
}

TEST_P(Timeouts, after_a_time_fire_then_on_every_clock) {
  for (const std::uint32_t clock : {uapi::timeout_boottime, uapi::timeout_realtime}) {
    const TimePoint begin = kernel().now();
    script.submit({timeout(1, 2ms, clock)});
    script.expect({{1, -ETIME}});
    EXPECT_GE(kernel().now() - begin, 1ms);  // another clock may run a little faster
  }
}

TEST_P(Timeouts, on_two_clocks_are_invalid) {
  script.submit({timeout(1, 1ms, uapi::timeout_boottime | uapi::timeout_realtime)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Timeouts, with_a_negative_time_are_invalid) {
  script.submit({timeout(1, -1s)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Timeouts, without_a_time_are_a_fault) {
  Entry nowhere = timeout(1, 1ms);
  nowhere.time.reset();
  script.submit({nowhere});
  script.expect({{1, -EFAULT}});
}

TEST_P(Timeouts, with_a_length_other_than_one_are_invalid) {
  Entry two = timeout(1, 1ms);
  two.sqe.len = 2;
  script.submit({two});
  script.expect({{1, -EINVAL}});
}

TEST_P(Timeouts, with_an_unknown_flag_are_invalid) {
  script.submit({timeout(1, 1ms, 1U << 20)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Timeouts, read_their_time_when_they_are_handed_over) {
  auto& time = outside.object(as_timespec(2ms));
  Entry entry = timeout(1, 0ns);
  entry.time.reset();
  entry.sqe.addr = address(&time);
  script.submit({entry});
  time = as_timespec(1h);
  script.expect({{1, -ETIME}});
}

TEST_P(Timeouts, that_fire_break_a_chain_unless_that_counts_as_success) {
  script.submit({timeout(1, 1ms).linked(), nop(2)});
  script.expect({{1, -ETIME}, {2, -ECANCELED}});
  script.submit({timeout(3, 1ms, uapi::timeout_etime_success).linked(), nop(4)});
  script.expect({{3, -ETIME}, {4, 0}});
}

TEST_P(Timeouts, can_be_removed) {
  script.submit({timeout(1, 1h)});
  script.submit({timeout_remove(2, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, 0}});
}

TEST_P(Timeouts, can_be_cancelled) {
  script.submit({timeout(1, 1h)});
  script.submit({cancel(2, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, 0}});
}

TEST_P(Timeouts, are_removed_once) {
  script.submit({timeout(1, 1h)});
  script.submit({timeout_remove(2, 1), timeout_remove(3, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, 0}, {3, -ENOENT}});
}

TEST_P(Timeouts, that_are_unknown_are_not_found) {
  script.submit({timeout_remove(1, 99), timeout_update(2, 99, 1ms), cancel(3, 99)});
  script.expect({{1, -ENOENT}, {2, -ENOENT}, {3, -ENOENT}});
}

TEST_P(Timeouts, are_not_found_under_the_name_of_another_request) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(1);
  script.submit({recv(1, pair.ours, into)});
  script.submit({timeout_remove(2, 1)});
  script.expect({{2, -ENOENT}});
}

TEST_P(Timeouts, can_be_moved_to_an_earlier_time) {
  script.submit({timeout(1, 1h)});
  script.submit({timeout_update(2, 1, 2ms)});
  script.expect({{2, 0}, {1, -ETIME}});
}

TEST_P(Timeouts, can_be_moved_to_a_later_time) {
  script.submit({timeout(1, 200ms), timeout_update(2, 1, 1h)});
  script.expect({{2, 0}});
  script.submit({timeout(3, 201ms)});
  script.expect({{3, -ETIME}});
  script.submit({timeout_remove(4, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {4, 0}});
}

TEST_P(Timeouts, end_a_wait_for_more_than_one_answer) {
  script.push(timeout(1, 2ms));
  EXPECT_EQ(script.enter(2, uapi::enter_getevents), 1);  // without this rule it waits for ever
  script.expect({{1, -ETIME}});
}

TEST_P(Timeouts, can_be_moved_to_a_time_of_the_clock) {
  script.submit({timeout(1, 1h)});
  script.submit({timeout_update(2, 1, machine->now_of(CLOCK_MONOTONIC) + 2ms, uapi::timeout_abs)});
  script.expect({{2, 0}, {1, -ETIME}});
}

TEST_P(Timeouts, keep_their_clock_when_they_are_moved) {
  script.submit({timeout(1, 1h, uapi::timeout_realtime)});
  script.submit({timeout_update(2, 1, machine->now_of(CLOCK_REALTIME) + 2ms, uapi::timeout_abs)});
  script.expect({{2, 0}, {1, -ETIME}});
}

TEST_P(Timeouts, get_no_other_clock_when_they_are_moved) {
  script.submit({timeout(1, 1h)});
  script.submit({timeout_update(2, 1, 1ms, uapi::timeout_realtime)});
  script.expect({{2, -EINVAL}});
}

TEST_P(Timeouts, that_are_moved_no_longer_count) {
  script.submit({timeout(1, 1h, 0, 3)});
  script.submit({timeout_update(2, 1, 2h)});
  script.expect({{2, 0}});
  script.submit({nop(3), nop(4), nop(5), nop(6)});
  script.expect({{3, 0}, {4, 0}, {5, 0}, {6, 0}});
  script.submit({timeout_remove(7, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {7, 0}});
}

TEST_P(Timeouts, are_not_moved_to_a_negative_time) {
  script.submit({timeout(1, 1h)});
  script.submit({timeout_update(2, 1, -1s)});
  script.expect({{2, -EINVAL}});
}

// ---- counting completions ----

TEST_P(Timeouts, that_count_end_with_the_completion_they_wait_for) {
  script.submit({timeout(1, 1h, 0, 1)});
  script.expect_silence_without_asking();
  script.submit({nop(2)});
  script.expect({{2, 0}, {1, 0}});
}

TEST_P(Timeouts, that_count_to_two_wait_for_the_second) {
  script.submit({timeout(1, 1h, 0, 2)});
  script.submit({nop(2)});
  script.expect({{2, 0}});
  script.expect_silence_without_asking();
  script.submit({nop(3)});
  script.expect({{3, 0}, {1, 0}});
}

TEST_P(Timeouts, that_count_may_fire_before) {
  script.submit({timeout(1, 2ms, 0, 1)});
  script.expect({{1, -ETIME}});
}

// ---- multishot ----

TEST_P(Timeouts, may_be_written_in_nanoseconds) {
  Entry late = timeout(1, 10ms);
  late.time = uapi::Timespec{.seconds = 0, .nanoseconds = 1'500'000'000};
  script.submit({late, timeout(2, 20ms)});
  script.expect({{2, -ETIME}});
  script.submit({cancel(3, 1)});
  script.expect_in_any_order({{3, 0}, {1, -ECANCELED}});
}

TEST_P(Timeouts, that_repeat_end_after_their_count) {
  NEEDS(Feature::timeout_multishot);
  const TimePoint begin = kernel().now();
  script.submit({timeout(1, 1ms, uapi::timeout_multishot, 3)});
  script.expect({{1, -ETIME, more}, {1, -ETIME, more}, {1, -ETIME}});
  EXPECT_GE(kernel().now() - begin, 3ms);
}

// While the ring deferred its work: nobody has seen the others, and nobody is told of them.
TEST_P(Timeouts, that_repeat_do_not_make_up_for_what_was_missed) {
  NEEDS(Feature::timeout_multishot);
  NEEDS(Feature::defer_taskrun);
  script.submit({timeout(1, 20ms, uapi::timeout_multishot)});
  kernel().nap(210ms);
  EXPECT_GE(script.enter(0, uapi::enter_getevents), 0);
  EXPECT_EQ(script.in_the_ring(), 1U);
  script.expect({{1, -ETIME, more}, {1, -ETIME, more}});
}

TEST_P(Timeouts, that_repeat_for_ever_end_when_they_are_removed) {
  NEEDS(Feature::timeout_multishot);
  script.submit({timeout(1, 1ms, uapi::timeout_multishot)});
  script.expect({{1, -ETIME, more}, {1, -ETIME, more}, {1, -ETIME, more}, {1, -ETIME, more}});
  script.submit({timeout_update(2, 1, 1h)});
  while (script.next().value_or(Cqe{}).user_data == 1) continue;  // until the answer to the update
  script.submit({timeout_remove(3, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {3, 0}});
}

TEST_P(Timeouts, that_repeat_are_cancelled_by_their_name) {
  NEEDS(Feature::timeout_multishot);
  script.submit({timeout(1, 1h, uapi::timeout_multishot, 5)});
  script.submit({cancel(2, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, 0}});
}

TEST_P(Timeouts, that_repeat_do_not_repeat_at_a_time) {
  NEEDS(Feature::timeout_multishot);
  script.submit({timeout(1, 1s, uapi::timeout_multishot | uapi::timeout_abs, 3)});
  script.expect({{1, -EINVAL}});
}

}  // namespace
}  // namespace corering::conformance
