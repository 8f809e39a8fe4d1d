/// report.cpp — prints rows for people or as JSON records.
#include "report.hpp"

#include <algorithm>

namespace bench {
namespace {

/// Formats `value` with four digits, or as a whole number.
std::string figure(double value) {
  const int decimals = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

/// Gives a verdict only when the whole interval is on one side. With fewer rounds than `fewest` the interval
/// says little.
const char* verdict(const Row& row) {
  constexpr std::size_t fewest = 5;
  if (row.ratio->rounds < fewest) return "";
  if (row.ratio->low <= 1 && row.ratio->high >= 1) return "";
  return (row.ratio->high < 1) == (row.better == Better::lower) ? " better" : " worse";
}

/// Prints the two ends of the interval of a figure, as members of a JSON object.
void print_interval(const char* prefix, const Spread& spread) {
  std::printf(", \"%slow\": %.10g, \"%shigh\": %.10g", prefix, spread.low, prefix, spread.high);
}

}  // namespace

Report::Report(bool json, unsigned rounds) : json_(json), rounds_(rounds) {
  if (json_) {
    std::fputs("[", stdout);
    return;
  }
  std::printf(
      "median, min and max of %u rounds or more, shorter ones; the ratio is to each workload's first "
      "subject, by rounds\n",
      rounds_);
  std::printf("%-15s %-38s %-19s %-27s %11s %11s %11s  %s\n", "workload", "parameters", "subject", "metric",
              "median", "min", "max", "ratio (95 % sure)");
}

void Report::add(const Workload& workload, const Measured& measured) {
  outcomes_.insert(outcomes_.end(), measured.outcomes.begin(), measured.outcomes.end());
  for (const Row& row : measured.rows) {
    if (json_) {
      print_record(workload, row);
    } else {
      print_row(workload, row);
    }
  }
  std::fflush(stdout);
}

bool Report::finish() const {
  if (json_) std::puts("\n]");
  if (!outcomes_.empty()) print_outcomes(json_ ? stderr : stdout);
  return std::ranges::none_of(outcomes_, [](const Outcome& one) { return one.is_sure && !one.is_held; });
}

void Report::print_outcomes(std::FILE* to) const {
  std::fputs(
      "\nwhat is promised; in brackets where the rounds lie too far apart, or are too few, to be sure\n", to);
  for (const Outcome& one : outcomes_) {
    const char* const word = one.is_held ? "held" : "MISSED";
    std::fprintf(to, "%-88s %-18s x%.2f (%.2f to %.2f)  %s%s%s\n", one.what.c_str(), one.limit.c_str(),
                 one.ratio.median, one.ratio.low, one.ratio.high, one.is_sure ? "" : "(", word,
                 one.is_sure ? "" : ")");
  }
}

void Report::print_row(const Workload& workload, const Row& row) const {
  std::printf("%-15s %-38s %-19s %-27s %11s %11s %11s", workload.name.c_str(), workload.parameters.c_str(),
              row.subject.c_str(), row.metric.c_str(), figure(row.value.median).c_str(),
              figure(row.value.min).c_str(), figure(row.value.max).c_str());
  if (row.ratio && row.subject != workload.subjects.front().name) {
    std::printf("  x%.2f (%.2f to %.2f)%s", row.ratio->median, row.ratio->low, row.ratio->high, verdict(row));
  }
  if (row.ratio_to_peer && row.subject.starts_with("corering")) {
    std::printf(", x%.2f of %s", row.ratio_to_peer->median, workload.peer().c_str());
  }
  std::putchar('\n');
}

void Report::print_record(const Workload& workload, const Row& row) {
  std::printf(
      "%s\n  {\"workload\": \"%s\", \"parameters\": \"%s\", \"subject\": \"%s\", \"metric\": \"%s\", "
      "\"value\": %.10g, \"min\": %.10g, \"max\": %.10g, \"rounds\": %u, \"ratio_to_%s\": ",
      first_ ? "" : ",", workload.name.c_str(), workload.parameters.c_str(), row.subject.c_str(),
      row.metric.c_str(), row.value.median, row.value.min, row.value.max, rounds_ * workload.repeats,
      workload.subjects.front().name.c_str());
  if (row.ratio) {
    std::printf("%.4f", row.ratio->median);
  } else {
    std::fputs("null", stdout);
  }
  print_interval("", row.value);
  if (row.ratio) print_interval("ratio_", *row.ratio);
  if (row.ratio_to_peer) {
    std::printf(", \"peer\": \"%s\", \"ratio_to_peer\": %.4f", workload.peer().c_str(),
                row.ratio_to_peer->median);
    print_interval("peer_", *row.ratio_to_peer);
  }
  std::putchar('}');
  first_ = false;
}

}  // namespace bench
