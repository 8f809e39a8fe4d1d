/// flow_test.cpp — what iotrace finds in recordings that seldom happen: refusals, losses, and strangers'
/// events.
#include "iotrace/flow.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include <corering/uring/uapi.hpp>
#include <gtest/gtest.h>

#include "iotrace/render.hpp"

namespace iotrace {
namespace {

using corering::trace::Kind;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

constexpr int main_tid = 1;
constexpr int worker_tid = 2;
constexpr std::uint64_t root = 0x100, hop = 0x200, read_id = 0x300, wake = 0x6;

constexpr std::uint64_t answer(int result) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(result));
}
constexpr std::uint64_t cqe(int result) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(result)) << 32;
}

TimedEvent event(std::int64_t ns, Kind kind, std::uint64_t id, std::uint64_t a = 0, std::uint64_t b = 0) {
  const bool is_read = id == read_id;
  return {.ns = ns,
          .id = id,
          .a = a,
          .b = b,
          .kind = kind,
          .opcode = is_read ? static_cast<std::uint8_t>(corering::Opcode::read) : corering::trace::no_opcode};
}

/// One read by each flow, as a worker that sleeps and a kernel that is watched record it.
Recorded switch_recording() {
  return {
      .threads = {ThreadRecording{
                      .tid = main_tid,
                      .name = "main",
                      .events = {event(1000, Kind::sync_wait_begin, root), event(1100, Kind::await, hop),
                                 event(1200, Kind::pushed, hop), event(1300, Kind::wake_written, hop),
                                 event(1400, Kind::suspended, hop), event(9000, Kind::sync_wait_end, root)}},
                  ThreadRecording{
                      .tid = worker_tid,
                      .name = "worker",
                      .events = {event(500, Kind::submitted, 0, 1, 1), event(2000, Kind::woken, 0, answer(1)),
                                 event(2100, Kind::processed, wake, cqe(8)), event(2200, Kind::popped, hop),
                                 event(2300, Kind::resumed_on_worker, hop), event(2400, Kind::await, read_id),
                                 event(2400, Kind::sqe_filled, read_id, 5ULL << 32 | 11),
                                 event(2400, Kind::suspended, read_id), event(2500, Kind::submitted, 0, 1, 1),
                                 event(20'000, Kind::woken, 0, answer(1)),
                                 event(20'100, Kind::processed, read_id, cqe(11)),
                                 event(20'200, Kind::resumed, read_id)}}},
      .main_tid = main_tid,
      .since_ns = 900,
      .kernel_did = {{KernelEvent::Kind::began, read_id, 2600},
                     {KernelEvent::Kind::completed, read_id, 19'000}}};
}

Recorded callback_recording() {
  return {
      .threads = {ThreadRecording{
                      .tid = main_tid, .name = "main", .events = {event(1000, Kind::thread_start, 0, 1)}},
                  ThreadRecording{
                      .tid = worker_tid,
                      .name = "worker",
                      .events = {event(1900, Kind::init_callback, 0), event(2000, Kind::spawned, 0x400),
                                 event(2400, Kind::await, read_id),
                                 event(2400, Kind::sqe_filled, read_id, 5ULL << 32 | 11),
                                 event(2400, Kind::suspended, read_id), event(2500, Kind::submitted, 0, 1, 1),
                                 event(20'000, Kind::woken, 0, answer(1)),
                                 event(20'100, Kind::processed, read_id, cqe(11)),
                                 event(20'200, Kind::resumed, read_id), event(20'300, Kind::remark, 0)}}},
      .main_tid = main_tid,
      .kernel_did = {{KernelEvent::Kind::began, read_id, 2600},
                     {KernelEvent::Kind::completed, read_id, 19'000}}};
}

std::vector<TimedEvent>& worker_of(Recorded& recorded) { return recorded.threads[1].events; }

std::vector<Step> only_read(Flow flow, const Recorded& recorded) {
  const std::vector<ReadSteps> reads = find_steps(flow, recorded, 9);
  EXPECT_EQ(reads.size(), 1U);
  return reads.empty() ? std::vector<Step>() : reads.front().steps;
}

std::vector<std::string> names(const std::vector<Step>& steps, bool observed) {
  std::vector<std::string> found;
  for (const Step& step : steps) {
    if (step.ns.has_value() == observed) found.emplace_back(step.line->step);
  }
  return found;
}

const Step& step_named(const std::vector<Step>& steps, std::string_view name) {
  static const Step none{.line = &refused_call, .ns = std::nullopt, .detail = "no such step"};
  const auto found =
      std::ranges::find_if(steps, [name](const Step& step) { return step.line->step == name; });
  return found == steps.end() ? none : *found;
}

TEST(Flow, every_line_is_observed_when_everything_was_recorded) {
  EXPECT_EQ(names(only_read(Flow::switch_to_worker, switch_recording()), false), std::vector<std::string>());
  EXPECT_EQ(names(only_read(Flow::worker_callback, callback_recording()), false), std::vector<std::string>());
}

TEST(Flow, a_line_is_there_in_its_place_whatever_was_lost) {
  for (const Flow flow : {Flow::switch_to_worker, Flow::worker_callback}) {
    const Recorded whole = flow == Flow::switch_to_worker ? switch_recording() : callback_recording();
    for (std::size_t lost = 0; lost < whole.threads[1].events.size(); ++lost) {
      if (whole.threads[1].events[lost].kind == Kind::await) continue;  // then it is no read
      Recorded recorded = whole;
      worker_of(recorded).erase(worker_of(recorded).begin() + static_cast<std::ptrdiff_t>(lost));
      const std::vector<Step> steps = only_read(flow, recorded);
      ASSERT_EQ(steps.size(), lines_of(flow, true).size());
      for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(steps[i].line, &lines_of(flow, true)[i]);
      const Kind kind = whole.threads[1].events[lost].kind;
      EXPECT_TRUE(kind == Kind::init_callback || !names(steps, false).empty() || kind == Kind::processed)
          << "nobody misses " << corering::trace::kind_names[static_cast<std::size_t>(kind)];
    }
  }
}

TEST(Flow, a_refused_call_of_the_kernel_and_its_retry_are_two_calls) {
  for (const int refusal : {-EAGAIN, -EBUSY, 0}) {
    Recorded recorded = callback_recording();
    auto& events = worker_of(recorded);
    const auto call = std::ranges::find(events, Kind::submitted, &TimedEvent::kind);
    const std::initializer_list<TimedEvent> refused = {event(2410, Kind::submitted, 0, 1, 0),
                                                       event(2420, Kind::entered, 0, answer(refusal))};
    events.insert(call, refused);
    const std::vector<Step> steps = only_read(Flow::worker_callback, recorded);
    const Step& tried = step_named(steps, "refused_call");
    EXPECT_EQ(tried.ns, 2410);
    EXPECT_EQ(tried.line->text, "io_uring_submit()");
    const Step& returned = step_named(steps, "refused");
    EXPECT_EQ(returned.ns, 2420);
    EXPECT_EQ(returned.line->shape, Shape::dashed);
    const char* const why = refusal != 0 ? ::strerrorname_np(-refusal) : "returned 0";
    EXPECT_NE(returned.detail.find(why), std::string::npos) << returned.detail;
    EXPECT_EQ(step_named(steps, "submitted").ns, 2500) << "the call that took the SQE";
    EXPECT_EQ(steps.size(), lines_of(Flow::worker_callback, true).size() + 2);
  }
}

TEST(Flow, a_worker_that_is_awake_is_not_drawn_as_woken) {
  Recorded recorded = switch_recording();
  recorded.threads[0].events[3].kind = Kind::wake_elided;
  std::erase_if(worker_of(recorded), [](const TimedEvent& event) { return event.ns < 2200; });
  const std::vector<Step> steps = only_read(Flow::switch_to_worker, recorded);
  EXPECT_EQ(names(steps, false),
            (std::vector<std::string>{"eventfd_written", "asleep", "woken", "loop_runs"}));
  EXPECT_EQ(step_named(steps, "woken").detail, "the worker was awake");
}

TEST(Flow, a_worker_that_had_not_entered_the_kernel_yet_was_not_asleep) {
  Recorded recorded = switch_recording();
  worker_of(recorded)[0].ns = 1350;  // after the eventfd was written
  EXPECT_EQ(names(only_read(Flow::switch_to_worker, recorded), false), std::vector<std::string>{"asleep"});
}

TEST(Flow, a_push_that_was_refused_is_not_observed) {
  Recorded recorded = switch_recording();
  std::erase_if(recorded.threads[0].events, [](const TimedEvent& event) {
    return event.kind == Kind::wake_written || event.kind == Kind::suspended;
  });
  worker_of(recorded).clear();
  recorded.kernel_did.clear();
  EXPECT_EQ(names(only_read(Flow::switch_to_worker, recorded), true),
            (std::vector<std::string>{"await", "returned"}));
}

// A new awaiter often lies where an old one was, so the id alone says nothing.
TEST(Flow, what_belongs_to_the_next_read_is_not_taken_for_this_one) {
  Recorded recorded = callback_recording();
  auto& events = worker_of(recorded);
  const std::vector<TimedEvent> next(events.begin() + 2, events.end());
  std::erase_if(events, [](const TimedEvent& event) { return event.kind == Kind::resumed; });
  for (TimedEvent later : next) {
    later.ns += 100'000;
    events.push_back(later);
  }
  const std::vector<ReadSteps> reads = find_steps(Flow::worker_callback, recorded, 9);
  ASSERT_EQ(reads.size(), 2U);
  EXPECT_EQ(names(reads[0].steps, false), (std::vector<std::string>{"resumed_with_result", "continues"}));
  EXPECT_EQ(names(reads[1].steps, false), (std::vector<std::string>{"kernel_reads", "completed"}));
  EXPECT_EQ(reads[1].steps.size(), lines_of(Flow::worker_callback, false).size());
}

TEST(Flow, the_last_read_is_found_when_the_first_ones_are_overwritten) {
  Recorded recorded = switch_recording();
  const Recorded same = switch_recording();
  auto& main = recorded.threads[0].events;
  for (TimedEvent later : same.threads[0].events) {
    later.ns += 100'000;
    main.push_back(later);
  }
  worker_of(recorded).clear();
  for (TimedEvent later : same.threads[1].events) {
    later.ns += 100'000;
    worker_of(recorded).push_back(later);
  }
  const auto last = find_last_steps(Flow::switch_to_worker, recorded, 41);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(last->number, 41U);
  EXPECT_EQ(names(last->steps, false), (std::vector<std::string>{"kernel_reads", "completed"}));
  EXPECT_EQ(find_last_steps(Flow::switch_to_worker, {.threads = {}, .main_tid = main_tid}, 1), std::nullopt);
}

TEST(Flow, a_read_that_fails_says_with_what) {
  Recorded recorded = callback_recording();
  std::ranges::find(worker_of(recorded), Kind::processed, &TimedEvent::kind)->a = cqe(-EIO);
  const std::vector<Step> steps = only_read(Flow::worker_callback, recorded);
  EXPECT_EQ(step_named(steps, "resumed_with_result").detail.substr(0, 3), "EIO");
  EXPECT_TRUE(names(steps, false).empty());
}

// As the worker records it in one list with its own events: between the call and its return.
TEST(Flow, what_the_emulation_did_is_drawn_as_if_the_kernel_had_told_it) {
  for (const Flow flow : {Flow::switch_to_worker, Flow::worker_callback}) {
    Recorded recorded = flow == Flow::switch_to_worker ? switch_recording() : callback_recording();
    const std::vector<Step> wanted = only_read(flow, recorded);
    recorded.kernel_did.clear();
    auto& events = worker_of(recorded);
    const auto put = [&events](std::int64_t ns, Kind kind, std::uint64_t id) {
      events.insert(std::ranges::find_if(events, [ns](const TimedEvent& event) { return event.ns > ns; }),
                    event(ns, kind, id));
    };
    put(600, Kind::emulation_took, wake);
    put(1950, Kind::emulation_posted, wake);
    put(2600, Kind::emulation_took, read_id);
    put(2700, Kind::emulation_lent, read_id);
    put(19'000, Kind::emulation_posted, read_id);
    recorded.kernel_did = take_what_emulation_did(recorded.threads);
    recorded.is_emulated = true;
    EXPECT_EQ(recorded.kernel_did.size(), 5U);
    const std::vector<Step> steps = only_read(flow, recorded);
    ASSERT_EQ(steps.size(), wanted.size());
    for (std::size_t i = 0; i < steps.size(); ++i)
      EXPECT_EQ(steps[i].ns, wanted[i].ns) << wanted[i].line->text;
    EXPECT_EQ(step_named(steps, "kernel_reads").detail, "a helper thread makes the call");
    EXPECT_TRUE(step_named(steps, "submitted").detail.starts_with("the emulated io_uring_enter()"));
  }
}

// Both views of a read come from the same events, so they show the same times and the same calls.
TEST(Flow, of_a_read_in_a_trace_is_that_of_the_reading_itself) {
  for (const Flow flow : {Flow::switch_to_worker, Flow::worker_callback}) {
    Recorded recorded = flow == Flow::switch_to_worker ? switch_recording() : callback_recording();
    if (flow == Flow::switch_to_worker)
      recorded.threads[0].events[1].opcode = corering::trace::hop_of_operation;
    auto& events = worker_of(recorded);
    const std::initializer_list<TimedEvent> refused = {event(2410, Kind::submitted, 0, 1, 0),
                                                       event(2420, Kind::entered, 0, answer(-EBUSY))};
    events.insert(std::ranges::find(events, read_id, &TimedEvent::id) + 3, refused);
    const std::initializer_list<TimedEvent> done = {event(2600, Kind::emulation_took, read_id),
                                                    event(2700, Kind::emulation_lent, read_id),
                                                    event(19'000, Kind::emulation_posted, read_id)};
    events.insert(std::ranges::find(events, 20'000, &TimedEvent::ns), done);
    const Trace trace = make_trace({.kernel = "io_uring, emulated", .threads = recorded.threads}, true);
    recorded.kernel_did = take_what_emulation_did(recorded.threads);
    recorded.is_emulated = true;
    const std::vector<Step> wanted = only_read(flow, recorded);
    const auto read = std::ranges::find(trace.operations, read_id, &Operation::id);
    ASSERT_NE(read, trace.operations.end());
    const std::vector<Step> found = find_steps(flow, trace, *read).steps;
    for (const Step& step : found) {
      const Step& same = step_named(wanted, step.line->step);
      // These the reading knows better, because it is the program: when it waits and goes on.
      const auto is_any_of = [&step](auto... moments) { return ((step.line->moment == moments) || ...); };
      if (is_any_of(Moment::await, Moment::returned, Moment::continues)) continue;
      EXPECT_EQ(step.ns, same.ns) << step.line->text;
      if (is_any_of(Moment::on_worker)) continue;
      EXPECT_EQ(step.detail, same.detail) << step.line->text;
    }
    EXPECT_EQ(found.size(), lines_of(flow, false).size() + 2) << "the refused call, too";
  }
}

TEST(Rendering, a_kernel_that_is_not_io_uring_is_named_in_every_format) {
  FlowRecord record{.flow = Flow::worker_callback, .file = "f"};
  record.drawn = find_steps(record.flow, callback_recording(), 1);
  EXPECT_EQ(render_text(record).find("kernel:"), std::string::npos);
  record.kernel = "io_uring, emulated";
  record.why_emulated = "Operation not permitted";
  const std::string text = render_text(record);
  EXPECT_TRUE(text.substr(0, text.find('\n'))
                  .ends_with("; kernel: io_uring, emulated (io_uring is refused: Operation not permitted)"))
      << text;
  EXPECT_NE(text.find("  Kernel (io_uring, emulated) Places completion"), std::string::npos) << text;
  EXPECT_NE(render_mermaid(record).find("    participant Kernel (io_uring#44; emulated)\n"),
            std::string::npos);
  EXPECT_NE(render_json(record).find("\"kernel\": \"io_uring, emulated\""), std::string::npos);
}

// A mark of its own: the line keeps its kind, and so does the time.
TEST(Rendering, a_step_that_nobody_saw_is_marked_and_not_dashed) {
  Recorded recorded = callback_recording();
  recorded.kernel_did.clear();
  std::erase_if(worker_of(recorded), [](const TimedEvent& event) { return event.kind == Kind::processed; });
  FlowRecord record{.flow = Flow::worker_callback, .file = "f"};
  record.drawn = find_steps(record.flow, recorded, 1);
  const std::string diagram = render_mermaid(record);
  for (const char* const line :
       {"    Worker Thread->>Worker Thread: process_completions() (not observed)\n",
        "    Kernel (io_uring)-->>-Worker Thread: Places completion (CQE) in queue (not observed)\n",
        "    Note over Kernel (io_uring): Performs file read... (not observed)\n"}) {
    EXPECT_NE(diagram.find(line), std::string::npos) << line << diagram;
  }
}

}  // namespace
}  // namespace iotrace
