/// operations_test.cpp — how the events of a recording become operations.
#include "iotrace/operations.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "recordings.hpp"

namespace iotrace::test {
namespace {

using corering::trace::hop_of_operation;
using corering::trace::WaitFor;

constexpr std::uint64_t hop = 0x200, read_id = 0x300, task = 0x900, worker = 0x1;
constexpr auto read_code = static_cast<std::uint8_t>(Opcode::read);

Thread a_read(std::int64_t from = 1000) {
  return Thread("worker", 2)
      .begins(from, Opcode::read, read_id, task)
      .enters(from + 100, from + 5000, 1)
      .ends(from + 5100, from + 5200, Opcode::read, read_id, 11);
}

TEST(Operations, a_read_has_its_moments_and_its_stages) {
  const Trace trace = make_trace(recording_of({a_read()}));
  ASSERT_EQ(trace.operations.size(), 1U);
  const Operation& read = trace.operations[0];
  EXPECT_EQ(read.number, 1U);
  EXPECT_EQ(name_of_operation(read), "read");
  EXPECT_EQ(read.time(At::awaited), 1000);
  EXPECT_EQ(read.stage(Stage::batch), 100);
  EXPECT_EQ(read.stage(Stage::kernel), 5000);
  EXPECT_EQ(read.stage(Stage::resume), 100);
  EXPECT_EQ(read.stage(Stage::total), 5200);
  EXPECT_EQ(read.stage(Stage::queue), unseen);
  EXPECT_EQ(read.time(At::returned), 6000);
  EXPECT_EQ(read.result, 11);
  EXPECT_EQ(read.fd, 5);
  EXPECT_EQ(read.length, 4096U);
  EXPECT_TRUE(read.has_ended);
}

TEST(Operations, the_same_address_again_is_another_operation) {
  Thread thread = a_read();
  thread.begins(7000, Opcode::read, read_id, task)
      .enters(7100, 8000, 1)
      .ends(8100, 8200, Opcode::read, read_id, 12);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_EQ(trace.operations[0].result, 11);
  EXPECT_EQ(trace.operations[1].result, 12);
  EXPECT_EQ(trace.operations[1].stage(Stage::total), 1200);
}

Recording hop_and_read(std::uint8_t code_of_hop) {
  const Thread main = Thread("main", 1)
                          .at(100, Kind::await, hop, task, 77, code_of_hop)
                          .at(200, Kind::pushed, hop, task, worker)
                          .at(300, Kind::wake_written, hop)
                          .at(400, Kind::suspended, hop);
  const Thread there = Thread("worker", 2)
                           .enters(50, 500, 0)
                           .at(600, Kind::popped, hop, task)
                           .at(700, Kind::resumed_on_worker, hop, task)
                           .begins(800, Opcode::read, read_id, task, 88)
                           .enters(900, 2000, 1)
                           .ends(2100, 2200, Opcode::read, read_id, 11);
  return recording_of({main, there});
}

TEST(Operations, the_hop_of_an_operation_belongs_to_it) {
  const Trace trace = make_trace(hop_and_read(hop_of_operation));
  ASSERT_EQ(trace.operations.size(), 1U);
  const Operation& read = trace.operations[0];
  EXPECT_EQ(name_of_operation(read), "read");
  EXPECT_EQ(read.stage(Stage::queue), 400);
  EXPECT_EQ(read.stage(Stage::wake), 300);
  EXPECT_EQ(read.stage(Stage::dispatch), 100);
  EXPECT_EQ(read.stage(Stage::total), 2100);
  EXPECT_EQ(read.place, 77U) << "the place is the user's";
  EXPECT_EQ(read.caller, 0U);
  EXPECT_EQ(read.thread, 1U);
  EXPECT_TRUE(read.was_woken_for);
}

TEST(Operations, a_bare_hop_is_one_of_its_own) {
  const Trace trace = make_trace(hop_and_read(corering::trace::no_opcode));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_EQ(name_of_operation(trace.operations[0]), "hop");
  EXPECT_TRUE(trace.operations[0].has_ended);
  EXPECT_EQ(name_of_operation(trace.operations[1]), "read");
}

TEST(Operations, a_push_that_nobody_awaits_is_a_post) {
  const Trace trace = make_trace(recording_of(
      {Thread("main", 1).at(200, Kind::pushed, hop, task, worker).at(210, Kind::wake_elided, hop),
       Thread("worker", 2).at(600, Kind::popped, hop, task)}));
  ASSERT_EQ(trace.operations.size(), 1U);
  EXPECT_EQ(name_of_operation(trace.operations[0]), "post");
  EXPECT_EQ(trace.operations[0].stage(Stage::queue), 400);
}

TEST(Operations, a_request_that_stays_armed_begins_once_and_is_answered_often) {
  Thread thread("worker", 2);
  thread.begins(1000, Opcode::accept, read_id, task).enters(1100, 2000, 1);
  for (int i = 0; i < 3; ++i)
    thread.at(2100 + i, Kind::processed, read_id, cqe(7 + i, corering::uapi::cqe_more));
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 1U);
  EXPECT_EQ(trace.operations[0].completions, 3U);
  EXPECT_FALSE(trace.operations[0].has_ended);
}

TEST(Operations, a_call_that_took_nothing_did_not_submit) {
  const Trace trace =
      make_trace(recording_of({Thread("worker", 2)
                                   .begins(1000, Opcode::read, read_id, task)
                                   .at(1100, Kind::submitted, worker, 1, 0)
                                   .at(1200, Kind::entered, worker, static_cast<std::uint64_t>(-16))
                                   .enters(1300, 2000, 1)
                                   .ends(2100, 2200, Opcode::read, read_id, 11)}));
  EXPECT_EQ(trace.operations[0].time(At::submitted), 1300);
}

TEST(Operations, what_was_parked_says_so) {
  const Trace trace =
      make_trace(recording_of({Thread("worker", 2)
                                   .at(1000, Kind::await, read_id, task, 0, read_code)
                                   .at(1010, Kind::parked, read_id)
                                   .at(1020, Kind::suspended, read_id)
                                   .at(9000, Kind::sqe_filled, read_id, fd_and_length(5, 8), 0, read_code)}));
  ASSERT_EQ(trace.operations.size(), 1U);
  EXPECT_EQ(trace.operations[0].time(At::parked), 1010);
  EXPECT_EQ(trace.operations[0].stage(Stage::prepare), 8000);
}

TEST(Operations, of_which_only_the_end_was_recorded_have_no_invented_beginning) {
  const Trace trace = make_trace(recording_of({Thread("worker", 2)
                                                   .ends(2100, 2200, Opcode::read, read_id, 11)
                                                   .ends(3100, 3200, Opcode::read, read_id, 12)}));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_EQ(trace.operations[0].time(At::awaited), unseen);
  EXPECT_EQ(trace.operations[0].stage(Stage::total), unseen);
  EXPECT_EQ(trace.operations[0].stage(Stage::resume), 100);
  EXPECT_EQ(trace.operations[1].result, 12);
}

TEST(Operations, a_read_from_the_page_cache_needs_no_sqe) {
  const Trace trace =
      make_trace(recording_of({Thread("worker", 2)
                                   .at(1000, Kind::read_now, read_id, fd_and_length(5, 8), 7, read_code)
                                   .at(1500, Kind::resumed, read_id, 8, 0, read_code)
                                   .at(2000, Kind::read_now, read_id, fd_and_length(5, 8), 7, read_code)
                                   .begins(2500, Opcode::read, read_id, task, 7)
                                   .enters(2600, 3000, 1)
                                   .ends(3100, 3200, Opcode::read, read_id, 8)}));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_FALSE(trace.operations[0].missed_cache);
  EXPECT_EQ(trace.operations[0].result, 8);
  EXPECT_TRUE(trace.operations[1].missed_cache);
  EXPECT_EQ(trace.operations[1].time(At::awaited), 2000);
}

TEST(Operations, a_wait_for_a_mutex_is_one) {
  const Trace trace = make_trace(
      recording_of({Thread("worker", 2)
                        .at(1000, Kind::wait_begins, 0x40, task, 7, static_cast<std::uint8_t>(WaitFor::mutex))
                        .at(1800, Kind::wait_ends, 0x40, 1, 0, static_cast<std::uint8_t>(WaitFor::mutex))}));
  ASSERT_EQ(trace.operations.size(), 1U);
  EXPECT_EQ(name_of_operation(trace.operations[0]), "mutex");
  EXPECT_EQ(trace.operations[0].stage(Stage::total), 800);
}

TEST(Operations, the_kernels_events_are_joined_by_request_where_user_data_is_not_unique) {
  Thread worker_thread = a_read();
  worker_thread.begins(7000, Opcode::read, read_id, task).enters(7100, 9000, 1);
  const Thread kernel = Thread("kernel", 0)
                            .at(1200, Kind::kernel_began, 0xaaa0, read_id, 0)
                            .at(5900, Kind::kernel_ended, 0xaaa0, read_id, cqe(11))
                            .at(7150, Kind::kernel_began, 0xbbb0, read_id, 0)
                            .at(7160, Kind::kernel_lent, 0xbbb0, read_id, 0);
  const Trace trace = make_trace(recording_of({worker_thread, kernel}));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_TRUE(trace.has_kernel_lane);
  EXPECT_EQ(trace.operations[0].stage(Stage::submit), 100);
  EXPECT_EQ(trace.operations[0].stage(Stage::kernel), 4700);
  EXPECT_EQ(trace.operations[0].stage(Stage::reap), 200);
  EXPECT_EQ(trace.operations[1].time(At::kernel_lent), 7160);
  EXPECT_EQ(trace.operations[0].time(At::kernel_lent), unseen);
}

TEST(Operations, the_emulations_events_are_joined_by_id) {
  const Trace trace = make_trace(recording_of({Thread("worker", 2)
                                                   .begins(1000, Opcode::read, read_id, task)
                                                   .at(1100, Kind::submitted, worker, 1, 1)
                                                   .at(1150, Kind::emulation_took, read_id)
                                                   .at(1200, Kind::emulation_waits, read_id, 5, 1)
                                                   .at(4800, Kind::emulation_posted, read_id, cqe(11))
                                                   .at(5000, Kind::woken, worker, 1)
                                                   .ends(5100, 5200, Opcode::read, read_id, 11)}));
  EXPECT_EQ(trace.operations[0].stage(Stage::kernel), 3650);
  EXPECT_EQ(trace.operations[0].time(At::kernel_waits), 1200);
  EXPECT_EQ(trace.operations[0].stage(Stage::reap), 300);
}

TEST(Operations, are_named_by_the_function_that_awaits_them) {
  EXPECT_EQ(short_name_of_function("Task<void> app::parse(int)"), "parse");
  EXPECT_EQ(short_name_of_function("Task<Result<int>> app::(anonymous namespace)::parse(int) [T = int]"),
            "parse");
  EXPECT_EQ(short_name_of_function("app::Task<int> {anonymous}::parse(int)"), "parse");
  EXPECT_EQ(short_name_of_function("auto app::serve()::(anonymous class)::operator()(int) const"),
            "a lambda in serve");
  EXPECT_EQ(short_name_of_function(""), "");
}

TEST(Operations, losses_are_counted) {
  ThreadRecording thread = a_read();
  thread.lost = 5;
  Recording recording = recording_of({thread});
  recording.unrecorded = 2;
  EXPECT_EQ(make_trace(std::move(recording)).lost, 7U);
}

// ---- what was kept, with gaps in between ----

TEST(Operations, of_before_a_gap_are_not_those_of_the_same_address_after_it) {
  Thread thread("worker", 2);
  thread.begins(1000, Opcode::read, read_id, task).enters(1100, 2000, 1);
  thread.at(9'000'000, Kind::gap, 0, 500);
  thread.enters(9'000'000, 9'000'100, 0).ends(9'000'200, 9'000'300, Opcode::read, read_id, 11);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_FALSE(trace.operations[0].has_ended);
  EXPECT_TRUE(trace.operations[1].has_ended);
  EXPECT_EQ(trace.operations[1].stage(Stage::total), unseen);
}

TEST(Operations, that_a_capture_follows_through_a_gap_are_whole) {
  Thread thread("worker", 2);
  thread.begins(1000, Opcode::read, read_id, task).enters(1100, 2000, 1);
  thread.at(9'000'000, Kind::gap, read_id, 500);
  thread.enters(9'000'000, 9'000'100, 0).ends(9'000'200, 9'000'300, Opcode::read, read_id, 11);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 1U);
  EXPECT_EQ(trace.operations[0].stage(Stage::total), 9'000'300 - 1000);
}

