/// ticks.cpp — reading two clocks at one moment.
#include "trace/ticks.hpp"

#include <algorithm>

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

constinit bool use_tsc = false;

// Takes the tightest of a few readings: the thread may have lost its processor between the two halves of one
// reading.
layout::Moment moment_now() noexcept {
  layout::Moment best;
  std::uint64_t tightest = UINT64_MAX;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const std::uint64_t before = ticks_now();
    const std::int64_t ns = clock_ns(CLOCK_MONOTONIC_RAW);
    const std::uint64_t width = ticks_now() - before;
    if (width >= tightest) continue;
    tightest = width;
    best = {.ticks = before + width / 2, .raw_ns = ns};
  }
  best.monotonic_ns = clock_ns(CLOCK_MONOTONIC);
  best.unix_ns = clock_ns(CLOCK_REALTIME);
  return best;
}

namespace {

double slope(const layout::Moment& from, const layout::Moment& to) noexcept {
  const auto ticks = static_cast<std::int64_t>(to.ticks - from.ticks);
  const auto ns = static_cast<std::int64_t>(static_cast<std::uint64_t>(to.raw_ns) -
                                            static_cast<std::uint64_t>(from.raw_ns));
  return ticks > 0 && ns > 0 ? static_cast<double>(ns) / static_cast<double>(ticks) : 1.0;
}

}  // namespace

namespace {

constinit layout::Moment program_began;

// Before the constructors of static objects, which may record already.
[[gnu::constructor(101)]] void choose_clock() noexcept {
  use_tsc = has_invariant_tsc();
  program_began = moment_now();
}

}  // namespace

double ns_per_tick() noexcept { return slope(program_began, moment_now()); }

TickScale::TickScale(const layout::Moment& from, const layout::Moment& to) noexcept
    : origin_(from), ns_per_tick_(slope(from, to)) {}

std::int64_t TickScale::ns(std::uint64_t ticks) const noexcept {
  const auto since = static_cast<std::int64_t>(ticks - origin_.ticks);
  const double after = std::clamp(static_cast<double>(since) * ns_per_tick_, -0x1p60, 0x1p60);
  return believable_time(origin_.raw_ns) + static_cast<std::int64_t>(after);
}

}  // namespace corering::trace
