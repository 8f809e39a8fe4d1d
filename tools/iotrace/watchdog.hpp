/// watchdog.hpp — what ends a recording from outside: a signal, or too long a time in which nothing comes.
#pragma once

#include <atomic>
#include <csignal>
#include <thread>

#include <corering/base/fd.hpp>
#include <corering/base/time.hpp>
#include <corering/core/worker.hpp>

namespace iotrace {

/// Holds SIGINT and SIGTERM back while it exists, so that a Watchdog can take them. Make it before the first
/// thread starts. What has not been taken is dropped. It remembers the one that was taken: each later
/// Watchdog stops its worker, too.
class HeldSignals {
 public:
  HeldSignals();
  HeldSignals(HeldSignals&&) = delete;
  ~HeldSignals();

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
  [[nodiscard]] const sigset_t& signals() const noexcept { return signals_; }
  /// Takes the next signal, if there is one.
  void take() noexcept;
  /// Returns the signal that was taken, or 0.
  [[nodiscard]] int taken() const noexcept { return taken_; }

 private:
  sigset_t signals_{};
  sigset_t before_{};
  corering::Fd descriptor_;
  std::atomic<int> taken_ = 0;
};

/// Stops a worker on a signal, or when it has made no progress for too long. What it waits for then ends with
/// ECANCELED. A second signal ends the program, as it would without us.
/// thread: progress() on any thread
class Watchdog {
 public:
  Watchdog(HeldSignals& signals, corering::Worker& worker, corering::Duration patience);
  Watchdog(Watchdog&&) = delete;
  ~Watchdog();

  void progress() noexcept { deadline_.store(next_deadline(), std::memory_order_relaxed); }

  [[nodiscard]] bool has_timed_out() const noexcept { return timed_out_; }
  /// Returns the signal that came, or 0.
  [[nodiscard]] int signal() const noexcept { return signals_.taken(); }

 private:
  [[nodiscard]] corering::TimePoint next_deadline() const noexcept;
  void watch(corering::Worker& worker);

  HeldSignals& signals_;
  corering::Duration patience_;
  corering::Fd finished_;  // an eventfd
  std::atomic<corering::TimePoint> deadline_;
  std::atomic<bool> timed_out_ = false;
  std::thread thread_;
};

}  // namespace iotrace