TEST(Operations, know_that_they_were_kept) {
  Thread thread = a_read();
  thread.at(6300, Kind::kept, read_id, 0, 0, static_cast<std::uint8_t>(corering::trace::KeptFor::slow));
  const Trace trace = make_trace(recording_of({thread}));
  EXPECT_TRUE(trace.operations.at(0).was_kept);
  ASSERT_EQ(trace.marks[0].size(), 1U);
}

// The coroutine reads again at once, from the same place in its frame.
TEST(Operations, are_kept_though_a_later_one_has_the_same_address) {
  constexpr auto slow = static_cast<std::uint8_t>(corering::trace::KeptFor::slow);
  Thread thread = a_read();
  thread.begins(6201, Opcode::read, read_id, task).at(6300, Kind::kept, read_id, 0, 1000 << 1, slow);
  thread.enters(6400, 9000, 1).ends(9100, 9200, Opcode::read, read_id, 12);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 2U);
  EXPECT_TRUE(trace.operations[0].was_kept);
  EXPECT_FALSE(trace.operations[1].was_kept);
  ASSERT_EQ(trace.marks_of(0).size(), 1U);
  EXPECT_EQ(trace.marks_of(0)[0].id, 1U);
}

// The second one is awaited in the turn in which the first one ended, so `since` is before that.
TEST(Operations, are_kept_though_an_earlier_one_ended_in_the_turn_in_which_they_began) {
  Thread thread = a_read();
  thread.begins(6201, Opcode::read, read_id, task).enters(6400, 9000, 1);
  thread.ends(9100, 9200, Opcode::read, read_id, 12).begins(9201, Opcode::read, read_id, task);
  thread.at(9300, Kind::kept, read_id, 0, 6000 << 1);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 3U);
  EXPECT_FALSE(trace.operations[0].was_kept);
  EXPECT_TRUE(trace.operations[1].was_kept);
  EXPECT_FALSE(trace.operations[2].was_kept);
}

