/// harness.cpp — runs the subjects of a workload in turn, and sums up their rounds.
#include "harness.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>

namespace bench {

Subject timed(std::string name, std::uint64_t operations,
              std::function<double(std::uint64_t operations)> nanoseconds) {
  return {.name = std::move(name), .run = [operations, nanoseconds = std::move(nanoseconds)] {
            return Metrics{{.name = "time",
                            .unit = "ns/operation",
                            .value = nanoseconds(operations) / static_cast<double>(operations)}};
          }};
}

std::string Workload::peer() const {
  for (const char* const name : {"asio", "asio_uring"}) {
    if (subjects.front().name != name && std::ranges::find(subjects, name, &Subject::name) != subjects.end())
      return name;
  }
  return "";
}

namespace {

/// The runs of one subject, round by round.
using Runs = std::vector<Metrics>;

/// Returns how many of `count` values lie outside of the interval at each end. If `count` coins are thrown,
/// the probability that at most this number show heads is less than 2.5 %.
std::size_t outside_of_interval(std::size_t count) {
  if (count > 500) {  // then the normal distribution is close enough
    const auto rounds = static_cast<double>(count);
    return static_cast<std::size_t>(rounds / 2 - 1.96 * std::sqrt(rounds) / 2);
  }
  double probability = std::ldexp(1.0, -static_cast<int>(count));  // that exactly `heads` coins show heads
  double at_most = probability;
  std::size_t heads = 0;
  while (at_most < 0.025) {
    probability *= static_cast<double>(count - heads) / static_cast<double>(heads + 1);
    at_most += probability;
    ++heads;
  }
  return heads > 0 ? heads - 1 : 0;
}

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t outside = outside_of_interval(values.size());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median,
          .min = values.front(),
          .max = values.back(),
          .low = values[outside],
          .high = values[values.size() - 1 - outside],
          .rounds = values.size()};
}

Metrics run(const Workload& workload, const Subject& subject) {
  try {
    return subject.run();
  } catch (const std::exception& error) {
    throw std::runtime_error(workload.name + ", " + workload.parameters + ", " + subject.name + ": " +
                             error.what());
  }
}

std::vector<Runs> run_interleaved(const Workload& workload, unsigned rounds) {
  const std::size_t count = workload.subjects.size();
  std::vector<Runs> runs(count);
  for (unsigned round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t subject = (round + i) % count;
      Metrics metrics = run(workload, workload.subjects[subject]);
      if (round > 0) runs[subject].push_back(std::move(metrics));
    }
  }
  return runs;
}

const Metric* find(const Metrics& metrics, const std::string& name) {
  const auto found = std::ranges::find(metrics, name, &Metric::name);
  return found == metrics.end() ? nullptr : &*found;
}

std::optional<Spread> ratio_of(const Runs& runs, std::size_t metric, const Runs& baseline) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < runs.size(); ++round) {
    const Metric& ours = runs[round][metric];
    const Metric* const theirs = find(baseline[round], ours.name);
    if (theirs == nullptr || theirs->value == 0) return std::nullopt;
    ratios.push_back(ours.value / theirs->value);
  }
  return spread_of(std::move(ratios));
}

Spread value_of(const Runs& runs, std::size_t metric) {
  std::vector<double> values;
  for (const Metrics& run : runs) values.push_back(run[metric].value);
  return spread_of(std::move(values));
}

const Runs& runs_of(const Workload& workload, const std::vector<Runs>& runs, const std::string& subject) {
  const auto found = std::ranges::find(workload.subjects, subject, &Subject::name);
  return runs.at(static_cast<std::size_t>(found - workload.subjects.begin()));
}

std::string limit_in_words(const Promise& promise, bool is_most) {
  char text[80];
  std::snprintf(text, sizeof text, "%s %.4g x %s", is_most ? "<=" : ">=", promise.limit, promise.to.c_str());
  return text;
}

Outcome outcome_of(const Workload& workload, const std::vector<Runs>& runs, const Promise& promise) {
  const Runs& ours = runs_of(workload, runs, promise.subject);
  const auto metric = std::ranges::find(ours.front(), promise.metric, &Metric::name);
  const bool is_most = metric->better == Better::lower;
  const auto holds = [&](double ratio) { return is_most ? ratio <= promise.limit : ratio >= promise.limit; };
  const Spread ratio = ratio_of(ours, static_cast<std::size_t>(metric - ours.front().begin()),
                                runs_of(workload, runs, promise.to))
                           .value();
  constexpr std::size_t fewest = 5;
  const bool is_held = holds(ratio.median);
  return {.what = workload.name + ", " + workload.parameters + ", " + promise.subject + ": " + metric->name +
                  " (" + metric->unit + ")",
          .limit = limit_in_words(promise, is_most),
          .ratio = ratio,
          .is_held = is_held,
          .is_sure = ratio.rounds >= fewest && holds(ratio.low) == is_held && holds(ratio.high) == is_held};
}

std::vector<Row> rows_of(const Workload& workload, const std::vector<Runs>& runs) {
  const auto peer = std::ranges::find(workload.subjects, workload.peer(), &Subject::name);
  std::vector<Row> rows;
  for (std::size_t subject = 0; subject < runs.size(); ++subject) {
    const Metrics& first = runs[subject].front();
    for (std::size_t metric = 0; metric < first.size(); ++metric) {
      const Runs* const peer_runs =
          peer == workload.subjects.end() ? nullptr : &runs[peer - workload.subjects.begin()];
      rows.push_back({.subject = workload.subjects[subject].name,
                      .metric = first[metric].name + " (" + first[metric].unit + ")",
                      .better = first[metric].better,
                      .value = value_of(runs[subject], metric),
                      .ratio = ratio_of(runs[subject], metric, runs.front()),
                      .ratio_to_peer =
                          peer_runs == nullptr ? std::nullopt : ratio_of(runs[subject], metric, *peer_runs)});
    }
  }
  return rows;
}

}  // namespace

Measured measure(const Workload& workload, unsigned rounds) {
  const std::vector<Runs> runs = run_interleaved(workload, rounds * workload.repeats);
  Measured measured{.rows = rows_of(workload, runs), .outcomes = {}};
  for (const Promise& promise : workload.promises)
    measured.outcomes.push_back(outcome_of(workload, runs, promise));
  return measured;
}

}  // namespace bench
