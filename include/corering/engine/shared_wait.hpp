/// shared_wait.hpp — a coroutine on a worker, or a plain thread, that waits for something of any thread.
#pragma once

#include <coroutine>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/one_shot.hpp>
#include <corering/base/result.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/scope.hpp>

namespace corering {

/// Base of the awaiters of what many threads share. The object that it waits for has a lock and a list: who
/// takes the waiter out of the list, under the lock, is the one to wake it, after the lock; from then on a
/// cancellation comes too late. A coroutine resumes on its own worker, which does not end before.
class SharedWait : public Wait {
 public:
  SharedWait() noexcept { node_.kind = PostNode::Kind::homecoming; }
  ~SharedWait() override {
    CORERING_ASSERT(!waits_, "a coroutine was destroyed while it waited for another thread");
  }

  /// Any thread. The waiter may be gone when this returns.
  void wake() noexcept;

  /// Waiters that have been taken out of a list under its lock, to be woken after it.
  class Chain {
   public:
    void add(SharedWait& wait) noexcept {
      *last_ = &wait;
      last_ = &wait.next_woken_;
    }
    void wake_all() noexcept {
      while (first_ != nullptr) std::exchange(first_, first_->next_woken_)->wake();
    }

   private:
    SharedWait* first_ = nullptr;
    SharedWait** last_ = &first_;
  };

 protected:
  /// On a worker: begins to wait. False in a cancelled scope: see SuspendedWait::suspend().
  [[nodiscard]] bool suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;

  /// On its worker, out of the list: resumes it with the scope's reason.
  void resume_cancelled() noexcept;
  /// It is on its way already, and is told on resumption that it was cancelled.
  void turn_into_cancelled() noexcept { cancelled_ = true; }
  [[nodiscard]] bool waits() const noexcept { return waits_; }

  /// The wait is over. Success, or why the scope was cancelled.
  [[nodiscard]] Result<void> finish() noexcept;

  /// A plain thread waits; false when the deadline came first, and then it is still in the list if it was.
  [[nodiscard]] bool block_until(TimePoint deadline) noexcept;
  void begin_block() noexcept;
  void end_block() noexcept { waits_ = false; }

 private:
  Loop* home_ = nullptr;  // null: a plain thread
  PostNode node_;
  OneShot woken_;
  SharedWait* next_woken_ = nullptr;
  bool waits_ = false;
  bool cancelled_ = false;
};

}  // namespace corering
