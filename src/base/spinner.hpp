/// spinner.hpp — decides whether to watch for a while before sleeping.
#pragma once

#include <algorithm>
#include <unistd.h>

#include <corering/base/time.hpp>

namespace corering {

/// Learns from how long the last waits took. Watching pays when the event comes within the budget: a sleep
/// and its wake-up cost about as much as that. The spinner turns itself off the first time that watching
/// finds nothing, and on again when `needed_` sleeps in a row were short. If watching keeps failing although
/// sleeps are short (the thread that is waited for needs this very processor), `needed_` doubles each time.
class Spinner {
 public:
  explicit Spinner(Duration budget, bool has_company = several_processors()) noexcept
      : budget_(has_company ? budget : Duration::zero()) {}

  /// With one processor nothing can happen while we watch. The processors of the machine count, not those of
  /// this thread: the thread that is waited for may run on another one.
  [[nodiscard]] static bool several_processors() noexcept { return ::sysconf(_SC_NPROCESSORS_ONLN) > 1; }

  [[nodiscard]] Duration budget() const noexcept { return budget_; }
  [[nodiscard]] bool may_be_on() const noexcept { return budget_ > Duration::zero(); }
  [[nodiscard]] bool is_on() const noexcept { return on_; }

  /// To be called after a sleep of this length while the spinner was off. The length includes two wake-ups
  /// that watching saves: our own, and that of the thread that we wait for, which sleeps until we answer.
  void slept(Duration time) noexcept {
    short_sleeps_ = time / 3 < budget_ ? short_sleeps_ + 1 : 0;
    if (short_sleeps_ >= needed_) on_ = true;
  }
  /// To be called when it watched and something came.
  void found() noexcept { ++found_; }
  /// To be called when it watched for the whole budget and nothing came.
  void found_nothing() noexcept {
    needed_ = found_ >= worth_it ? first_needed : std::min(2 * needed_, most_needed);
    on_ = false;
    short_sleeps_ = found_ = 0;
  }

 private:
  static constexpr unsigned first_needed = 4;
  static constexpr unsigned most_needed = 1024;
  static constexpr unsigned worth_it = 16;  // this many successes pay for one failure

  Duration budget_;
  unsigned short_sleeps_ = 0;
  unsigned needed_ = first_needed;
  unsigned found_ = 0;
  bool on_ = false;
};

}  // namespace corering
