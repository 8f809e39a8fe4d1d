/// spawn.hpp — tasks that run beside the one that starts them, and the handle to join them.
#pragma once

#include <atomic>
#include <cerrno>
#include <coroutine>
#include <exception>
#include <source_location>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/core/engine.hpp>
#include <corering/core/strand.hpp>
#include <corering/core/task.hpp>

namespace corering {

/// Called, on the thread where it happened, with the exception of a task that nobody waits for. Without a
/// handler the program prints the message and aborts. Set it before the first worker starts.
using DetachedExceptionHandler = void (*)(std::exception_ptr);
void set_detached_exception_handler(DetachedExceptionHandler handler) noexcept;

namespace detail {

/// A coroutine that waits for a spawned task; lives in its frame. Cancelling it cancels the task, and it goes
/// on waiting for it.
class Joiner : public Waiter {
 public:
  explicit Joiner(Strand& task) noexcept : task_(task) {}

  /// Remembers where the coroutine lives. On a worker it is to come back there.
  void prepare(std::coroutine_handle<> coroutine, Frame* frame) noexcept;
  /// The task had already ended: nobody will call wake().
  void withdraw() noexcept;
  /// On the thread where the task ended: lets the coroutine go on at home, or returns it to be resumed right
  /// here when it has no home worker.
  std::coroutine_handle<> wake() noexcept;
  /// The coroutine goes on.
  void woken() noexcept { end_wait(); }

  Waiter* cancel(const CancelCause& cause) noexcept final;
  void describe(std::string& text) const final;

 private:
  Strand& task_;
  Worker* home_ = nullptr;
  PostNode node_;
};

/// Who looks after a spawned task's frame: the task until it ends, then the handle; or the task alone once
/// detached. Either side leaves its mark with one exchange, and whoever comes second cleans up.
class JoinState {
 public:
  /// Task's side, after its outcome is stored. What to resume, and whether the frame is now the task's to
  /// destroy.
  struct Ended {
    Joiner* joiner = nullptr;
    bool detached = false;
  };
  Ended end() noexcept {
    void* const before = state_.exchange(&ended_mark_, std::memory_order_acq_rel);
    if (before == &detached_mark_) return {.joiner = nullptr, .detached = true};
    return {.joiner = static_cast<Joiner*>(before), .detached = false};
  }