TEST(Operations, whose_begin_was_overwritten_have_it_from_their_capture) {
  Thread thread("worker", 2);
  thread.enters(9'000'000, 9'000'100, 0).ends(9'000'200, 9'000'300, Opcode::read, read_id, 11);
  thread.at(9'000'400, Kind::kept, read_id, 0, 1000 << 1);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.operations.size(), 1U);
  EXPECT_EQ(trace.operations[0].stage(Stage::total), 9'000'300 - 1000);
}

TEST(Spans, end_where_a_gap_begins) {
  Thread thread = a_read();
  thread.at(9'000'000, Kind::gap, 0, 500).enters(9'000'100, 9'000'200, 0);
  const Trace trace = make_trace(recording_of({thread}));
  for (const Span& span : trace.spans[0]) EXPECT_LT(span.end - span.begin, 1'000'000);
}

// ---- what the worker did ----

TEST(Spans, tell_what_a_worker_did_at_each_time) {
  const Trace trace = make_trace(recording_of({a_read()}));
  ASSERT_EQ(trace.spans.size(), 1U);
  std::string told;
  for (const Span& span : trace.spans[0]) {
    told += std::to_string(static_cast<int>(span.what)) + " " + std::to_string(span.begin) + "-" +
            std::to_string(span.end) + "; ";
  }
  EXPECT_EQ(told, "2 1100-6000; 3 6000-6200; ") << "asleep, loop";
}

