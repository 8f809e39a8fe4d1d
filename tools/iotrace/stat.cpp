/// stat.cpp — statistics as a table, as demands that are met or not, and as a comparison.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

#include "statistics.hpp"
#include "views.hpp"
#include "why.hpp"

namespace iotrace {
namespace {

struct Percentile {
  const char* name;
  double share;
};
constexpr std::array<Percentile, 4> percentiles = {{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}}};

// A µ takes two bytes, and one column.
std::string in_column(const std::string& text, std::size_t width) {
  const auto wide = static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  return std::string(width > wide ? width - wide : 0, ' ') + text;
}

std::string row_of(std::string_view name, const Durations& durations) {
  std::string row = "  " + std::string(name) + std::string(12 - std::min<std::size_t>(name.size(), 12), ' ');
  for (const Percentile& percentile : percentiles)
    row += in_column(duration_text(durations.percentile(percentile.share)), 10);
  return row + "\n";
}

std::string table_of(std::string_view name, const KindStatistics& kind) {
  std::string text = std::string(name) + ": " + std::to_string(kind.count) +
                     (kind.count == 1 ? " operation" : " operations");
  if (kind.errors > 0) text += ", " + std::to_string(kind.errors) + " failed";
  text += "\n              ";
  for (const Percentile& percentile : percentiles) text += in_column(percentile.name, 10);
  text += "\n";
  for (std::size_t i = 0; i < kind.stages.size(); ++i) {
    if (kind.stages[i] != nullptr) text += row_of(stage_names[i], *kind.stages[i]);
  }
  return text;
}

}  // namespace

namespace {

/// The same, as the workers counted it themselves.
struct CountedKind {
  std::uint64_t errors = 0;
  std::map<std::string, std::pair<corering::trace::Histogram, double>> stages;  // and how long a tick is
};

constexpr std::array<std::string_view, 10> order = {"queue", "wake",  "dispatch", "wake_to_run", "run",
                                                    "turn",  "batch", "kernel",   "resume",      "total"};

bool counts(const Selection& selection, const Trace& trace, const corering::trace::RecordedTimes& times) {
  const auto& threads = trace.recording.threads;
  const bool of_worker = !selection.worker ||
                         (*selection.worker < threads.size() && threads[*selection.worker].tid == times.tid);
  return of_worker &&
         (selection.kinds.empty() || std::ranges::find(selection.kinds, times.kind) != selection.kinds.end());
}

std::map<std::string, CountedKind> counted_kinds(const Trace& trace, const Selection& selection) {
  std::map<std::string, CountedKind> kinds;
  for (const auto& times : trace.recording.times) {
    if (!counts(selection, trace, times) || times.ticks->count() == 0) continue;
    CountedKind& kind = kinds[times.kind];
    kind.errors += times.errors;
    auto& [histogram, ns_per_tick] = kind.stages[times.stage];
    histogram += *times.ticks;
    ns_per_tick = times.ns_per_tick;
  }
  return kinds;
}

std::string table_of(std::string_view name, const CountedKind& kind) {
  const bool is_worker = name == "worker";
  const auto whole = kind.stages.find(is_worker ? "turn" : "total");
  const std::uint64_t count = whole == kind.stages.end() ? 0 : whole->second.first.count();
  std::string text =
      std::string(name) + ": " + std::to_string(count) + (is_worker ? " turns" : " operations");
  if (kind.errors > 0)
    text += ", " + std::to_string(kind.errors) + (is_worker ? " longer than 10 ms" : " failed");
  text += "\n              ";
  for (const Percentile& percentile : percentiles) text += in_column(percentile.name, 10);
  text += "\n";
  for (const std::string_view stage : order) {
    const auto found = kind.stages.find(std::string(stage));
    if (found == kind.stages.end()) continue;
    text += "  " + std::string(stage) + std::string(12 - stage.size(), ' ');
    for (const Percentile& percentile : percentiles)
      text += in_column(
          duration_text(static_cast<Ns>(static_cast<double>(found->second.first.quantile(percentile.share)) *
                                        found->second.second)),
          10);
    text += "\n";
  }
  return text;
}

std::string stat_of_times(const Trace& trace, const Selection& selection) {
  std::string text;
  for (const auto& [name, kind] : counted_kinds(trace, selection)) text += table_of(name, kind);
  return text.empty() ? "" : "Counted by the workers since the recording began, without events:\n" + text;
}

}  // namespace

std::string stat(const Trace& trace, const Selection& selection) {
  std::string text;
  for (const auto& [name, kind] : statistics_of(trace, selection)) text += table_of(name, kind);
  if (text.empty() || trace.lost > 0) text += stat_of_times(trace, selection);
  if (text.empty()) text = "No operation was recorded that is selected.\n";
  return text + what_is_missing(trace);
}

