/// harness.hpp — measures a workload: its subjects interleaved, medians, and ratios taken round by round.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "workloads.hpp"

namespace bench {

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
  /// Between these the median of all rounds that could have been made now lies, with 95 %: order statistics,
  /// whatever the distribution. Of 5 rounds, with 94 %; of fewer they are no more than the smallest and the
  /// largest.
  double low = 0;
  double high = 0;
  std::size_t rounds = 0;
};

/// One metric of one subject over all rounds.
struct Row {
  std::string subject;
  std::string metric;  ///< "p50 (us)"
  Better better = Better::lower;
  Spread value;
  /// This subject's figure to the first subject's in the same round. Nothing where that one has no such
  /// metric, or measured 0.
  std::optional<Spread> ratio;
  /// The same to the workload's peer; see Workload::peer.
  std::optional<Spread> ratio_to_peer;
};

/// Runs every subject once to warm up and then `rounds` times its repeats, each round beginning with another
/// subject: what drifts while the machine warms up or is busy hits all of them alike. A failure names the
/// subject.
[[nodiscard]] std::vector<Row> measure(const Workload& workload, unsigned rounds);

}  // namespace bench
