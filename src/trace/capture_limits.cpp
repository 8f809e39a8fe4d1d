/// capture_limits.cpp — from times to ticks, and from words to limits.
#include "trace/capture_limits.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include <corering/trace/attachment.hpp>

#include "trace/ticks.hpp"

namespace corering::trace {
namespace {

/// What is beyond all times is never exceeded.
std::uint64_t ticks_of(Duration time) noexcept {
  if (time <= Duration::zero()) return 0;
  const double ticks = static_cast<double>(time.count()) / ns_per_tick();
  return ticks < 0x1p63 && time < Duration::max() ? static_cast<std::uint64_t>(ticks) + 1 : UINT64_MAX;
}

bool take_number(std::string_view text, std::size_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number > 0;
}

/// Takes "5ms", "40us", "2s".
bool take_time(std::string_view text, AnyDuration& time) {
  struct Unit {
    std::string_view name;
    std::size_t ns;
  };
  constexpr std::array units = {Unit{"ns", 1}, Unit{"us", 1'000}, Unit{"ms", 1'000'000},
                                Unit{"s", 1'000'000'000}};
  for (const Unit& unit : units) {
    std::size_t number = 0;
    if (!text.ends_with(unit.name) || !take_number(text.substr(0, text.size() - unit.name.size()), number))
      continue;
    time = Duration(static_cast<Duration::rep>(number * unit.ns));
    return number <= std::size_t{3600} * 1'000'000'000 / unit.ns;
  }
  return false;
}

/// Takes "p99" or "p99.9".
bool take_share(std::string_view text, double& share) {
  if (!text.starts_with('p')) return false;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), share);
  share /= 100;
  return error == std::errc() && end == text.data() + text.size() && share > 0 && share < 1;
}

constexpr Duration usual_stall = std::chrono::milliseconds(10);

// What fails and what stalls is kept, too. A limit for stalls of their own may have come before.
bool take_slow(std::string_view text, Capture& capture) {
  AnyDuration stall = usual_stall;
  capture.failed = true;
  if (!take_share(text, capture.slower_than_share)) {
    if (!take_time(text, capture.slower_than)) return false;
    stall = capture.slower_than;
  }
  if (capture.stall == Duration::zero()) capture.stall = stall;
  return true;
}

}  // namespace

void set_limits(recorder::Limits& limits, const Capture& capture) noexcept {
  limits.slow = ticks_of(capture.slower_than);
  limits.share = static_cast<std::uint64_t>(std::clamp(capture.slower_than_share, 0.0, 1.0) * 1e6);
  limits.failed = capture.failed ? 1 : 0;
  limits.stall = ticks_of(capture.stall);
  limits.pause = ticks_of(capture.at_most_every);
  limits.any = (limits.slow | limits.share | limits.failed | limits.stall) != 0 ? 1 : 0;
}

std::optional<Capture> parse_capture(std::string_view words) noexcept {
  Capture capture;
  for (;;) {
    const std::size_t comma = words.find(',');
    if (!take_capture_word(words.substr(0, comma), capture)) return std::nullopt;
    if (comma == std::string_view::npos) break;
    words.remove_prefix(comma + 1);
  }
  return capture.keeps_something() ? std::optional(capture) : std::nullopt;
}

bool take_capture_word(std::string_view word, Capture& capture) {
  if (word == "failed") return capture.failed = true;
  if (word.starts_with("slow=")) return take_slow(word.substr(5), capture);
  if (word.starts_with("stall=")) return take_time(word.substr(6), capture.stall);
  if (word.starts_with("every=")) return take_time(word.substr(6), capture.at_most_every);
  return false;
}

}  // namespace corering::trace
