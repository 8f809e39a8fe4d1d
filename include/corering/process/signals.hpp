/// signals.hpp — signals as something to await, and two that servers want.
#pragma once

#include <initializer_list>
#include <span>
#include <unistd.h>

#include <corering/base/fd.hpp>
#include <corering/core/operation.hpp>
#include <corering/core/worker.hpp>

namespace corering {

/// Takes signals out of the ordinary delivery and hands them to whoever awaits next(): a signalfd(2), read
/// through the ring. Make it at the top of main, before any thread starts: the signals are blocked in the
/// calling thread and in those that it starts later, and a thread that does not block them would still be
/// interrupted. They stay blocked when it is destroyed.
class Signals {
 public:
  /// Blocks `signals` and opens the descriptor; the errno of sigprocmask(2) or signalfd(2) if that fails.
  [[nodiscard]] static Result<Signals> block(std::initializer_list<int> signals);

  /// Waits for the next of the signals and returns its number. One await at a time gets each signal; equal
  /// signals that arrive before they are awaited count once, as ever. Fails with the scope's reason when
  /// cancelled.
  [[nodiscard]] Task<Result<int>> next();

 private:
  explicit Signals(Fd fd) noexcept : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Writes to `output`, for each signal that `signals` gives, the dump of every worker (Worker::dump_tasks()),
/// until it is cancelled. For a Signals of SIGUSR1 of its own, as in
/// `spawn(dump_tasks_on(signals, workers)).detach()`. A worker that does not answer within a second is named
/// as such; for so long it also keeps this one waiting. `signals` and the workers outlive it.
[[nodiscard]] Task<void> dump_tasks_on(Signals& signals, std::span<Worker* const> workers,
                                       int output = STDERR_FILENO);

}  // namespace corering
