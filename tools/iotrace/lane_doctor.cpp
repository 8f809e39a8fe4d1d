/// lane_doctor.cpp — each way to see something is tried, and not guessed.
#include "lane_doctor.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <corering/trace/recorder.hpp>

#include "common/text.hpp"
#include "common/timer_check.hpp"
#include "kernel_lane.hpp"
#include "lane_cost.hpp"
#include "lane_report.hpp"

namespace iotrace {
namespace {

constexpr const char* usage = "usage: iotrace doctor [--json]";

struct Finding {
  std::string name;
  bool is_fine = true;
  std::string says;
  std::string advice;  ///< empty when there is nothing to do
};

Finding examine_recorder() {
#if defined(CORERING_NO_TRACE)
  return {.name = "program",
          .is_fine = false,
          .says = "this build of corering cannot record what programs do",
          .advice = "build it with CORERING_TRACE=ON"};
#else
  return {.name = "program",
          .says =
              "programs that are built with corering record themselves: iotrace record, iotrace attach, or "
              "CORERING_TRACE=full,file=FILE in their environment"};
#endif
}

Finding examine_tracepoints(const KernelLane& lane) {
  const KernelLane::Refusal& refusal = lane.refusal();
  if (refusal.why.empty()) {
    return {.name = "kernel",
            .says = "what the kernel does for the rings of any program can be seen, with " +
                    std::to_string(lane.descriptors()) + " descriptors"};
  }
  return {.name = "kernel",
          .is_fine = false,
          .says = "what the kernel does cannot be seen: " + refusal.why,
          .advice = std::string(refusal.advice)};
}

Finding examine_processors(KernelLane& lane) {
  const KernelLane::Refusal& refusal = lane.processors_refusal();
  if (!refusal.why.empty()) {
    return {.name = "threads",
            .is_fine = false,
            .says = "when threads lose their processor cannot be seen: " + refusal.why,
            .advice = std::string(refusal.advice)};
  }
  std::thread([] { std::this_thread::yield(); }).join();
  lane.stop();
  const std::size_t seen = lane.take().events.size();
  if (seen > 0) return {.name = "threads", .says = "when threads lose and get a processor can be seen"};
  return {.name = "threads",
          .is_fine = false,
          .says = "the kernel allows to see when threads lose their processor, but tells nothing",
          .advice = "see whether a sandbox hides it"};
}

Finding examine_cost() {
  const auto cost = measure_lane_cost();
  if (!cost) return {.name = "cost", .says = "nothing can be measured, because nothing can be seen"};
  return {.name = "cost",
          .says = "to see an operation begin and end costs the program " + time_in_words(*cost) +
                  " of processor time"};
}

Finding examine_timers() {
  tools::TimerCheck checked = tools::check_timers();
  return {.name = "timers",
          .is_fine = checked.state == tools::TimerCheck::State::fine,
          .says = std::move(checked.says),
          .advice = std::move(checked.advice)};
}

std::vector<Finding> examine() {
  Finding timers = examine_timers();  // nobody watches yet
  KernelLane lane;
  lane.watch_new_threads();
  std::vector<Finding> findings = {examine_recorder(), examine_tracepoints(lane)};
  findings.push_back(examine_processors(lane));
  findings.push_back(examine_cost());
  findings.push_back(std::move(timers));
  return findings;
}

std::string as_text(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& one : findings) {
    text += (one.is_fine ? "  ok  " : "  !   ") + one.name + std::string(10 - one.name.size(), ' ') +
            tools::printable(one.says) + "\n";
    if (!one.advice.empty()) text += std::string(16, ' ') + "-> " + tools::printable(one.advice) + "\n";
  }
  return text;
}

std::string as_json(const std::vector<Finding>& findings) {
  std::string text = "{\"findings\": [";
  const char* separator = "";
  for (const Finding& one : findings) {
    text += separator + ("{\"name\": " + tools::json_string(one.name)) +
            ", \"state\": " + (one.is_fine ? "\"fine\"" : "\"worse\"") +
            ", \"says\": " + tools::json_string(one.says) +
            ", \"advice\": " + tools::json_string(one.advice) + "}";
    separator = ", ";
  }
  return text + "]}\n";
}

}  // namespace

int doctor_command(const std::vector<std::string_view>& arguments) {
  const bool json = arguments.size() == 1 && arguments[0] == "--json";
  const bool help = arguments.size() == 1 && (arguments[0] == "--help" || arguments[0] == "-h");
  if (!arguments.empty() && !json && !help) return std::fprintf(stderr, "%s\n", usage), 2;
  int code = 0;
  if (help) {
    std::printf("%s\n\nTries what iotrace can see here, and says what to do to see more.\n", usage);
  } else {
    const std::vector<Finding> findings = examine();
    std::fputs((json ? as_json(findings) : as_text(findings)).c_str(), stdout);
    code = std::ranges::all_of(findings, &Finding::is_fine) ? 0 : 1;
  }
  if (std::fflush(stdout) == 0) return code;
  std::fprintf(stderr, "iotrace: standard output: %s\n", std::strerror(errno));
  return 1;
}

}  // namespace iotrace
