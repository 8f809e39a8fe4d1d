/// spin_lock.hpp — one byte that keeps others out for a few instructions.
#pragma once

#include <atomic>
#include <sched.h>

#include <corering/base/pause.hpp>

namespace corering {

/// For std::lock_guard. Held for a handful of instructions and at most one write to an eventfd; whoever waits
/// longer gives its processor away. Whoever destroys it must have taken it once after its last other user, or
/// have learned in another way that this one has let go.
class SpinLock {
 public:
  SpinLock() noexcept = default;
  SpinLock(SpinLock&&) = delete;

  void lock() noexcept {
    for (unsigned attempt = 1; taken_.exchange(true, std::memory_order_acquire); ++attempt) {
      // Only reads while it is taken, so that the owner's cache line stays with the owner.
      while (taken_.load(std::memory_order_relaxed)) {
        if (attempt++ % 64 == 0) {
          ::sched_yield();
        } else {
          pause_processor();
        }
      }
    }
  }
  void unlock() noexcept { taken_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> taken_ = false;
};

}  // namespace corering
