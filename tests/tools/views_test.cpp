/// views_test.cpp — a trace as text.
#include "iotrace/views.hpp"

#include <algorithm>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include <corering/base/fd.hpp>
#include <gtest/gtest.h>

#include "iotrace/html.hpp"
#include "iotrace/operation_flow.hpp"
#include "iotrace/render.hpp"
#include "iotrace/why.hpp"
#include "recordings.hpp"

namespace iotrace::test {
namespace {

constexpr std::uint64_t task = 0x900, place = 42;

Trace with_place(std::vector<ThreadRecording> threads) {
  Recording recording = recording_of(std::move(threads));
  recording.places[place] = {.file = "/src/http.cpp", .function = "Task<void> app::parse(int)", .line = 31};
  return make_trace(std::move(recording), true);
}

/// So many reads of so many microseconds each, and one that fails.
Trace reads(int count, std::int64_t microseconds, bool with_failure = false) {
  Thread thread("worker", 7);
  std::int64_t ns = 1'000'000;
  for (int i = 0; i < count; ++i) {
    const std::int64_t took = microseconds * 1000 * (90 + i % 21) / 100;
    thread.begins(ns, Opcode::read, 0x100, task, place)
        .enters(ns + 100, ns + took, 1)
        .ends(ns + took + 100, ns + took + 200, Opcode::read, 0x100, 11);
    ns += took + 1000;
  }
  if (with_failure) {
    thread.begins(ns, Opcode::recv, 0x200, task, place, 9)
        .enters(ns + 100, ns + 900, 1)
        .ends(ns + 1000, ns + 1100, Opcode::recv, 0x200, -104);
  }
  return with_place({thread});
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

TEST(Show, prints_a_line_for_each_operation) {
  const std::string text = show(reads(2, 100), {});
  EXPECT_EQ(lines_in(text), 2U);
  EXPECT_NE(text.find(" 0.000000000  #1 "), std::string::npos) << text;
  EXPECT_NE(text.find("read(5, 4096) = 11  <0.000090200>  parse (http.cpp:31)"), std::string::npos) << text;
}

TEST(Show, prints_only_what_is_selected) {
  const Trace trace = reads(3, 100, true);
  EXPECT_EQ(lines_in(show(trace, {.kinds = {"recv"}})), 1U);
  EXPECT_EQ(lines_in(show(trace, {.kinds = {"recv", "read"}})), 4U);
  EXPECT_EQ(lines_in(show(trace, {.fd = 9})), 1U);
  EXPECT_EQ(lines_in(show(trace, {.worker = 1})), 0U);
  EXPECT_EQ(lines_in(show(trace, {.task = "parse"})), 4U);
  EXPECT_EQ(lines_in(show(trace, {.task = "nobody"})), 0U);
  EXPECT_EQ(lines_in(show(trace, {.task = "0x900"})), 4U);
  EXPECT_EQ(lines_in(show(trace, {.slower_than = 90'300})), 2U);
  EXPECT_EQ(lines_in(show(trace, {.failed = true})), 1U);
  EXPECT_EQ(lines_in(show(trace, {.kept = true})), 0U);
  EXPECT_EQ(lines_in(show(trace, {.from = 100'000, .to = 150'000})), 1U);
}

TEST(Show, says_what_was_lost) {
  Trace trace = reads(1, 100);
  trace.lost = 3;
  EXPECT_NE(show(trace, {}).find("3 events were lost"), std::string::npos);
}

TEST(Stat, counts_each_kind_and_its_failures) {
  const std::string text = stat(reads(100, 100, true), {});
  EXPECT_NE(text.find("read: 100 operations\n"), std::string::npos) << text;
  EXPECT_NE(text.find("recv: 1 operation, 1 failed\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  total "), std::string::npos) << text;
}

TEST(Slowest, are_the_slowest_and_say_why) {
  const std::string text = slowest(reads(30, 100), {}, 2);
  EXPECT_EQ(lines_in(text), 4U) << text;
  EXPECT_NE(text.find("<0.000110200>"), std::string::npos) << text;
  EXPECT_NE(text.find("Nothing unusual: the kernel took 110 µs of 110 µs."), std::string::npos) << text;
}

TEST(Slowest, counts_a_sleep_from_when_it_was_due) {
  Operation sleep{.offset = 100'000, .waits_for = static_cast<std::uint8_t>(corering::trace::WaitFor::time)};
  sleep.at[static_cast<std::size_t>(At::filled)] = 1'000;
  sleep.at[static_cast<std::size_t>(At::resumed)] = 101'030;
  EXPECT_EQ(sleep.slowness(), 30);
  sleep.at[static_cast<std::size_t>(At::resumed)] = 50'000;  // it was cancelled
  EXPECT_EQ(sleep.slowness(), 0);
  sleep.waits_for = static_cast<std::uint8_t>(corering::trace::WaitFor::mutex);
  EXPECT_EQ(sleep.slowness(), 49'000);
}

/// A receive during which the worker runs something for 3 ms, and then sleeps until the data is there.
Thread a_slow_peer() {
  return Thread("worker", 7)
      .begins(1'000'000, Opcode::recv, 0x100, task)
      .enters(1'000'100, 1'010'000, 1)
      .ends(1'010'100, 1'010'200, Opcode::nop, 0x200, 0)
      .begins(4'010'200, Opcode::nop, 0x200, 0x901)
      .enters(4'010'300, 4'020'000, 1)
      .enters(4'020'100, 6'000'000, 0)
      .ends(6'000'100, 6'000'200, Opcode::recv, 0x100, 11);
}

TEST(Why, does_not_blame_a_task_after_which_the_worker_slept) {
  const Trace trace = make_trace(recording_of({a_slow_peer()}));
  const auto recv = std::ranges::find(trace.operations, std::uint64_t{0x100}, &Operation::id);
  ASSERT_NE(recv, trace.operations.end());
  const Explanation told = explain(trace, *recv);
  EXPECT_EQ(name_of(told.cause), "nothing unusual") << told.text;
}

TEST(Why, says_for_what_an_operation_was_captured_if_that_is_known) {
  using corering::trace::KeptFor;
  const auto captured_for = [](KeptFor why) {
    Thread thread = a_slow_peer();
    return make_trace(
        recording_of({thread.at(6'000'300, Kind::kept, 0x100, 0, 0, static_cast<std::uint8_t>(why))}));
  };
  const Trace slow = captured_for(KeptFor::slow), failed = captured_for(KeptFor::failed);
  EXPECT_EQ(why_captured(slow, slow.operations.at(0)), "It was captured, because it was slow.\n");
  EXPECT_EQ(why_captured(failed, failed.operations.at(0)), "It was captured, because it failed.\n");
  EXPECT_EQ(why_captured(slow, slow.operations.at(1)), "") << "the other one was not";
}

// A damaged file may say so.
TEST(Why, of_a_captured_hop_that_no_worker_took_says_nothing_more) {
  Thread thread("main", 7);
  thread.at(1000, Kind::await, 0x100, task, 0).at(2000, Kind::kept, 0x100);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_TRUE(trace.operations.at(0).was_kept);
  ASSERT_EQ(trace.operations.at(0).thread, no_thread);
  EXPECT_EQ(why_captured(trace, trace.operations.at(0)), "");
}

TEST(Durations, are_read_in_any_unit) {
  EXPECT_EQ(parse_duration("5ms"), 5'000'000);
  EXPECT_EQ(parse_duration("1.5us"), 1500);
  EXPECT_EQ(parse_duration("2µs"), 2000);
  EXPECT_EQ(parse_duration("1s"), 1'000'000'000);
  for (const char* const wrong : {"", "5", "ms", "-1ms", "5 ms", "5mss", "1e300s", "nans"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

Verdict verdict_of(const Trace& trace, const char* percentile, const char* demand) {
  return check(trace, {parse_demand(percentile, demand).value()});
}

TEST(Check, is_met_or_not) {
  const Trace trace = reads(100, 100);
  EXPECT_TRUE(verdict_of(trace, "p99", "read<5ms").is_met);
  EXPECT_FALSE(verdict_of(trace, "p99", "read<50us").is_met);
  EXPECT_TRUE(verdict_of(trace, "p50", "read<105us").is_met);
  EXPECT_FALSE(verdict_of(trace, "max", "read<105us").is_met);
  EXPECT_NE(verdict_of(trace, "p99", "read<50us").text.find("FAILED: p99 of read is 1"), std::string::npos);
}

TEST(Check, fails_if_there_is_no_such_operation) {
  EXPECT_FALSE(verdict_of(reads(3, 100), "p99", "write<5ms").is_met);
}

TEST(Check, refuses_what_is_no_demand) {
  for (const char* const wrong : {"read", "read<", "<5ms", "read<5", "read>5ms"})
    EXPECT_FALSE(parse_demand("p99", wrong)) << wrong;
  EXPECT_FALSE(parse_demand("p98", "read<5ms"));
}

TEST(Diff, finds_none_where_there_is_none) {
  const Difference same = diff(reads(1000, 100), reads(800, 100));
  EXPECT_FALSE(same.is_there) << same.text;
  EXPECT_EQ(same.text, "no difference\n");
}

TEST(Diff, names_what_got_slower) {
  const Difference slower = diff(reads(1000, 100), reads(1000, 200));
  EXPECT_TRUE(slower.is_there);
  EXPECT_NE(slower.text.find("read, kernel: p50 is slower: "), std::string::npos) << slower.text;
  EXPECT_NE(diff(reads(1000, 200), reads(1000, 100)).text.find("is faster: "), std::string::npos);
}

TEST(Diff, of_few_operations_finds_nothing_that_may_be_chance) {
  EXPECT_FALSE(diff(reads(4, 100), reads(4, 120)).is_there);
}

TEST(Diff, names_what_is_only_on_one_side) {
  EXPECT_EQ(diff(reads(30, 100), reads(30, 100, true)).text, "recv: only in the second\n");
}

// Each of them spawns the next one, and the last one reads.
TEST(Page, holds_a_long_chain_of_tasks) {
  constexpr std::uint64_t tasks = 200'000;
  Thread thread("worker", 7);
  for (std::uint64_t i = 1; i <= tasks; ++i)
    thread.at(static_cast<std::int64_t>(i), Kind::spawned, 0x1000 + i * 16,
              i > 1 ? 0x1000 + (i - 1) * 16 : 0);
  thread.begins(1'000'000, Opcode::read, 0x100, 0x1000 + tasks * 16);
  const Trace trace = make_trace(recording_of({thread}));
  ASSERT_EQ(trace.tasks.size(), tasks);
  ASSERT_EQ(Trace::number_of_task(trace.operations.at(0).task), tasks);
  const corering::Fd file(::memfd_create("page", MFD_CLOEXEC));
  Output out(file.get());
  write_html(trace, [](const Operation&) { return ""; }, out);
  EXPECT_EQ(out.finish(), 0);
  constexpr off_t least_of_a_task = 8;  // its number twice, as characters
  EXPECT_GT(::lseek(file.get(), 0, SEEK_END), static_cast<off_t>(tasks) * least_of_a_task);
}

TEST(Flow, of_any_operation_has_the_lines_of_the_flows) {
  const Trace trace = reads(1, 100, true);
  const auto record = flow_of(trace, trace.operations[1]);
  ASSERT_TRUE(record);
  const std::string text = render_text(*record);
  EXPECT_NE(text.find("Worker Callback: recv 2 of test, "), std::string::npos) << text;
  EXPECT_NE(text.find("co_await async_recv() [at parse (http.cpp:31)]"), std::string::npos) << text;
  EXPECT_NE(text.find("Fills SQE for async_recv [fd 9, 4096 bytes]"), std::string::npos) << text;
  EXPECT_NE(text.find("resume() with I/O result [ECONNRESET]"), std::string::npos) << text;
  EXPECT_EQ(render_mermaid(*record).find("async_read"), std::string::npos);
}

/// A read that hops to a sleeping worker, with every moment at another time.
Trace read_with_a_hop() {
  constexpr std::uint64_t hop = 0x800, id = 0x100, loop = 1;
  Thread caller("main", 1), worker("worker", 2);
  const auto code = static_cast<std::uint8_t>(Opcode::read);
  caller.at(1000, Kind::await, hop, task, place, corering::trace::hop_of_operation)
      .at(1010, Kind::pushed, hop, task, loop)
      .at(1020, Kind::wake_written, hop)
      .at(1030, Kind::suspended, hop);
  worker.at(500, Kind::submitted, loop, 0, 1)
      .at(1100, Kind::woken, loop, 0)
      .at(1110, Kind::popped, hop, task)
      .at(1120, Kind::resumed_on_worker, hop, task)
      .at(1130, Kind::await, id, task, place, code)
      .at(1140, Kind::sqe_filled, id, fd_and_length(5, 11), corering::trace::packed_offset(0, 0), code)
      .at(1140, Kind::suspended, id, 0, 0, code)
      .enters(1150, 1160, 1)
      .ends(1170, 1180, Opcode::read, id, 11);
  return with_place({caller, worker});
}

// The page draws from the moments of the operation, and the command from the events themselves.
TEST(Flow, has_the_same_times_on_the_page) {
  const Trace trace = read_with_a_hop();
  const Operation& read = trace.operations.at(0);
  const auto record = flow_of(trace, read);
  ASSERT_TRUE(record);
  ASSERT_EQ(record->flow, Flow::switch_to_worker);
  std::size_t compared = 0;
  for (const Step& step : record->drawn.at(0).steps) {
    const auto moment = moment_of_life(step.line->moment);
    if (!moment || !step.ns) continue;
    const bool is_near =
        step.line->moment == Moment::eventfd_written || step.line->moment == Moment::loop_runs;
    EXPECT_NEAR(static_cast<double>(*step.ns), static_cast<double>(read.time(*moment)), is_near ? 10 : 0)
        << step.line->step;
    ++compared;
  }
  EXPECT_EQ(compared, 15U) << "all but what only the kernel knows, and the return to a caller that waits";
}

TEST(Flow, of_a_hop_is_none) {
  const Trace trace = make_trace(recording_of({Thread("worker", 2).at(1, Kind::await, 0x40, task, 0)}));
  EXPECT_FALSE(flow_of(trace, trace.operations.at(0)));
}

Thread waits(corering::trace::WaitFor what) {
  const auto opcode = static_cast<std::uint8_t>(what);
  Thread worker("worker", 2);
  worker.at(1'000, Kind::wait_begins, 0x40, task, place, opcode);
  if (what == corering::trace::WaitFor::task) worker.at(1'000, Kind::joins, 0x40, 0x9000);
  worker.at(13'000'000, Kind::wait_ends, 0x40, 1, 0, opcode);
  return worker;
}

TEST(Flow, of_a_wait_says_what_it_was_for_and_when_that_came) {
  const Trace trace = with_place({waits(corering::trace::WaitFor::mutex)});
  const auto record = flow_of(trace, trace.operations.at(0));
  ASSERT_TRUE(record);
  EXPECT_NE(render_text(*record).find("Wait: mutex 1 of test, 13 ms"), std::string::npos);
  const std::string mermaid = render_mermaid(*record);
  EXPECT_NE(mermaid.find("Task (Coro)->>+mutex: co_await: waits [at parse (http.cpp:31)] [+0.000"),
            std::string::npos)
      << mermaid;
  EXPECT_NE(mermaid.find("mutex-->>-Task (Coro): Lets it go on [+12999.000"), std::string::npos) << mermaid;
  EXPECT_NE(render_json(*record).find("\"flow\": \"wait\""), std::string::npos);
}

TEST(Slowest, leaves_out_waits_for_the_end_of_others_unless_they_are_wanted) {
  const Trace join = with_place({waits(corering::trace::WaitFor::task)});
  EXPECT_EQ(slowest(join, {}, 9), "");
  EXPECT_NE(slowest(join, {.kinds = {"join"}}, 9).find("join(task "), std::string::npos);
  const Trace mutex = with_place({waits(corering::trace::WaitFor::mutex)});
  EXPECT_NE(slowest(mutex, {}, 9).find("mutex"), std::string::npos);
}

TEST(Flow, of_a_join_names_the_task) {
  Thread spawner("spawner", 3);
  spawner.at(10, Kind::spawned, 0x9000, 0, place);
  const Trace trace = with_place({spawner, waits(corering::trace::WaitFor::task)});
  const auto record = flow_of(trace, trace.operations.at(0));
  ASSERT_TRUE(record);
  const std::string mermaid = render_mermaid(*record);
  EXPECT_NE(mermaid.find("participant task 1\n"), std::string::npos) << mermaid;
  EXPECT_NE(mermaid.find("[for the end of task 1, parse (http.cpp:31), at parse (http.cpp:31)]"),
            std::string::npos)
      << mermaid;
}

}  // namespace
}  // namespace iotrace::test
