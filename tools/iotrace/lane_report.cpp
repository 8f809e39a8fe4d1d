/// lane_report.cpp — the last lines of `iotrace record`.
#include "lane_report.hpp"

#include <array>
#include <cstdio>
#include <numeric>

#include <corering/uring/uapi.hpp>

namespace iotrace {
namespace {

template <class... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), pattern, arguments...);
  return line.data();
}

std::string number_of(std::uint64_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::uint64_t lost_in(const LaneRequests& requests) {
  return std::accumulate(
      requests.threads.begin(), requests.threads.end(), std::uint64_t{0},
      [](std::uint64_t sum, const corering::trace::ThreadRecording& thread) { return sum + thread.lost; });
}

std::string name_of_opcode(std::uint8_t opcode) {
  return opcode < corering::opcode_names.size() ? std::string(corering::opcode_names[opcode])
                                                : "opcode " + std::to_string(opcode);
}

std::string counts_in_words(const LaneRequests& requests) {
  const LaneCounts& counts = requests.counts;
  std::string words = std::to_string(counts.ended) + " of " +
                      number_of(counts.began, "operation", "operations") + " joined with their end; " +
                      number_of(lost_in(requests), "report", "reports") + " lost\n";
  const auto add = [&words](std::uint64_t count, const char* what) {
    if (count > 0) words += "  " + std::to_string(count) + " " + what + "\n";
  };
  add(counts.in_flight, "had not ended when the recording did");
  add(counts.without_cqe, "were to post no CQE (IOSQE_CQE_SKIP_SUCCESS), so nobody knows when they ended");
  add(counts.unreported, "have ended, but the report of it is missing");
  add(counts.overflowed, "CQEs found the CQ full");
  add(counts.foreign, "CQEs belong to no operation that was seen to begin, as messages of other rings do");
  return words;
}

std::string times_in_words(const std::vector<OpcodeTimes>& all) {
  std::string words;
  for (const OpcodeTimes& one : all) {
    words +=
        format("  %-16s %10zu   p50 %-9s p90 %-9s p99 %-9s longest %s\n", name_of_opcode(one.opcode).c_str(),
               one.ns.size(), time_in_words(percentile(one.ns, 0.5)).c_str(),
               time_in_words(percentile(one.ns, 0.9)).c_str(),
               time_in_words(percentile(one.ns, 0.99)).c_str(), time_in_words(one.ns.back()).c_str());
  }
  return words;
}

std::string cost_in_words(const LaneRequests& requests, const LaneCost& cost) {
  const auto operations = static_cast<std::int64_t>(requests.counts.began);
  if (!cost.in_program_ns || operations == 0) return "";
  const std::int64_t here = cost.in_iotrace_ns / operations;
  return format(
      "iotrace: watching costs %s of processor time for each operation: %s in the program (its begin and its "
      "end, as measured here with NOPs) and %s in iotrace\n",
      time_in_words(*cost.in_program_ns + here).c_str(), time_in_words(*cost.in_program_ns).c_str(),
      time_in_words(here).c_str());
}

std::string not_observed(const char* what, const KernelLane::Refusal& refusal) {
  if (refusal.why.empty()) return "";
  return std::string("iotrace: not observed: ") + what + ", because " + refusal.why + "; " +
         std::string(refusal.advice) + "\n";
}

std::string advice_for(const LaneRequests& requests, std::uint32_t one_in) {
  if (is_incomplete(requests)) {
    return "iotrace: the trace is incomplete: give more room (--buffer 8M), or watch fewer operations "
           "(--sample 1/64)\n";
  }
  if (one_in > 1 && requests.counts.began == 0) {
    return "iotrace: no operation is in the sample: the program uses only a few values of user_data; record "
           "it without --sample\n";
  }
  return "";
}

}  // namespace

std::string time_in_words(std::int64_t ns) {
  struct Unit {
    const char* name;
    double ns;
  };
  constexpr std::array units = {Unit{"s", 1e9}, Unit{"ms", 1e6}, Unit{"µs", 1e3}};
  for (const Unit& unit : units) {
    if (static_cast<double>(ns) < unit.ns) continue;
    const double value = static_cast<double>(ns) / unit.ns;
    return format("%.*f %s", value < 10 ? 2 : value < 100 ? 1 : 0, value, unit.name);
  }
  return std::to_string(ns) + " ns";
}

bool is_incomplete(const LaneRequests& requests) { return lost_in(requests) > 0; }

std::string report_of_lane(const LaneRequests& requests, const KernelLane& lane, const LaneCost& cost,
                           std::uint32_t one_in) {
  std::string report;
  if (lane.refusal().why.empty()) {
    report = "iotrace: " + counts_in_words(requests) + times_in_words(requests.times);
    if (one_in > 1) {
      report += "  (a sample: only operations with one of " + std::to_string(one_in) +
                " values of user_data were watched)\n";
    }
    report += cost_in_words(requests, cost);
  }
  return report + advice_for(requests, one_in) + not_observed("what the kernel does", lane.refusal()) +
         not_observed("when threads lose their processor", lane.processors_refusal());
}

}  // namespace iotrace
