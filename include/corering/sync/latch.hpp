/// latch.hpp — an event that happens when a count has come down to zero.
#pragma once

#include <cstddef>

#include <corering/sync/event.hpp>

namespace corering {

/// Lets coroutines wait until `count` things have happened.
/// thread: one worker, as with Event
class Latch {
 public:
  explicit Latch(std::size_t count) noexcept : left_(count), done_(count == 0) {}

  [[nodiscard]] std::size_t left() const noexcept { return left_; }

  /// Counts one thing that has happened. The last one lets every coroutine that waits go on. Do not call it
  /// more often than the count.
  void count_down() noexcept;

  /// Waits until the last thing has happened.
  /// suspends: unless it has happened · resumes: same worker
  /// cancelled: fails with the scope's reason
  auto wait() noexcept { return done_.wait(); }

 private:
  std::size_t left_;
  Event done_;
};

}  // namespace corering
