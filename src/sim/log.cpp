/// log.cpp — unrolling the ring of events.
#include "sim/log.hpp"

#include <algorithm>

namespace corering::sim {

std::vector<Happening> Log::newest() const {
  const std::uint64_t kept = std::min<std::uint64_t>(count_, newest_.size());
  std::vector<Happening> events;
  for (std::uint64_t at = count_ - kept; at < count_; ++at) events.push_back(newest_[at % newest_.size()]);
  return events;
}

}  // namespace corering::sim
