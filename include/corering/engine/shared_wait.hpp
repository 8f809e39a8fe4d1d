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

/// The base of the awaiters of what many threads share. The object that it waits for has a lock and a list.
/// Whoever takes the wait out of the list, under the lock, must wake it, after the lock; from then on a
/// cancellation comes too late.
/// resumes: same worker, which does not end before
class SharedWait : public Wait {
 public:
  SharedWait() noexcept { node_.kind = PostNode::Kind::homecoming; }
  ~SharedWait() override {
    CORERING_ASSERT(!waits_, "a coroutine was destroyed while it waited for another thread");
  }

  /// Lets the coroutine or the thread go on. The wait may be gone when this returns.
  /// thread: any
  void wake() noexcept;

  /// Waits that have been taken out of a list under its lock, and that will be woken after it.
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
  /// On a worker: begins to wait. Returns false in a cancelled scope: see SuspendedWait::suspend().
  [[nodiscard]] bool suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;

  /// Resumes it with the scope's reason. It must be out of the list.
  /// thread: its worker's
  void resume_cancelled() noexcept;
  /// For a coroutine that is already on its way: when it resumes, it is told that it was cancelled.
  void turn_into_cancelled() noexcept { cancelled_ = true; }
  [[nodiscard]] bool waits() const noexcept { return waits_; }

  /// Ends the wait. Returns success, or why the scope was cancelled.
  [[nodiscard]] Result<void> finish() noexcept;

  /// Blocks a plain thread. Returns false if the deadline comes first; then the wait is still in the list if
  /// it was.
  [[nodiscard]] bool block_until(TimePoint deadline) noexcept;
  void begin_block() noexcept;
  void end_block() noexcept { waits_ = false; }

 private:
  Loop* home_ = nullptr;  // null if a plain thread waits
  PostNode node_;
  OneShot woken_;
  SharedWait* next_woken_ = nullptr;
  bool waits_ = false;
  bool cancelled_ = false;
};

}  // namespace corering