// ---- check ----

std::expected<Demand, std::string> parse_demand(std::string_view percentile, std::string_view text) {
  const auto* const known = std::ranges::find_if(
      percentiles, [percentile](const Percentile& one) { return percentile == one.name; });
  const std::size_t less = text.find('<');
  const auto below = less == std::string_view::npos ? std::nullopt : parse_duration(text.substr(less + 1));
  if (known == percentiles.end() || !below || less == 0)
    return std::unexpected("a demand is an operation, <, and a duration, as in read<5ms, not '" +
                           std::string(text) + "'");
  return Demand{.share = known->share,
                .name = std::string(percentile),
                .kind = std::string(text.substr(0, less)),
                .below = *below};
}

namespace {

std::pair<bool, std::string> judge(const Statistics& all, const Demand& demand) {
  const std::string what = demand.name + " of " + demand.kind;
  const auto kind = all.find(demand.kind);
  constexpr auto total = static_cast<std::size_t>(Stage::total);
  if (kind == all.end() || kind->second.stages[total] == nullptr)
    return {false, what + ": no such operation was recorded as a whole"};
  const Ns found = kind->second.stages[total]->percentile(demand.share);
  const bool is_met = found < demand.below;
  return {is_met, what + " is " + duration_text(found) + (is_met ? ", below " : ", not below ") +
                      duration_text(demand.below)};
}

}  // namespace

Verdict check(const Trace& trace, const std::vector<Demand>& demands) {
  const Statistics all = statistics_of(trace);
  Verdict verdict{.is_met = true, .text = {}};
  for (const Demand& demand : demands) {
    const auto [is_met, sentence] = judge(all, demand);
    verdict.is_met = verdict.is_met && is_met;
    verdict.text += (is_met ? "ok: " : "FAILED: ") + sentence + "\n";
  }
  return verdict;
}

// ---- diff ----

namespace {

/// Where a percentile lies, and how far chance may move it: three standard deviations of the number of
/// samples below it.
struct Range {
  Ns low;
  Ns value;
  Ns high;
};
Range range_of(const Durations& durations, double share) {
  const auto count = static_cast<double>(durations.histogram.count());
  const double margin = 3 * std::sqrt(share * (1 - share) / count) + 1 / count;
  return {.low = durations.percentile(std::max(0.0, share - margin)),
          .value = durations.percentile(share),
          .high = durations.percentile(std::min(1.0, share + margin))};
}

// A percentile says something only if there are a few samples beyond it.
bool is_known(const Durations& durations, double share) {
  return static_cast<double>(durations.histogram.count()) * (1 - share) >= 5;
}

std::string change_of(std::string_view kind, std::string_view stage, const Durations& before,
                      const Durations& after) {
  std::string text;
  for (const Percentile& percentile : percentiles) {
    if (!is_known(before, percentile.share) || !is_known(after, percentile.share)) continue;
    const Range was = range_of(before, percentile.share);
    const Range is = range_of(after, percentile.share);
    const bool slower = is.low > was.high && 10 * is.value > 11 * was.value;
    const bool faster = is.high < was.low && 11 * is.value < 10 * was.value;
    if (!slower && !faster) continue;
    text += std::string(kind) + ", " + std::string(stage) + ": " + percentile.name + " is " +
            (slower ? "slower: " : "faster: ") + duration_text(was.value) + " became " +
            duration_text(is.value) + "\n";
  }
  return text;
}

std::string change_of(std::string_view name, const KindStatistics& before, const KindStatistics& after) {
  std::string text;
  for (std::size_t i = 0; i < before.stages.size(); ++i) {
    if (before.stages[i] != nullptr && after.stages[i] != nullptr)
      text += change_of(name, stage_names[i], *before.stages[i], *after.stages[i]);
  }
  if ((before.errors == 0) != (after.errors == 0))
    text += std::string(name) + ": " + std::to_string(before.errors) + " of " + std::to_string(before.count) +
            " failed before, " + std::to_string(after.errors) + " of " + std::to_string(after.count) +
            " now\n";
  return text;
}

}  // namespace

Difference diff(const Trace& before, const Trace& after) {
  const Statistics one = statistics_of(before);
  const Statistics other = statistics_of(after);
  std::set<std::string> names;
  for (const auto& [name, kind] : one) names.insert(name);
  for (const auto& [name, kind] : other) names.insert(name);
  std::string text;
  for (const std::string& name : names) {
    const auto was = one.find(name);
    const auto is = other.find(name);
    if (was != one.end() && is != other.end()) {
      text += change_of(name, was->second, is->second);
    } else {
      text += name + (was == one.end() ? ": only in the second\n" : ": only in the first\n");
    }
  }
  return {.is_there = !text.empty(), .text = text.empty() ? "no difference\n" : text};
}

}  // namespace iotrace
