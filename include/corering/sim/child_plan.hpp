/// child_plan.hpp — what a child process does in a simulated world.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <corering/base/any_duration.hpp>

namespace corering::sim {

/// A child as its parent sees it: it writes, reads what is sent to it, and ends. It handles no signal: all
/// but SIGCHLD, SIGCONT, SIGURG and SIGWINCH end it before it does anything else. A world stops no child:
/// SIGSTOP and its like fail with EOPNOTSUPP.
struct ChildPlan {
  std::string output = {};  ///< to its standard output, if that is a pipe; it waits while the pipe is full
  std::string error = {};   ///< to its standard error
  /// It does not end before its standard input does, if that is a pipe. Otherwise it may end before. In both
  /// cases it reads what comes, and throws it away.
  bool reads_to_the_end = false;
  AnyDuration runs_for = std::chrono::milliseconds(1);  ///< at least
  int code = 0;                                         ///< of its exit
  std::optional<int> signal = std::nullopt;             ///< ends it, instead of an exit
};

}  // namespace corering::sim
