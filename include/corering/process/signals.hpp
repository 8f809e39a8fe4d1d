/// signals.hpp — signals that a coroutine can await, and a task that dumps all tasks on a signal.
#pragma once

#include <initializer_list>
#include <span>
#include <system_error>
#include <unistd.h>

#include <corering/base/fd.hpp>
#include <corering/core/operation.hpp>
#include <corering/core/worker.hpp>

namespace corering {

enum class SignalsErrc {
  threads_run_already = 1,  ///< a thread that runs already does not block the signals
};
[[nodiscard]] const std::error_category& signals_category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(SignalsErrc error) noexcept {
  return {static_cast<int>(error), signals_category()};
}

/// Takes signals out of the ordinary delivery and gives them to the coroutine that awaits next(). It is a
/// signalfd(2) that is read through the ring. Make it at the top of main, before any thread starts: the
/// signals are blocked in the calling thread and in the threads that it starts later. The signals stay
/// blocked when this object is destroyed.
///
/// It sees what is sent to the process: by kill(2), by a terminal, by a timer. A signal that is sent to one
/// thread (raise(3), pthread_kill(3), or a fault) waits for that thread, and is seen only if that is the
/// worker's thread.
class Signals {
 public:
  /// Blocks `signals` and opens the descriptor.
  /// errors: SignalsErrc::threads_run_already if another thread would get the signals (without /proc this is
  ///   not noticed) · the errno of sigprocmask(2) or signalfd(2)
  [[nodiscard]] static Result<Signals> block(std::initializer_list<int> signals);

  /// Waits for the next of the signals and returns its number. When several coroutines await, one of them
  /// gets each signal. Equal signals that arrive before they are awaited count once, as signals always do.
  /// cancelled: fails with the scope's reason
  [[nodiscard]] Task<Result<int>> next();

 private:
  explicit Signals(Fd fd) noexcept : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Writes the dump of every worker (Worker::dump_tasks()) to `output`, for each signal that `signals` gives.
/// It needs a Signals object for itself, for example for SIGUSR1: `spawn(dump_tasks_on(signals,
/// workers)).detach()`. A worker that does not answer within a second is named as such; until then it also
/// blocks the worker that this task runs on.
/// cancelled: ends the task · keep alive: `signals` and the workers, until the task has ended
[[nodiscard]] Task<void> dump_tasks_on(Signals& signals, std::span<Worker* const> workers,
                                       int output = STDERR_FILENO);

}  // namespace corering

template <>
struct std::is_error_code_enum<corering::SignalsErrc> : std::true_type {};
