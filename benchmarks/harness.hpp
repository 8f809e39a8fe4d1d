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
  /// The median of all rounds that could have been made now lies between these two, with 95 %. This comes
  /// from order statistics and holds for every distribution. With 5 rounds it holds with 94 %. With fewer
  /// rounds these are only the smallest and the largest value.
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
  /// This subject's figure divided by the first subject's in the same round. It is empty where the first
  /// subject does not have this metric, or measured 0.
  std::optional<Spread> ratio;
  /// This subject's figure divided by that of the workload's peer. See Workload::peer.
  std::optional<Spread> ratio_to_peer;
};

/// What came of a promise.
struct Outcome {
  std::string what;   ///< "read, depth 1: time (ns/operation)"
  std::string limit;  ///< "<= 1.25 x pread"
  Spread ratio;
  bool is_held = false;
  bool is_sure = false;  ///< all that the ratio may be with 95 % lies on the same side of the limit
};

struct Measured {
  std::vector<Row> rows;
  std::vector<Outcome> outcomes;
};

/// Runs every subject once to warm up, and then `rounds` times its repeats. Each round begins with a
/// different subject, so a drift while the machine warms up or is busy affects all of them alike. A failure
/// names the subject.
[[nodiscard]] Measured measure(const Workload& workload, unsigned rounds);

}  // namespace bench