TEST(Spans, of_a_coroutine_begin_when_it_is_resumed_and_end_when_it_waits_again) {
  Thread thread = a_read();
  thread.begins(9200, Opcode::read, read_id, task, 88).enters(9300, 9400, 1);
  const Trace trace = make_trace(recording_of({thread}));
  const auto run = std::ranges::find(trace.spans[0], Span::What::run, &Span::what);
  ASSERT_NE(run, trace.spans[0].end());
  EXPECT_EQ(run->begin, 6200);
  EXPECT_EQ(run->end, 9200);
  EXPECT_EQ(run->task, task);
}

TEST(Spans, of_a_task_that_never_waits_are_found_by_what_was_started) {
  const Trace trace = make_trace(recording_of({Thread("worker", 2)
                                                   .enters(100, 200, 0)
                                                   .at(300, Kind::popped, hop, task)
                                                   .enters(900'300, 900'400, 0)}));
  const auto run = std::ranges::find(trace.spans[0], Span::What::run, &Span::what);
  ASSERT_NE(run, trace.spans[0].end());
  EXPECT_EQ(run->task, task);
  EXPECT_EQ(run->end - run->begin, 900'000);
}

// ---- how fast ----

// Gives the numbers; it fails only when joining is no longer linear.
double seconds_to_join(std::size_t operations) {
  Thread thread("worker", 2);
  for (std::size_t i = 0; i < operations; ++i) {
    const auto ns = static_cast<std::int64_t>(i) * 10'000;
    thread.begins(ns, Opcode::read, 0x1000 + 64 * (i % 50), task)
        .enters(ns + 100, ns + 5000, 1)
        .ends(ns + 5100, ns + 5200, Opcode::read, 0x1000 + 64 * (i % 50), 11);
  }
  Recording recording = recording_of({thread});
  const auto begin = std::chrono::steady_clock::now();
  const Trace trace = make_trace(std::move(recording));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(trace.operations.size(), operations);
  return took.count();
}

TEST(Operations, are_joined_in_linear_time) {
  const double some = seconds_to_join(20'000);
  const double more = seconds_to_join(160'000);
  EXPECT_LT(more, some * 8 * 6) << some << " s and " << more << " s";
}

}  // namespace
}  // namespace iotrace::test
