/// render.cpp — three ways to show the same steps.
#include "render.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "common/text.hpp"

namespace iotrace {
namespace {

using tools::json_string;
using tools::printable;

template <class... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), pattern, arguments...);
  return line.data();
}

std::string number(std::uint64_t value) { return std::to_string(value); }

/// Returns the first moment of the record. Every time is shown relative to it. What a note says may have
/// begun before.
std::int64_t origin_of(const FlowRecord& record) {
  for (const ReadSteps& read : record.drawn) {
    for (const Step& step : read.steps) {
      if (step.ns) return *step.ns;
    }
  }
  return 0;
}

std::string name_in(const FlowRecord& record, Actor actor) {
  return actor == Actor::awaited ? printable(record.awaited) : name_of(record.flow, actor, record.kernel);
}

std::string flow_title(const FlowRecord& record) {
  if (record.flow == Flow::wait) return "Wait";
  return record.flow == Flow::switch_to_worker ? "Switch to Worker" : "Worker Callback";
}

/// Says which reads are shown, if not all of them are.
std::string shown(const FlowRecord& record) {
  const std::uint64_t all = record.reads + (record.is_unfinished ? 1 : 0);
  const std::size_t drawn = record.drawn.size();
  if (drawn >= all || drawn == 0) return "";
  const bool and_the_last = record.drawn.back().number >= drawn;
  return "; the first " + number(drawn - (and_the_last ? 1 : 0)) +
         (and_the_last ? " and the unfinished one" : "") + " are shown and " + number(all - drawn) + " not";
}

std::string summary(const FlowRecord& record) {
  std::string text = number(record.bytes) + " bytes in " + number(record.reads) +
                     (record.reads == 1 ? " read" : " reads") + " of at most " + number(record.chunk) +
                     " bytes";
  if (!record.ended_by.empty()) text += "; ended by " + record.ended_by;
  text += shown(record);
  if (record.lost_events > 0) text += "; " + number(record.lost_events) + " events were lost";
  return text;
}

std::string heading(const FlowRecord& record) {
  if (!record.heading.empty()) return flow_title(record) + ": " + printable(record.heading);
  const std::string kernel = kernel_if_not_real(record);
  return flow_title(record) + ": " + printable(record.file) + ", " + summary(record) +
         (kernel.empty() ? "" : "; kernel: " + kernel);
}

bool is_note(const Step& step) { return step.line->shape == Shape::note; }

std::string words_of(const Step& step) {
  return step.text.empty() ? std::string(step.line->text) : step.text;
}

/// Returns the words of the flow, and after them what this recording adds.
std::string words(const Step& step) {
  std::string text = words_of(step);
  if (!step.ns) text += " (not observed)";
  if (!step.detail.empty()) text += " [" + step.detail + "]";
  return text;
}

// ---- text ----

/// Returns the width of the column of names, which ends with a space.
int name_width(const FlowRecord& record) {
  std::size_t width = 26;
  for (const Actor actor : actors_of(record.flow)) width = std::max(width, name_in(record, actor).size() + 1);
  return static_cast<int>(width);
}

/// Returns the time to the next arrow, if both have one.
std::string time_to_next(const ReadSteps& read, std::size_t at) {
  const Step& step = read.steps[at];
  if (!step.ns || is_note(step)) return "";
  do {
    if (++at == read.steps.size()) return "";
  } while (is_note(read.steps[at]));
  const Step& next = read.steps[at];
  return next.ns ? format("  <%.9f>", static_cast<double>(*next.ns - *step.ns) * 1e-9) : "";
}

std::string text_line(const ReadSteps& read, std::size_t at, const FlowRecord& record, std::int64_t origin) {
  const Step& step = read.steps[at];
  return (step.ns ? format("%12.9f", static_cast<double>(*step.ns - origin) * 1e-9) : "           ?") +
         format("  %-*s", name_width(record), name_in(record, step.line->from).c_str()) +
         (is_note(step) ? "note: " : "") + words(step) + time_to_next(read, at) + "\n";
}

// ---- Mermaid ----

