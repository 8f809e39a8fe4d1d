/// chrome.cpp — one JSON object a line.
#include "chrome.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "common/text.hpp"
#include "slices.hpp"

namespace iotrace {
namespace {

using tools::json_string;

/// Returns how many objects a trace becomes, or a few more.
std::uint64_t events_in(const Trace& trace) {
  std::uint64_t count = trace.recording.threads.size() + 2;
  for (const std::vector<Span>& spans : trace.spans) count += spans.size();
  for (const Operation& operation : trace.operations) count += 4 + 2 * Slices(operation).all().size();
  return count;
}

class Writer {
 public:
  Writer(const Trace& trace, Output& out)
      : trace_(trace),
        out_(out),
        extent_(extent_of(trace)),
        start_(start_of(trace)),
        arrows_(arrows_of(trace)) {}

  void write() {
    out_.add(
        "{\"displayTimeUnit\": \"ns\",\n\"otherData\": {\"clock\": \"CLOCK_MONOTONIC_RAW\", "
        "\"started_ns\": " +
        std::to_string(start_) + ", \"lost_events\": " + std::to_string(trace_.lost) +
        "},\n\"traceEvents\": [");
    write_names();
    for (std::uint32_t i = 0; i < trace_.spans.size(); ++i) write_spans(i);
    write_arrows();
    for (const Operation& operation : trace_.operations) write_operation(operation);
    out_.add("\n]}\n");
  }

 private:
  static Ns start_of(const Trace& trace) {
    return trace.recording.started_ns != 0 ? trace.recording.started_ns : extent_of(trace).begin;
  }

  /// A duration or a moment in microseconds, without a rounding error.
  static std::string micros(Ns ns) {
    const std::lldiv_t parts = std::lldiv(ns < 0 ? -ns : ns, 1000);
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%s%lld.%03lld", ns < 0 ? "-" : "", parts.quot, parts.rem);
    return text.data();
  }

  /// Begins an event of a thread. write_line() ends it.
  std::string event(char phase, std::uint32_t thread) const {
    const bool is_known = thread < trace_.recording.threads.size();
    return std::string("{\"ph\": \"") + phase + "\", \"pid\": " + std::to_string(trace_.recording.pid) +
           ", \"tid\": " + std::to_string(is_known ? trace_.recording.threads[thread].tid : 0);
  }
  std::string timed(char phase, std::uint32_t thread, Ns at, std::string_view name) const {
    return event(phase, thread) + ", \"ts\": " + micros(at - start_) + ", \"name\": " + json_string(name);
  }
  void write_line(const std::string& line) {
    out_.add(is_first_ ? "\n" : ",\n");
    out_.add(line);
    is_first_ = false;
  }

  void write_name(const char* what, std::uint32_t thread, const std::string& name) {
    write_line(event('M', thread) + ", \"name\": \"" + what +
               "\", \"args\": {\"name\": " + json_string(name) + "}}");
  }
  void write_names() {
    write_name("process_name", 0, trace_.recording.program);
    for (std::uint32_t i = 0; i < trace_.recording.threads.size(); ++i)
      write_name("thread_name", i, name_of_thread(trace_, i));
  }

  /// What a worker did: nothing of it overlaps, so each is one complete event.
  void write_spans(std::uint32_t thread) {
    for (const Span& span : trace_.spans[thread]) {
      std::string line = timed('X', thread, span.begin, name_of_span(span.what)) +
                         ", \"dur\": " + micros(span.end - span.begin);
      if (span.what == Span::What::run) line += ", \"args\": {" + task_of(span) + "}";
      write_line(line + "}");
    }
  }
  [[nodiscard]] std::string task_of(const Span& span) const {
    const std::string name = trace_.given_name(span.task);
    return "\"task\": \"" + std::to_string(Trace::shown_task(span.task)) + "\"" +
           (name.empty() ? "" : ", \"name\": " + json_string(name)) +
           ", \"place\": " + json_string(trace_.name_of_place(span.place));
  }

  // An arrow begins and ends in the complete event that is there at the time; threads without a loop have
  // none.
  void write_arrows() {
    write_arrow_ends('s', arrows_.from);
    write_arrow_ends('f', arrows_.to);
  }
  void write_arrow_ends(char phase, const std::vector<std::vector<ArrowEnd>>& threads) {
    for (std::uint32_t i = 0; i < threads.size(); ++i) {
      for (const ArrowEnd& end : threads[i])
        write_line(timed(phase, i, end.at, "operation") + ", \"cat\": \"flow\", \"id\": \"" +
                   std::to_string(end.operation) + (phase == 'f' ? "\", \"bp\": \"e\"}" : "\"}"));
    }
  }

  /// Begins or ends something of an operation, whose `id` joins all of it.
  std::string edge(char phase, const Operation& operation, Ns at, std::string_view name) const {
    return timed(phase, home_of(operation), at, name) + ", \"cat\": \"io\", \"id\": \"" +
           std::to_string(operation.number) + "\"";
  }

  void write_operation(const Operation& operation) {
    const std::string_view name = name_of_operation(operation);
    write_line(edge('b', operation, operation.begin(), name) + ", \"args\": {" + arguments(operation) + "}}");
    std::array<Stage, 2> open{};
    std::size_t depth = 0;
    for_each_edge(
        operation,
        [&](Stage stage, Ns at) {
          open[depth++] = stage;
          write_line(edge('b', operation, at, stage_names[static_cast<std::size_t>(stage)]) + "}");
        },
        [&](Ns at) {
          write_line(edge('e', operation, at, stage_names[static_cast<std::size_t>(open[--depth])]) + "}");
        });
    write_line(edge('e', operation, drawn_end(operation, extent_), name) + "}");
  }

  [[nodiscard]] std::string arguments(const Operation& operation) const {
    std::string text = "\"number\": " + std::to_string(operation.number);
    const auto add = [&text](const char* name, const std::string& value) {
      text += std::string(", \"") + name + "\": " + value;
    };
    if (operation.fd >= 0) add("fd", std::to_string(operation.fd));
    if (operation.length > 0) add("length", std::to_string(operation.length));
    if (operation.offset > 0) add("offset", std::to_string(operation.offset));
    if (operation.has_ended) add("result", std::to_string(operation.result));
    if (!operation.has_ended) add("state", "\"in flight when the recording ended\"");
    if (operation.completions > 1) add("completions", std::to_string(operation.completions));
    if (trace_.recording.place(operation.place) != nullptr)
      add("place", json_string(trace_.name_of_place(operation.place)));
    return text;
  }

  const Trace& trace_;
  Output& out_;
  Extent extent_;
  Ns start_;
  Arrows arrows_;
  bool is_first_ = true;
};

}  // namespace

std::string why_not_chrome(const Trace& trace, std::uint64_t limit) {
  const std::uint64_t events = events_in(trace);
  if (events <= limit) return "";
  return "the trace would have " + std::to_string(events) +
         " events, and viewers of this format fail above " + std::to_string(limit) +
         ": write it with 'iotrace perfetto', or raise --limit";
}

void write_chrome(const Trace& trace, Output& out) { Writer(trace, out).write(); }

}  // namespace iotrace
