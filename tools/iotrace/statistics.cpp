/// statistics.cpp — counting operations and the durations of their stages.
#include "statistics.hpp"

#include <algorithm>

namespace iotrace {
namespace {

void add(KindStatistics& kind, const Operation& operation) {
  ++kind.count;
  if (operation.has_ended && operation.result < 0) ++kind.errors;
  for (std::size_t i = 0; i < kind.stages.size(); ++i) {
    const Ns length = operation.stage(static_cast<Stage>(i));
    if (length == unseen) continue;
    if (kind.stages[i] == nullptr) kind.stages[i] = std::make_unique<Durations>();
    kind.stages[i]->histogram.add(static_cast<std::uint64_t>(std::max<Ns>(length, 0)));
    kind.stages[i]->longest = std::max(kind.stages[i]->longest, length);
  }
}

}  // namespace

Statistics statistics_of(const Trace& trace, const Selection& selection) {
  Statistics all;
  for (const Operation& operation : trace.operations) {
    if (!is_selected(selection, trace, operation)) continue;
    add(all[std::string(name_of_operation(operation))], operation);
  }
  return all;
}

}  // namespace iotrace
