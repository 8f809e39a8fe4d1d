/// ended_calls.hpp — what helper threads have finished, on its way back to the ring's thread.
#pragma once

#include <atomic>
#include <mutex>

#include <corering/base/assert.hpp>

#include "emulation/readiness.hpp"

namespace corering::emulation {

class EndedCalls {
 public:
  /// keep alive: `wakes`, longer than this
  explicit EndedCalls(Readiness& wakes) noexcept : wakes_(wakes) {}

  /// Hands over a call whose `ended` is filled, and wakes the ring's thread.
  /// thread: any
  void push(Call& call) noexcept {
    CORERING_ASSERT(!call.is_linked(), "a call ends once");
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(call);
      any_.store(true, std::memory_order_relaxed);
    }
    wakes_.notify();
  }

  /// Returns the next one, or null.
  /// thread: the ring's
  Call* pop() noexcept {
    if (!any()) return nullptr;
    const std::lock_guard lock(mutex_);
    Call* const call = calls_.empty() ? nullptr : &calls_.pop_front();
    any_.store(!calls_.empty(), std::memory_order_relaxed);
    return call;
  }
  [[nodiscard]] bool any() const noexcept { return any_.load(std::memory_order_relaxed); }

 private:
  Readiness& wakes_;
  std::mutex mutex_;
  IntrusiveList<Call> calls_;
  std::atomic<bool> any_{false};  // saves the lock when there is nothing
};

}  // namespace corering::emulation