  /// Handle's side. True: the joiner will be woken. False: the task has ended already.
  bool wait(Joiner& joiner) noexcept {
    void* expected = nullptr;
    return state_.compare_exchange_strong(expected, &joiner, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
  }

  /// Handle's side. True: the task will destroy its frame. False: it has ended, the frame is the handle's to
  /// destroy.
  bool detach() noexcept {
    void* expected = nullptr;
    return state_.compare_exchange_strong(expected, &detached_mark_, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
  }

  [[nodiscard]] bool ended() const noexcept { return state_.load(std::memory_order_acquire) == &ended_mark_; }

 private:
  static inline char ended_mark_ = 0;
  static inline char detached_mark_ = 0;
  std::atomic<void*> state_ = nullptr;
};

template <class T>
class Spawned;

template <class T>
struct SpawnedPromise : ReturnsOutcome<T> {
  JoinState join;
  PostNode node;
  Strand strand;

  SpawnedPromise() noexcept { this->scope = &strand.root(); }

  /// Notes no place, unlike Frame's: nobody looks for this coroutine in a dump.
  template <class Awaitable>
  decltype(auto) await_transform(Awaitable&& awaitable) noexcept {
    return pass_through(static_cast<Awaitable&&>(awaitable));
  }

  struct FinalAwaiter {
    FinalAwaiter() noexcept = default;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<SpawnedPromise> self) const noexcept {
      if (!self.promise().strand.end(&finish_later, self.address())) return std::noop_coroutine();
      const std::coroutine_handle<> next = finish(self);
      return next ? transfer_to(next) : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  // The strand has ended: what goes on now, on this thread, or null.
  static std::coroutine_handle<> finish(std::coroutine_handle<SpawnedPromise> self) noexcept {
    const std::exception_ptr exception = self.promise().outcome.exception();
    const JoinState::Ended ended = self.promise().join.end();
    // From here on the frame is the joiner's, unless it is detached.
    if (!ended.detached) return ended.joiner != nullptr ? ended.joiner->wake() : nullptr;
    self.destroy();
    if (exception) engine::report_detached_exception(exception);
    return nullptr;
  }
  static void finish_later(void* address) noexcept {
    const std::coroutine_handle<> next = finish(std::coroutine_handle<SpawnedPromise>::from_address(address));
    if (next) engine::schedule(next);
  }

  Spawned<T> get_return_object() noexcept;
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
};

/// The coroutine object around a spawned task. Nothing but the way to its handle.
template <class T>
class Spawned {
 public:
  using promise_type = SpawnedPromise<T>;
  explicit Spawned(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine(coroutine) {}
  std::coroutine_handle<promise_type> coroutine;
};

template <class T>
Spawned<T> SpawnedPromise<T>::get_return_object() noexcept {
  return Spawned<T>(std::coroutine_handle<SpawnedPromise>::from_promise(*this));
}

template <class T>
Spawned<T> run_spawned(Task<T> task) {
  co_return co_await std::move(task);
}

/// Starts the strand with `coroutine` on `worker`; false when the worker refuses.
[[nodiscard]] bool start_spawned(Worker& worker, Strand& strand, PostNode& node,
                                 std::coroutine_handle<> coroutine) noexcept;

}  // namespace detail

/// The way to a spawned task's result. Await it once (`co_await std::move(handle)`) or detach it; dropping it
/// detaches: the task goes on, so nothing that it refers to may be a local of who drops the handle. A
/// coroutine on a worker resumes on that worker, whichever one the task ended on; elsewhere it resumes where
/// the task ended. The task's exception comes out of the await. If the coroutine is cancelled while it joins,
/// the task is cancelled, and the join goes on until it has ended.
template <class T>
class [[nodiscard("join the task, or say detach()")]] JoinHandle {
 public:
  using Handle = std::coroutine_handle<detail::SpawnedPromise<T>>;

  explicit JoinHandle(Handle coroutine) noexcept : coroutine_(coroutine) {}
  JoinHandle(JoinHandle&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  JoinHandle& operator=(JoinHandle&& other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  ~JoinHandle() { detach(); }

  /// Lets the task run on by itself. Its exception, if it ends with one, goes to the detached-exception
  /// handler.
  void detach() noexcept {
    const Handle coroutine = std::exchange(coroutine_, nullptr);
    if (!coroutine || coroutine.promise().join.detach()) return;
    const std::exception_ptr exception = coroutine.promise().outcome.exception();
    coroutine.destroy();
    if (exception) engine::report_detached_exception(exception);
  }

  /// True once the task has ended: awaiting will not suspend. Not after a join, detach() or a move.
  [[nodiscard]] bool done() const noexcept {
    require_task();
    return coroutine_.promise().join.ended();
  }

  /// Asks the task to end: cancels its scope. Any thread; does not wait. The task still ends in its own time,
  /// and is joined or detached as ever. Not after that, or a move.
  void request_cancel() noexcept {
    require_task();
    coroutine_.promise().strand.root().request_cancel({.reason = CancelReason::asked()});
  }

  class Awaiter {
   public:
    explicit Awaiter(Handle coroutine) noexcept
        : coroutine_(coroutine), joiner_(coroutine.promise().strand) {}
    Awaiter(Awaiter&&) = delete;
    ~Awaiter() {
      if (!begun_) {  // a member of when_any that had no need to begin
        JoinHandle(coroutine_).detach();
        return;
      }
      CORERING_ASSERT(coroutine_.promise().join.ended(),
                      "a coroutine was destroyed while it joined a running task");
      coroutine_.destroy();
    }
    bool await_ready() noexcept {
      begun_ = true;
      return coroutine_.promise().join.ended();
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      joiner_.prepare(awaiting, frame_of(awaiting));
      // Once wait() has succeeded this awaiter may be gone: the task's end resumes us on another thread.
      if (coroutine_.promise().join.wait(joiner_)) return true;
      joiner_.withdraw();
      return false;
    }
    T await_resume() {
      joiner_.woken();
      return coroutine_.promise().outcome.take();
    }

   private:
    Handle coroutine_;
    bool begun_ = false;
    detail::Joiner joiner_;
  };

  Awaiter operator co_await() && noexcept {
    CORERING_ASSERT(coroutine_, "a handle can be joined once, and not after detach() or a move");
    return Awaiter(std::exchange(coroutine_, nullptr));
  }
  Awaiter operator co_await() & = delete;  // write co_await std::move(handle): it can be joined once

 private:
  void require_task() const noexcept {
    CORERING_ASSERT(coroutine_, "a handle was used after it had been joined, detached or moved from");
  }

  Handle coroutine_;
};

namespace detail {

template <class T>
Result<JoinHandle<T>> spawn_on(Worker& worker, Task<T> task, std::source_location where) {
  const Spawned<T> spawned = run_spawned(std::move(task));
  SpawnedPromise<T>& promise = spawned.coroutine.promise();
  promise.strand.spawned_at = where;
  if (!start_spawned(worker, promise.strand, promise.node, spawned.coroutine)) {
    spawned.coroutine.destroy();
    return failure(ECANCELED);
  }
  return JoinHandle<T>(spawned.coroutine);
}

[[nodiscard]] Worker& require_current_worker(const char* message) noexcept;

}  // namespace detail

/// Starts `task` on the worker whose loop runs the caller, behind what is ready there, as a strand of its
/// own: it is not cancelled when the caller is (TaskGroup is for that), only by its handle or when the worker
/// stops. On a thread without a worker it ends the program with a message: Worker::spawn() is the way from
/// there.
template <class T>
JoinHandle<T> spawn(Task<T> task, std::source_location where = std::source_location::current()) {
  Worker& here = detail::require_current_worker(
      "spawn() was called on a thread without a worker: use worker.spawn(task)");
  return *detail::spawn_on(here, std::move(task), where);
}

}  // namespace corering
