/// timer_check.hpp — whether waits end on time here. Linux 7.0 ended them up to a second late.
#pragma once

#include <string>

namespace tools {

struct TimerCheck {
  enum class State { fine, late, not_tried };
  State state = State::fine;
  std::string says;
  std::string advice = {};  ///< empty when there is nothing to do
};

/// Waits ten times for 10 ms beside a poll that is pending.
/// errors: throws std::bad_alloc
[[nodiscard]] TimerCheck check_timers();

}  // namespace tools
