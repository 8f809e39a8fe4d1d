/// operation_flow.cpp — the words for the steps of any operation; flow.cpp finds these.
#include "operation_flow.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "evidence.hpp"
#include "selection.hpp"
#include "why.hpp"

namespace iotrace {
namespace {

/// Says what was found in the words of this operation: flows are told about a read.
class OperationFlow {
 public:
  OperationFlow(const Trace& trace, const Operation& operation)
      : trace_(trace), operation_(operation), worker_(trace, operation.thread) {}

  void tell(Step& step) const {
    step.text = text_of(*step.line);
    if (std::string detail = detail_of(step.line->moment); !detail.empty()) step.detail = std::move(detail);
    constexpr std::string_view of_read = "the read's";
    if (const std::size_t at = step.detail.find(of_read); at != std::string::npos)
      step.detail.replace(at, of_read.size(), "the " + std::string(name_of_operation(operation_)) + "'s");
  }

 private:
  [[nodiscard]] std::string detail_of(Moment moment) const {
    switch (moment) {
      case Moment::await:
        return operation_.place != 0 ? "at " + trace_.name_of_place(operation_.place) : "";
      case Moment::on_worker:
        return worker_.name();
      case Moment::filled:
        return arguments();
      case Moment::resumed_with_result:
        return operation_.has_ended ? result() : "";
      default:
        return "";
    }
  }

  [[nodiscard]] std::string arguments() const {
    std::string text;
    if (operation_.fd >= 0) text = "fd " + std::to_string(operation_.fd);
    if (operation_.length > 0)
      text += (text.empty() ? "" : ", ") + std::to_string(operation_.length) + " bytes";
    return text;
  }
  [[nodiscard]] std::string result() const {
    return operation_.result < 0 ? name_of_error(-operation_.result) : std::to_string(operation_.result);
  }

  [[nodiscard]] std::string text_of(const Line& line) const {
    std::string text(line.text);
    const std::string name(name_of_operation(operation_));
    for (const auto& [read, own] :
         {std::pair<std::string_view, std::string>{"async_read()", "async_" + name + "()"},
          {"async_read", "async_" + name},
          {"Performs file read", "Performs " + name}}) {
      const std::size_t at = text.find(read);
      if (name == "read" || at == std::string::npos) continue;
      text.replace(at, read.size(), own);
      break;
    }
    return text;
  }

  const Trace& trace_;
  const Operation& operation_;
  Evidence worker_;
};

std::string heading_of(const Trace& trace, const Operation& operation) {
  const std::string took =
      operation.has_ended ? duration_text(operation.end() - operation.begin()) : "unfinished";
  return std::string(name_of_operation(operation)) + " " + std::to_string(operation.number) + " of " +
         (trace.recording.program.empty() ? "a program" : trace.recording.program) + ", " + took;
}

std::optional<Ns> seen(Ns ns) { return ns == unseen ? std::nullopt : std::optional(ns); }

FlowRecord flow_of_wait(const Trace& trace, const Operation& operation) {
  FlowRecord record{};
  record.flow = Flow::wait;
  record.heading = heading_of(trace, operation);
  const bool joins = operation.joined != 0;
  record.awaited = joins ? "task " + std::to_string(Trace::shown_task(operation.joined))
                         : std::string(name_of_operation(operation));
  record.reads = 1;
  record.lost_events = trace.lost;
  const auto lines = lines_of(Flow::wait, false);
  const Ns begun = operation.time(At::begun);
  const std::string what = joins ? "for the end of " + trace.name_of_task(operation.joined) : "";
  const std::string place = operation.place != 0 ? "at " + trace.name_of_place(operation.place) : "";
  const std::string detail = what + (what.empty() || place.empty() ? "" : ", ") + place;
  const std::string result = operation.result < 0 ? name_of_error(-operation.result) : "";
  record.drawn.push_back(
      {.number = 0,
       .steps = {Step{&lines[0], seen(begun != unseen ? begun : operation.time(At::awaited)), detail, ""},
                 Step{&lines[1], seen(operation.time(At::resumed)), result, ""}}});
  return record;
}

}  // namespace

std::optional<FlowRecord> flow_of(const Trace& trace, const Operation& operation) {
  if (operation.waits_for != Operation::waits_for_nothing) return flow_of_wait(trace, operation);
  const bool is_request = !operation.is_post && operation.opcode < corering::trace::hop_of_operation;
  if (!is_request) return std::nullopt;
  FlowRecord record{};
  const bool hopped = operation.time(At::pushed) != unseen || operation.time(At::popped) != unseen;
  record.flow = hopped ? Flow::switch_to_worker : Flow::worker_callback;
  record.heading = heading_of(trace, operation);
  if (!trace.recording.kernel.empty()) record.kernel = trace.recording.kernel;
  record.kernel_unseen = trace.has_kernel_lane ? "" : trace.kernel_unseen;
  record.reads = 1;
  record.lost_events = trace.lost;
  ReadSteps steps = find_steps(record.flow, trace, operation);
  const OperationFlow words(trace, operation);
  for (Step& step : steps.steps) words.tell(step);
  record.drawn.push_back(std::move(steps));
  return record;
}

}  // namespace iotrace
