/// queued_wait.hpp — a coroutine that waits, maybe with others, for something of its own worker.
#pragma once

#include <coroutine>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/scope.hpp>

namespace corering {

/// The wait of a coroutine that something of its own worker will let go on.
class SuspendedWait : public Wait {
 public:
  SuspendedWait() noexcept = default;
  ~SuspendedWait() override {
    CORERING_ASSERT(!coroutine_, "a coroutine was destroyed while it waited for others");
  }

 protected:
  /// Begins to wait. Returns false in a cancelled scope: then the coroutine will be resumed with the scope's
  /// reason, and the caller has nothing to do for it.
  [[nodiscard]] bool suspend(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;

  /// Makes the coroutine ready, through the ready queue. Call it once.
  void resume_soon() noexcept { here::schedule(coroutine_); }
  void resume_cancelled() noexcept {
    cancelled_ = true;
    resume_soon();
  }
  /// For a coroutine that is already ready: when it resumes, it is told that it was cancelled.
  void turn_into_cancelled() noexcept { cancelled_ = true; }

  [[nodiscard]] bool is_suspended() const noexcept { return static_cast<bool>(coroutine_); }

  /// Ends the wait. Returns success, or why the scope was cancelled.
  [[nodiscard]] Result<void> finish() noexcept;

 private:
  std::coroutine_handle<> coroutine_;
  bool cancelled_ = false;
};

/// The base of the awaiters of everything that keeps a line of waiting coroutines: events, mutexes, room in a
/// group. It is not locked.
/// resumes: same worker, through the ready queue, by wake() or when its scope is cancelled
/// thread: one worker
class QueuedWait : public SuspendedWait {
 public:
  using Line = IntrusiveList<QueuedWait>;

  /// Lets the coroutine go on, because its turn has come.
  void wake() noexcept {
    unlink();
    resume_soon();
  }

  Wait* cancel(const CancelCause& cause) noexcept override;

 protected:
  /// Begins to wait at the end of the line.
  void wait_in(Line& line, std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
    if (suspend(coroutine, promise)) line.push_back(*this);
  }

  /// Called when the wait has left the line because it was cancelled.
  virtual void gave_up() noexcept {}
};

/// What functions like `object.wait()` return. `Awaiter(object)` is made when this is awaited. It copies
/// freely, so it can be handed to combinators and deadlines.
template <class Awaiter, class Object>
class [[nodiscard("it does nothing until it is awaited")]] WaitOperation {
 public:
  explicit WaitOperation(Object& object) noexcept : object_(&object) {}
  Awaiter operator co_await() const noexcept { return Awaiter(*object_); }

 private:
  Object* object_;
};

/// Asserts that what belongs to a worker is used there. It may be made anywhere; the first use on a worker
/// binds it.
class OnOneWorker {
 public:
  /// Ends the program with a message unless the caller is on the worker of the first call.
  void check() noexcept;

 private:
  const Loop* home_ = nullptr;
};

}  // namespace corering
