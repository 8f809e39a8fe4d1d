/// show.cpp — a line per operation, and the slowest ones.
#include <algorithm>
#include <array>
#include <cstdio>

#include "views.hpp"
#include "why.hpp"

namespace iotrace {
namespace {

template <class... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), pattern, arguments...);
  return text.data();
}

std::string seconds(Ns ns) { return format("%.9f", static_cast<double>(ns) * 1e-9); }

std::string arguments_of(const Trace& trace, const Operation& operation) {
  std::string text = operation.joined != 0 ? trace.name_of_task(operation.joined) : "";
  if (operation.fd >= 0) text += std::to_string(operation.fd);
  if (operation.length > 0) text += (text.empty() ? "" : ", ") + std::to_string(operation.length);
  return text;
}

std::string result_of(const Operation& operation) {
  if (!operation.has_ended) return " = ?";
  if (operation.result < 0) return " = " + name_of_error(-operation.result);
  const bool has_result = operation.opcode < corering::trace::hop_of_operation;
  return has_result ? " = " + std::to_string(operation.result) : "";
}

std::string worker_of(const Operation& operation) {
  return operation.thread == no_thread ? "-" : std::to_string(operation.thread);
}

}  // namespace

std::string line_of(const Trace& trace, const Operation& operation, Ns origin) {
  std::string line = format("%12s  #%-6llu %3s  ", seconds(operation.begin() - origin).c_str(),
                            static_cast<unsigned long long>(operation.number), worker_of(operation).c_str());
  line += std::string(name_of_operation(operation)) + "(" + arguments_of(trace, operation) + ")" +
          result_of(operation);
  if (operation.completions > 1) line += " (" + std::to_string(operation.completions) + " answers)";
  line += operation.has_ended ? "  <" + seconds(operation.end() - operation.begin()) + ">" : "  <unfinished>";
  if (operation.place != 0) line += "  " + trace.name_of_place(operation.place);
  if (const std::uint64_t task = Trace::number_of_task(operation.task); task != 0) {
    const std::string name = trace.given_name(operation.task);
    line += "  task " + std::to_string(task) + (name.empty() ? "" : " " + name);
  }
  return line;
}

namespace {

std::string what_was_captured(const Trace& trace) {
  std::uint64_t captured = 0;
  std::uint64_t suppressed = 0;
  for (const auto& thread : trace.recording.threads) {
    captured += thread.captured;
    suppressed += thread.suppressed;
  }
  if (captured == 0) return "";
  return std::to_string(captured) + (captured == 1 ? " capture was" : " captures were") +
         " made of what was slow, failed or stalled; " + std::to_string(suppressed) +
         " more came too soon after another one.\n";
}

}  // namespace

std::string what_is_missing(const Trace& trace) {
  std::string text = what_was_captured(trace);
  if (trace.lost > 0)
    text += std::to_string(trace.lost) + " events were lost: some operations are missing or cut.\n";
  if (!trace.recording.incomplete.empty())
    text += "The file is incomplete: " + trace.recording.incomplete + ".\n";
  return text;
}

std::string show(const Trace& trace, const Selection& selection) {
  const Ns origin = origin_of(trace);
  std::string text;
  for (const Operation& operation : trace.operations) {
    if (is_selected(selection, trace, operation)) text += line_of(trace, operation, origin) + "\n";
  }
  return text + what_is_missing(trace);
}

namespace {

/// Who waits for the end of others is no slower than they are, so that is shown only to who asks for it.
bool is_slow_itself(const Operation& operation, const Selection& selection) {
  using corering::trace::WaitFor;
  const auto what = static_cast<WaitFor>(operation.waits_for);
  return !selection.kinds.empty() || (what != WaitFor::task && what != WaitFor::join);
}

}  // namespace

std::string slowest(const Trace& trace, const Selection& selection, std::size_t count) {
  std::vector<const Operation*> chosen;
  for (const Operation& operation : trace.operations) {
    if (operation.has_ended && is_selected(selection, trace, operation) &&
        is_slow_itself(operation, selection))
      chosen.push_back(&operation);
  }
  const std::size_t shown = std::min(count, chosen.size());
  std::ranges::partial_sort(chosen, chosen.begin() + static_cast<std::ptrdiff_t>(shown), std::greater(),
                            [](const Operation* operation) { return operation->slowness(); });
  std::string text;
  for (std::size_t i = 0; i < shown; ++i) {
    text += line_of(trace, *chosen[i], origin_of(trace)) + "\n              " +
            explain(trace, *chosen[i]).text + "\n";
  }
  return text + what_is_missing(trace);
}

}  // namespace iotrace
