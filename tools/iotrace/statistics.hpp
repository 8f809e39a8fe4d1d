/// statistics.hpp — how often each kind of operation was done, and how long its stages took.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <corering/trace/histogram.hpp>

#include "selection.hpp"

namespace iotrace {

/// The durations of one stage.
struct Durations {
  corering::trace::Histogram histogram;
  Ns longest = 0;

  [[nodiscard]] Ns percentile(double share) const noexcept {
    return std::min(static_cast<Ns>(histogram.quantile(share)), longest);
  }
};

struct KindStatistics {
  std::uint64_t count = 0;
  std::uint64_t errors = 0;
  std::array<std::unique_ptr<Durations>, static_cast<std::size_t>(Stage::count_)>
      stages;  ///< null: never seen
};

using Statistics = std::map<std::string, KindStatistics, std::less<>>;

[[nodiscard]] Statistics statistics_of(const Trace& trace, const Selection& selection = {});

}  // namespace iotrace
