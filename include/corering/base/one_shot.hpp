/// one_shot.hpp — an event that happens once; a plain thread may sleep until then.
#pragma once

#include <atomic>
#include <cstdint>

#include <corering/base/time.hpp>

namespace corering {

/// An event that one thread sets and one thread waits for, on a futex(2). The waiter may destroy the event as
/// soon as a wait has returned true, even if set() has not returned yet: after its store, set() uses only the
/// address.
class OneShot {
 public:
  OneShot() noexcept = default;
  OneShot(OneShot&&) = delete;

  /// Wakes the waiter, which then sees everything that was written before this call.
  void set() noexcept;

  /// Blocks the calling thread until set(). If this thread's last waits were short, it watches for up to 100
  /// microseconds before it sleeps.
  void wait() noexcept;

  /// Blocks until set() or until `deadline`. Returns false if the time ran out first.
  [[nodiscard]] bool wait_until(TimePoint deadline) noexcept;

  [[nodiscard]] bool is_set() const noexcept { return state_.load(std::memory_order_acquire) == set_; }

 private:
  [[nodiscard]] bool must_sleep() noexcept;

  static constexpr std::uint32_t unset_ = 0, awaited_ = 1,
                                 set_ = 2;  // awaited: the waiter sleeps, or is about to
  std::atomic<std::uint32_t> state_ = unset_;
};

}  // namespace corering
