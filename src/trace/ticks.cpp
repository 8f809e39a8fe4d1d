/// ticks.cpp — reading two clocks at one moment.
#include "trace/ticks.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace corering::trace {
namespace {

bool has_invariant_tsc() noexcept {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0;
#else
  return false;
#endif
}

}  // namespace

const bool use_tsc = has_invariant_tsc();

// Takes the tightest of a few readings: the thread may have lost its processor between the two halves of one
// reading.
ClockPair ClockPair::now() noexcept {
  ClockPair best;
  std::uint64_t tightest = UINT64_MAX;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::uint64_t before = ticks_now();
    const std::int64_t ns = raw_clock_ns();
    const std::uint64_t width = ticks_now() - before;
    if (width >= tightest) continue;
    tightest = width;
    best = {before + width / 2, ns};
  }
  return best;
}

TickScale::TickScale(const ClockPair& from, const ClockPair& to) noexcept
    : origin_(from),
      ns_per_tick_(to.ticks == from.ticks
                       ? 1.0
                       : static_cast<double>(to.ns - from.ns) / static_cast<double>(to.ticks - from.ticks)) {}

std::int64_t TickScale::ns(std::uint64_t ticks) const noexcept {
  const auto since = static_cast<std::int64_t>(ticks - origin_.ticks);
  return origin_.ns + static_cast<std::int64_t>(static_cast<double>(since) * ns_per_tick_);
}

}  // namespace corering::trace
