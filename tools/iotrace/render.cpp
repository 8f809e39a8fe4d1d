/// render.cpp — three ways to show the same steps.
#include "render.hpp"

#include <array>
#include <cstdio>

namespace iotrace {
namespace {

template <class... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  std::array<char, 256> line{};
  std::snprintf(line.data(), line.size(), pattern, arguments...);
  return line.data();
}

/// Returns the first moment of the record. Every time is shown relative to it.
std::int64_t origin_of(const FlowRecord& record) {
  for (const ReadSteps& read : record.drawn) {
    for (const Step& step : read.steps) {
      if (step.ns) return *step.ns;
    }
  }
  return 0;
}

std::string flow_title(const FlowRecord& record) {
  return record.flow == Flow::switch_to_worker ? "Switch to Worker" : "Worker Callback";
}

std::string summary(const FlowRecord& record) {
  std::string text =
      format("%llu bytes in %llu %s of at most %llu bytes", static_cast<unsigned long long>(record.bytes),
             static_cast<unsigned long long>(record.reads), record.reads == 1 ? "read" : "reads",
             static_cast<unsigned long long>(record.chunk));
  if (record.drawn.size() < record.reads) {
    text += format("; the first %zu are shown and %llu not", record.drawn.size(),
                   static_cast<unsigned long long>(record.reads - record.drawn.size()));
  }
  if (record.lost_events > 0) {
    text += format("; %llu events were lost", static_cast<unsigned long long>(record.lost_events));
  }
  return text;
}

/// Returns the text of an arrow. A step that nobody saw says so.
std::string words(const Step& step) { return step.ns ? step.text : step.text + " (not observed)"; }

// ---- text ----

std::string text_line(const Step& step, Flow flow, std::int64_t origin, const Step* next) {
  const std::string time =
      step.ns ? format("%12.9f", static_cast<double>(*step.ns - origin) * 1e-9) : "           ?";
  std::string line =
      time + "  " + format("%-26s", std::string(name_of(flow, step.from)).c_str()) + words(step);
  if (step.ns && next != nullptr && next->ns) {
    line += format("  <%.9f>", static_cast<double>(*next->ns - *step.ns) * 1e-9);
  }
  return line + "\n";
}

// ---- Mermaid ----

// In a label, ';' ends the statement and '#' starts an entity. Control characters break the line.
std::string mermaid_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ';') {
      escaped += "#59;";
    } else if (c == '#') {
      escaped += "#35;";
    } else {
      escaped += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
  }
  return escaped;
}

char mermaid_id(Actor actor) {
  constexpr std::string_view ids = "MCQEWK";
  return ids[static_cast<std::size_t>(actor)];
}

std::string mermaid_arrow(const Step& step, std::int64_t origin) {
  const bool dashed = step.line == Line::dashed || !step.ns;
  const std::string time =
      step.ns ? format(" [+%.3f µs]", static_cast<double>(*step.ns - origin) * 1e-3) : std::string();
  return format("    %c%s%c: ", mermaid_id(step.from), dashed ? "-->>" : "->>", mermaid_id(step.to)) +
         mermaid_escaped(words(step) + time) + "\n";
}

/// Remarks in the brief's diagrams that are not arrows.
std::string mermaid_note_before(const Step& step, Flow flow) {
  if (step.name == "woken" && step.ns) return "    Note over W: asleep in io_uring_enter() until now\n";
  if (step.name == "filled" && flow == Flow::switch_to_worker)
    return "    Note over C: now running on the Worker Thread\n";
  if (step.name == "submitted" && flow == Flow::worker_callback)
    return "    Note over W: the event loop is already active\n";
  return "";
}

// ---- JSON ----

std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      quoted += format("\\u%04x", byte);  // file names are bytes; each one stays recognisable
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string json_step(const Step& step, std::size_t read, Flow flow, std::int64_t origin) {
  const std::string ns = step.ns ? format("%lld", static_cast<long long>(*step.ns - origin)) : "null";
  return format("    {\"read\": %zu, \"step\": ", read) + json_string(step.name) +
         ", \"from\": " + json_string(name_of(flow, step.from)) +
         ", \"to\": " + json_string(name_of(flow, step.to)) + ", \"ns\": " + ns +
         ", \"observed\": " + (step.ns ? "true" : "false") + ", \"text\": " + json_string(step.text) + "}";
}

}  // namespace

std::string render_text(const FlowRecord& record) {
  std::string text = flow_title(record) + ": " + record.file + ", " + summary(record) + "\n";
  const std::int64_t origin = origin_of(record);
  for (const ReadSteps& read : record.drawn) {
    for (std::size_t i = 0; i < read.steps.size(); ++i) {
      const Step* const next = i + 1 < read.steps.size() ? &read.steps[i + 1] : nullptr;
      text += text_line(read.steps[i], record.flow, origin, next);
    }
  }
  return text;
}

std::string render_mermaid(const FlowRecord& record) {
  std::string text = "sequenceDiagram\n";
  const std::vector<Actor> actors = actors_of(record.flow);
  for (const Actor actor : actors) {
    text +=
        format("    participant %c as ", mermaid_id(actor)) + std::string(name_of(record.flow, actor)) + "\n";
  }
  text += format("    Note over %c,%c: ", mermaid_id(actors.front()), mermaid_id(actors.back())) +
          mermaid_escaped(flow_title(record) + ": " + record.file + ", " + summary(record)) + "\n";
  const std::int64_t origin = origin_of(record);
  for (const ReadSteps& read : record.drawn) {
    for (const Step& step : read.steps)
      text += mermaid_note_before(step, record.flow) + mermaid_arrow(step, origin);
  }
  return text;
}

std::string render_json(const FlowRecord& record) {
  std::string text =
      "{\n  \"flow\": " + json_string(record.flow == Flow::switch_to_worker ? "switch" : "callback") +
      ",\n  \"file\": " + json_string(record.file) +
      format(
          ",\n  \"bytes\": %llu,\n  \"reads\": %llu,\n  \"chunk\": %llu,\n  \"drawn\": %zu,\n"
          "  \"lost_events\": %llu,\n  \"steps\": [",
          static_cast<unsigned long long>(record.bytes), static_cast<unsigned long long>(record.reads),
          static_cast<unsigned long long>(record.chunk), record.drawn.size(),
          static_cast<unsigned long long>(record.lost_events));
  const std::int64_t origin = origin_of(record);
  const char* separator = "\n";
  for (std::size_t i = 0; i < record.drawn.size(); ++i) {
    for (const Step& step : record.drawn[i].steps) {
      text += separator + json_step(step, i, record.flow, origin);
      separator = ",\n";
    }
  }
  return text + "\n  ]\n}\n";
}

}  // namespace iotrace
