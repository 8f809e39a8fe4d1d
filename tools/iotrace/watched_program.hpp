/// watched_program.hpp — starts a program that waits until it may begin, and waits for its end.
#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <corering/base/fd.hpp>

namespace iotrace {

/// Signals that would end iotrace go to the program instead, which decides what to do. Those that a terminal
/// sends it has already.
/// thread: one. Make it before the first other thread, which must not take the signals
class WatchedProgram {
 public:
  /// Starts a process that will be the program. It has these variables in its environment, besides its
  /// parent's.
  WatchedProgram(std::vector<std::string> command,
                 const std::vector<std::pair<std::string, std::string>>& environment);
  WatchedProgram(WatchedProgram&&) = delete;
  /// If it has not begun, it never will.
  ~WatchedProgram();

  /// Returns the process, or -1 if there is none.
  [[nodiscard]] pid_t process() const noexcept { return process_; }

  /// Lets the program begin. Returns 0, or the errno for which it could not.
  [[nodiscard]] int begin();

  /// Waits until the program has ended. Returns its exit code; if a signal has ended it, 128 and the signal.
  /// Calls `tick` once a second.
  [[nodiscard]] int wait(const std::function<void()>& tick);

 private:
  [[noreturn]] void become_program(const std::vector<std::pair<std::string, std::string>>& environment);
  [[nodiscard]] std::optional<int> reap();
  void pass_on(const siginfo_t& signal) const;

  std::vector<std::string> command_;
  pid_t process_ = -1;
  sigset_t signals_{};
  sigset_t before_{};
  corering::Fd gate_;     // a pipe: one byte lets the program begin
  corering::Fd refusal_;  // a pipe: the errno of execvp(3)
};

}  // namespace iotrace