// In a label, ';' ends the statement and '#' starts an entity.
std::string mermaid_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ';') {
      escaped += "#59;";
    } else if (c == '#') {
      escaped += "#35;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// After a name may come a comma or a colon, so it has none: they are written as entities.
std::string mermaid_name(const FlowRecord& record, Actor actor) {
  std::string escaped;
  for (const char c : mermaid_escaped(name_in(record, actor))) {
    if (c == ',' || c == ':') {
      escaped += c == ',' ? "#44;" : "#58;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string mermaid_line(const Step& step, const FlowRecord& record, std::int64_t origin) {
  const Line& line = *step.line;
  const std::string from = mermaid_name(record, line.from);
  const std::string bar = line.bar == Bar::begins ? "+" : line.bar == Bar::ends ? "-" : "";
  const std::string who = line.shape == Shape::note ? "Note over " + from
                                                    : from + (line.shape == Shape::dashed ? "-->>" : "->>") +
                                                          bar + mermaid_name(record, line.to);
  const std::string time =
      step.ns ? format(" [%+.3f µs]", static_cast<double>(*step.ns - origin) * 1e-3) : std::string();
  return "    " + who + ": " + mermaid_escaped(words(step) + time) + "\n";
}

/// Returns the statements that make the bars ready for another read.
std::string mermaid_between_reads(const FlowRecord& record) {
  std::string text;
  for (const Actor actor : bars_left_open_by(record.flow))
    text += "    deactivate " + mermaid_name(record, actor) + "\n";
  for (const Actor actor : bars_a_later_read_needs(record.flow))
    text += "    activate " + mermaid_name(record, actor) + "\n";
  return text;
}

// ---- JSON ----

constexpr std::array<std::string_view, 3> shape_names = {"solid", "dashed", "note"};
constexpr std::array<std::string_view, 3> bar_names = {"", "+", "-"};

std::string_view flow_in_json(Flow flow) {
  return flow == Flow::wait ? "wait" : flow == Flow::switch_to_worker ? "switch" : "callback";
}

std::string json_step(const Step& step, std::uint64_t read, const FlowRecord& record, std::int64_t origin) {
  const Line& line = *step.line;
  return "    {\"read\": " + number(read) + ", \"step\": " + json_string(line.step) +
         ", \"from\": " + json_string(name_in(record, line.from)) +
         ", \"to\": " + json_string(name_in(record, line.to)) +
         ", \"ns\": " + (step.ns ? std::to_string(*step.ns - origin) : "null") +
         ", \"observed\": " + (step.ns ? "true" : "false") + ", \"text\": " + json_string(words_of(step)) +
         ", \"detail\": " + json_string(step.detail) +
         ", \"line\": " + json_string(shape_names[static_cast<std::size_t>(line.shape)]) +
         ", \"activation\": " + json_string(bar_names[static_cast<std::size_t>(line.bar)]) + "}";
}

}  // namespace

std::string kernel_if_not_real(const FlowRecord& record) {
  if (record.kernel == "io_uring") return "";
  return record.kernel +
         (record.why_emulated.empty() ? "" : " (io_uring is refused: " + record.why_emulated + ")");
}

std::string render_text(const FlowRecord& record) {
  std::string text = heading(record) + "\n";
  const std::int64_t origin = origin_of(record);
  for (const ReadSteps& read : record.drawn) {
    for (std::size_t i = 0; i < read.steps.size(); ++i) text += text_line(read, i, record, origin);
  }
  if (!record.kernel_unseen.empty())
    text += "The kernel's own steps cannot be observed: " + record.kernel_unseen + ".\n";
  return text;
}

std::string render_mermaid(const FlowRecord& record) {
  std::string text = "sequenceDiagram\n    title " + mermaid_escaped(heading(record)) + "\n";
  for (const Actor actor : actors_of(record.flow))
    text += "    participant " + mermaid_name(record, actor) + "\n";
  const std::int64_t origin = origin_of(record);
  const char* separator = "";
  const std::string between_reads = mermaid_between_reads(record);
  for (const ReadSteps& read : record.drawn) {
    text += separator;
    for (const Step& step : read.steps) text += mermaid_line(step, record, origin);
    separator = between_reads.c_str();
  }
  return text;
}

std::string render_json(const FlowRecord& record) {
  std::string text =
      "{\n  \"flow\": " + json_string(flow_in_json(record.flow)) +
      ",\n  \"file\": " + json_string(record.file) + ",\n  \"bytes\": " + number(record.bytes) +
      ",\n  \"reads\": " + number(record.reads) + ",\n  \"chunk\": " + number(record.chunk) +
      ",\n  \"drawn\": " + number(record.drawn.size()) +
      ",\n  \"lost_events\": " + number(record.lost_events) +
      ",\n  \"ended_by\": " + json_string(record.ended_by) + ",\n  \"error\": " + json_string(record.error) +
      ",\n  \"kernel\": " + json_string(record.kernel) +
      ",\n  \"kernel_unseen\": " + json_string(record.kernel_unseen) + ",\n  \"steps\": [";
  const std::int64_t origin = origin_of(record);
  const char* separator = "\n";
  for (const ReadSteps& read : record.drawn) {
    for (const Step& step : read.steps) {
      text += separator + json_step(step, read.number, record, origin);
      separator = ",\n";
    }
  }
  return text + "\n  ]\n}\n";
}

}  // namespace iotrace
