/// spin_lock.hpp — one byte that keeps others out for a few instructions.
#pragma once

#include <atomic>
#include <sched.h>

#include <corering/base/pause.hpp>

namespace corering {

/// A lock for std::lock_guard. It is held for a handful of instructions and at most one write to an eventfd;
/// a thread that waits longer gives its processor away. Before you destroy it, take it once after its last
/// other user, or learn in another way that this user has let go.
class SpinLock {
 public:
  SpinLock() noexcept = default;
  SpinLock(SpinLock&&) = delete;

  void lock() noexcept {
    unsigned looks = 0;
    while (taken_.exchange(true, std::memory_order_acquire)) {
      // Only reads while it is taken, so that the owner's cache line stays with the owner.
      while (taken_.load(std::memory_order_relaxed)) {
        if (++looks % 64 == 0) {
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
