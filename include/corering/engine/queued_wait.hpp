/// queued_wait.hpp — a coroutine that waits, among others, for something of its own worker.
#pragma once

#include <coroutine>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/scope.hpp>

namespace corering {

/// A coroutine that something of its own worker will let go on.
class SuspendedWait : public Wait {
 public:
  SuspendedWait() noexcept = default;
  ~SuspendedWait() override {
    CORERING_ASSERT(!coroutine_, "a coroutine was destroyed while it waited for others");
  }

 protected:
  /// Begins to wait. False in a cancelled scope: then it will be resumed with the scope's reason, and there
  /// is nothing to do for it.
  [[nodiscard]] bool suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;

  /// Through the ready queue; once.
  void resume_soon() noexcept { here::schedule(coroutine_); }
  void resume_cancelled() noexcept {
    cancelled_ = true;
    resume_soon();
  }
  /// Has been made ready already, and is told on resumption that it was cancelled.
  void turn_into_cancelled() noexcept { cancelled_ = true; }

  [[nodiscard]] bool is_suspended() const noexcept { return static_cast<bool>(coroutine_); }

  /// The wait is over. Success, or why the scope was cancelled.
  [[nodiscard]] Result<void> finish() noexcept;

 private:
  std::coroutine_handle<> coroutine_;
  bool cancelled_ = false;
};

/// Base of the awaiters of everything that keeps a line of waiting coroutines: events, mutexes, room in a
/// group. Belongs to one worker and is not locked. Resumed on that worker, through the ready queue, by wake()
/// or when its scope is cancelled.
class QueuedWait : public SuspendedWait {
 public:
  using Line = IntrusiveList<QueuedWait>;

  /// Its turn has come.
  void wake() noexcept {
    unlink();
    resume_soon();
  }

  Wait* cancel(const CancelCause& cause) noexcept override;

 protected:
  /// Joins the line, at its end.
  void wait_in(Line& line, std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
    if (suspend(coroutine, promise)) line.push_back(*this);
  }

  /// It has left the line because it was cancelled.
  virtual void gave_up() noexcept {}
};

/// What `object.wait()` and the like return: `Awaiter(object)`, made when it is awaited. Copies freely, so
/// it can be handed to combinators and deadlines.
template <class Awaiter, class Object>
class [[nodiscard("it does nothing until it is awaited")]] WaitOperation {
 public:
  explicit WaitOperation(Object& object) noexcept : object_(&object) {}
  Awaiter operator co_await() const noexcept { return Awaiter(*object_); }

 private:
  Object* object_;
};

/// Asserts that what belongs to a worker is used there. Made anywhere; the first use on a worker binds it.
class OnOneWorker {
 public:
  /// Ends the program with a message when the caller is not on the worker of the first call.
  void check() noexcept;

 private:
  const Loop* home_ = nullptr;
};

}  // namespace corering
