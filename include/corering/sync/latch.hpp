/// latch.hpp — an event that happens when something has been counted down to zero.
#pragma once

#include <cstddef>

#include <corering/sync/event.hpp>

namespace corering {

/// Waits for `count` things to have happened. Belongs to one worker, as Event does.
class Latch {
 public:
  explicit Latch(std::size_t count) noexcept : left_(count), done_(count == 0) {}

  [[nodiscard]] std::size_t left() const noexcept { return left_; }

  /// One more has happened; the last one lets everybody go on. Not more often than the count.
  void count_down() noexcept;

  /// Waits for the last one; does not suspend after it. Fails like Event::wait().
  auto wait() noexcept { return done_.wait(); }

 private:
  std::size_t left_;
  Event done_;
};

}  // namespace corering
