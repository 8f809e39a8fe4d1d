/// helpers.hpp — the few threads that make the calls that may block.
#pragma once

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <pthread.h>

#include "emulation/ended_calls.hpp"

namespace corering::emulation {

/// As many threads as the ring was given at most, which start when they are needed. No code of the program
/// ever runs on them. thread: the ring's
class Helpers {
 public:
  /// keep alive: `ended`, until end() has returned
  Helpers(EndedCalls& ended, std::size_t most) noexcept
      : ended_(ended), most_threads_(std::clamp(most, std::size_t{1}, room)) {}
  Helpers(Helpers&&) = delete;
  ~Helpers() = default;

  /// Returns 0, or -errno if there is no thread and none can be made.
  int lend(Call& call) noexcept;
  TakenBack take_back(Call& call) noexcept;

  /// Waits for the calls that run, and for the threads. What had not begun ends with ECANCELED.
  void end() noexcept;

 private:
  static constexpr std::size_t room = 64;

  static void* run(void* self) noexcept;
  void work() noexcept;

  EndedCalls& ended_;
  const std::size_t most_threads_;
  std::array<pthread_t, room> threads_{};
  std::size_t thread_count_ = 0;

  std::mutex mutex_;  // protects what follows
  std::condition_variable changed_;
  IntrusiveList<Call> queue_;
  std::size_t queued_ = 0;
  std::size_t idle_ = 0;
  bool ends_ = false;
};

}  // namespace corering::emulation
