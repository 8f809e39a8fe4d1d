/// process_lock.hpp — a lock for what all threads of a process share, which a fork does not leave taken.
#pragma once

#include <atomic>
#include <sched.h>

#include <corering/base/assert.hpp>
#include <corering/base/process_generation.hpp>

namespace corering::emulation {

/// A child of fork(2) may find it taken by a thread that it does not have. Then it takes it over, so hold it
/// only for what the child does not need. For std::lock_guard, and for a few system calls at most.
class ProcessLock {
 public:
  constexpr ProcessLock() noexcept = default;
  ProcessLock(ProcessLock&&) = delete;

  void lock() noexcept {
    const unsigned own = process_generation() + 1;
    for (unsigned holder = 0; !holder_.compare_exchange_weak(holder, own, std::memory_order_acquire);) {
      if (holder == own) {
        ::sched_yield();
        holder = 0;
      }
    }
  }
  void unlock() noexcept {
    CORERING_DEBUG_ASSERT(holder_.load(std::memory_order_relaxed) == process_generation() + 1,
                          "only the process that has the lock gives it back");
    holder_.store(0, std::memory_order_release);
  }

 private:
  std::atomic<unsigned> holder_{0};  ///< the generation that has it, counted from 1; 0 is nobody
};

}  // namespace corering::emulation
