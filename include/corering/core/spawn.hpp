/// spawn.hpp — tasks that run at the same time as the one that starts them, and the handle to join them.
#pragma once

#include <atomic>
#include <cerrno>
#include <coroutine>
#include <exception>
#include <memory>
#include <source_location>
#include <system_error>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/core/task.hpp>
#include <corering/engine/cancel_protocol.hpp>
#include <corering/engine/fake_coroutine.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/loop_front.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/strand.hpp>
#include <corering/engine/task_name.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

class Worker;

/// Called with the exception of a task that nobody waits for, on the thread where it happened. If there is no
/// handler, the program prints the message and aborts. Set the handler before the first worker starts.
using DetachedExceptionHandler = void (*)(std::exception_ptr);
void set_detached_exception_handler(DetachedExceptionHandler handler) noexcept;

template <class T>
class JoinHandle;
template <class T>
class SpawnResult;
template <class T>
JoinHandle<T> spawn(Task<T> task, std::source_location where = std::source_location::current());
template <class T>
JoinHandle<T> spawn(Task<T> task, TaskName name,
                    std::source_location where = std::source_location::current());

namespace detail {

template <class T, class... Name>
SpawnResult<T> spawn_on(Worker& worker, Task<T> task, std::source_location where, Name... name);

/// Starts the strand with `coroutine` on `worker`. Returns false if the worker refuses.
[[nodiscard]] bool start_spawned(Worker& worker, Strand& strand, PostNode& node,
                                 std::coroutine_handle<> coroutine) noexcept;
/// The same on the worker that runs the caller.
void start_spawned_here(Strand& strand, std::coroutine_handle<> coroutine) noexcept;
/// The same two for a task that has a name in the trace.
[[nodiscard]] bool start_spawned(Worker& worker, Strand& strand, PostNode& node,
                                 std::coroutine_handle<> coroutine, const char* name) noexcept;
void start_spawned_here(Strand& strand, std::coroutine_handle<> coroutine, const char* name) noexcept;

/// Handles the exception of a task that nobody waits for: calls the handler, or prints the message and
/// aborts.
void report_detached_exception(std::exception_ptr exception) noexcept;

/// A coroutine that waits for a spawned task. It lies in the coroutine's frame.
/// cancelled: cancels the task, and goes on waiting for it
class Joiner : public Wait {
 public:
  explicit Joiner(Strand& task) noexcept : task_(task) {}

  /// Remembers where the coroutine belongs. If that is a worker, the coroutine will come back there.
  void prepare(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept;
  /// Takes prepare() back, because the task had already ended: nobody will call wake().
  void withdraw() noexcept;
  /// Lets the coroutine go on, on its home worker, or here if it has no home worker.
  /// thread: the one where the task ended
  void wake() noexcept;
  /// To be called when the coroutine goes on.
  void woken() noexcept {
    if (trace::enabled()) [[unlikely]]
      record_woken();
    end_wait();
  }

  /// Returns true if the coroutine waits on that worker.
  [[nodiscard]] bool waits_on(const LoopFront& there) const noexcept;

  Wait* cancel(const CancelCause& cause) noexcept final;
  void describe(std::string& text) const final;
  [[nodiscard]] trace::WaitFor name_in_trace() const noexcept final { return trace::WaitFor::task; }

 private:
  void prepare_elsewhere() noexcept;
  void cancel_task() noexcept;
  void record_joins() const noexcept;
  void record_woken() const noexcept;

  Strand& task_;
  Loop* home_ = nullptr;
  PostNode node_;
};

/// Decides who looks after a spawned task: the task itself until it ends and then the handle, or the task
/// alone once it is detached. Each side leaves its mark, and the side that comes second cleans up.
class JoinState {
 public:
  /// For the task, after its outcome is stored: what to resume, and whether the task must now destroy itself.
  struct Ended {
    Joiner* joiner = nullptr;
    bool detached = false;
  };
  Ended end() noexcept {
    void* before = state_.load(std::memory_order_acquire);
    if (before == nullptr && state_.compare_exchange_strong(before, &ended_mark_, std::memory_order_acq_rel,
                                                            std::memory_order_acquire)) {
      return {};
    }
    // The handle has left its mark, and will not leave another one.
    if (before == &detached_mark_) return {.joiner = nullptr, .detached = true};
    state_.store(&ended_mark_, std::memory_order_release);
    return {.joiner = static_cast<Joiner*>(before), .detached = false};
  }

  /// For the task, on the worker of `here`. Returns true if the handle is gone or waits here: then other
  /// threads cannot do anything to the task any more. What they did before, for example if a message for the
  /// task is under way, is known here.
  [[nodiscard]] bool is_out_of_reach(const LoopFront& here) const noexcept {
    void* const mark = state_.load(std::memory_order_acquire);
    return mark == &detached_mark_ || (mark != nullptr && static_cast<Joiner*>(mark)->waits_on(here));
  }

  /// For the handle. Returns true if the joiner will be woken, or false if the task has already ended.
  bool wait(Joiner& joiner) noexcept { return leave(&joiner); }
  /// The same, when a task that has not ended is on this very thread: then nothing can come between.
  bool wait_on_same_thread(Joiner& joiner) noexcept { return leave_on_same_thread(&joiner); }

  /// For the handle. Returns true if the task will destroy itself, or false if it has ended and the handle
  /// must destroy it.
  bool detach() noexcept { return leave(&detached_mark_); }
  /// The same, when a task that has not ended is on this very thread.
  bool detach_on_same_thread() noexcept { return leave_on_same_thread(&detached_mark_); }

  [[nodiscard]] bool has_ended() const noexcept {
    return state_.load(std::memory_order_acquire) == &ended_mark_;
  }

 private:
  bool leave(void* mark) noexcept {
    void* expected = nullptr;
    return state_.compare_exchange_strong(expected, mark, std::memory_order_acq_rel,
                                          std::memory_order_acquire);
  }
  bool leave_on_same_thread(void* mark) noexcept {
    if (has_ended()) return false;
    state_.store(mark, std::memory_order_release);
    return true;
  }

  static inline char ended_mark_ = 0;
  static inline char detached_mark_ = 0;
  std::atomic<void*> state_ = nullptr;
};

/// A spawned task with its strand, and the way from its end to the coroutine that joins it. There is no
/// coroutine around the task: the task's end resumes this object instead. Then what the task was given is
/// destroyed, on the thread where the task ended, and before it counts as ended. Only its outcome waits for
/// the coroutine that joins it.
template <class T>
class SpawnedTask final : public CachedFrame, private FakeCoroutine, public Strand {
 public:
  SpawnedTask(Task<T> task, std::source_location where) noexcept
      : FakeCoroutine(&task_ended), task_(std::exchange(task.coroutine_, nullptr)) {
    CORERING_ASSERT_AT(where, task_, "a task was spawned after it had been awaited, spawned or moved from");
    task_.promise().continuation = handle();
    task_.promise().scope = this;
    spawned_at = where;
  }
  ~SpawnedTask() override {
    if (task_) task_.destroy();  // the worker refused it
  }

  /// Starts it on `worker`. Returns false if the worker refuses.
  [[nodiscard]] bool start(Worker& worker) noexcept {
    return start_spawned(worker, *this, *std::construct_at(&node_), task_);
  }
  /// Starts it on the current worker.
  void start_here() noexcept { start_spawned_here(*this, task_); }
  /// The same for a task that has a name.
  [[nodiscard]] bool start(Worker& worker, TaskName name) noexcept {
    return start_spawned(worker, *this, *std::construct_at(&node_), task_, name.text());
  }
  void start_here(TaskName name) noexcept { start_spawned_here(*this, task_, name.text()); }

  [[nodiscard]] JoinState& join() noexcept { return join_; }
  [[nodiscard]] Outcome<T>& outcome() noexcept { return outcome_; }

  /// To be called when the task has ended and nobody takes its result.
  static void drop(SpawnedTask* self) noexcept {
    const std::exception_ptr exception = self->outcome().exception();
    delete self;
    if (exception) report_detached_exception(exception);
  }

 private:
  static void task_ended(void* self) {
    auto& ended = static_cast<SpawnedTask&>(FakeCoroutine::from(self));
    ended.outcome_.take_over(ended.task_.promise().outcome);
    std::exchange(ended.task_, nullptr).destroy();
    const LoopFront& here = here::front();
    if (ended.join_.is_out_of_reach(here) && ended.end_unseen(here)) return ended.on_end();
    ended.end();
  }
  void on_end() noexcept override {
    const JoinState::Ended ended = join_.end();
    // From here on it belongs to the coroutine that joins it, unless it is detached.
    if (ended.detached) return drop(this);
    if (ended.joiner != nullptr) ended.joiner->wake();
  }

  std::coroutine_handle<TaskPromise<T>> task_;  // null from the task's end on
  Outcome<T> outcome_;
  JoinState join_;
  union {
    PostNode node_;  // made when it is posted, so that a task that starts here does not pay for it
  };
};

}  // namespace detail

/// The way to a spawned task's result. Await it once (`co_await std::move(handle)`) or detach it. Dropping
/// the handle detaches the task. The task's exception comes out of the await.
/// suspends: unless the task has ended
/// resumes: same worker, wherever the task ended; without a worker, where the task ended
/// cancelled: cancels the task, and the join goes on until the task has ended
/// keep alive: everything that a detached task refers to, because the task goes on. So it must not refer to a
///   local variable of the function that drops the handle
template <class T>
class [[nodiscard("join the task, or say detach()")]] JoinHandle {
 public:
  JoinHandle(JoinHandle&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  JoinHandle& operator=(JoinHandle&& other) noexcept {
    JoinHandle taken(std::move(other));
    std::swap(task_, taken.task_);
    return *this;
  }
  ~JoinHandle() { detach(); }

  /// Lets the task run on alone. If it ends with an exception, that goes to the detached-exception handler.
  void detach() noexcept {
    auto* const task = std::exchange(task_, nullptr);
    if (task == nullptr) return;
    const bool goes_on =
        task->has_never_left(here::front()) ? task->join().detach_on_same_thread() : task->join().detach();
    if (!goes_on) detail::SpawnedTask<T>::drop(task);
  }

  /// Returns true once the task has ended: then awaiting it will not suspend. Do not call it after a join,
  /// detach() or a move.
  [[nodiscard]] bool done(std::source_location where = std::source_location::current()) const noexcept {
    require_unused(where);
    return task_->join().has_ended();
  }

  /// Asks the task to end: cancels its scope. The task still ends in its own time, and you join or detach it
  /// as always. Do not call it after a join, detach() or a move.
  /// thread: any; it does not wait
  void request_cancel(std::source_location where = std::source_location::current()) noexcept {
    require_unused(where);
    CancelProtocol::request(*task_, {.reason = CancelReason::asked()});
  }

  class Awaiter {
   public:
    explicit Awaiter(detail::SpawnedTask<T>& task) noexcept : task_(&task), joiner_(task) {}
    Awaiter(Awaiter&&) = delete;
    ~Awaiter() {
      if (!begun_) {  // a member of when_any that did not need to start
        JoinHandle(task_).detach();
        return;
      }
      CORERING_ASSERT(task_->join().has_ended(), "a coroutine was destroyed while it joined a running task");
      delete task_;
    }
    bool await_ready() noexcept {
      begun_ = true;
      return task_->join().has_ended();
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      joiner_.prepare(awaiting, promise_of(awaiting));
      // Once wait() has succeeded this awaiter may be gone: the task's end resumes us on another thread.
      if (task_->has_never_left(here::front()) ? task_->join().wait_on_same_thread(joiner_)
                                               : task_->join().wait(joiner_))
        return true;
      joiner_.withdraw();
      return false;
    }
    T await_resume() { return take(); }
    [[nodiscard]] T await_resume()
      requires detail::is_result<T>
    {
      return take();
    }

   private:
    T take() {
      joiner_.woken();
      return task_->outcome().take();
    }

    detail::SpawnedTask<T>* const task_;
    bool begun_ = false;
    detail::Joiner joiner_;
  };

  Awaiter operator co_await() && noexcept {
    require_unused(std::source_location::current());
    return Awaiter(*std::exchange(task_, nullptr));
  }
  Awaiter operator co_await() & = delete;  // write co_await std::move(handle): it can be joined once

  /// For PromiseBase::await_transform, which knows the place of the co_await.
  void require_unused(std::source_location where) const noexcept {
    CORERING_ASSERT_AT(where, task_ != nullptr,
                       "a handle was used after it had been joined, detached or moved from");
  }

 private:
  template <class U, class... Name>
  friend SpawnResult<U> detail::spawn_on(Worker& worker, Task<U> task, std::source_location where,
                                         Name... name);
  template <class U>
  friend JoinHandle<U> spawn(Task<U> task, std::source_location where);
  template <class U>
  friend JoinHandle<U> spawn(Task<U> task, TaskName name, std::source_location where);
  explicit JoinHandle(detail::SpawnedTask<T>* task) noexcept : task_(task) {}

  detail::SpawnedTask<T>* task_;
};

/// What Worker::spawn() returns: the handle, or why the worker has refused the task. It is a Result, except
/// that what value() throws says why.
template <class T>
class [[nodiscard("join the task, or say detach()")]] SpawnResult : public Result<JoinHandle<T>> {
 public:
  using Base = Result<JoinHandle<T>>;
  using Base::Base;

  /// Returns the handle.
  /// errors: throws std::system_error if the worker has refused the task
  [[nodiscard]] JoinHandle<T>& value() & {
    if (!this->has_value()) {
      throw std::system_error(this->error(), "the worker is stopping or has ended, and has refused the task");
    }
    return **this;
  }
  [[nodiscard]] JoinHandle<T>&& value() && { return std::move(value()); }
};

namespace detail {

template <class T, class... Name>
SpawnResult<T> spawn_on(Worker& worker, Task<T> task, std::source_location where, Name... name) {
  auto* const spawned = new SpawnedTask<T>(std::move(task), where);
  if (!spawned->start(worker, name...)) {
    delete spawned;
    return failure(ECANCELED);
  }
  return JoinHandle<T>(spawned);
}

}  // namespace detail

/// Starts `task` on the worker whose loop runs the caller, after what is ready there. The task gets its own
/// strand: only its handle, or the worker when it stops, cancels it. It is not cancelled when the caller is
/// (use TaskGroup for that).
/// thread: a worker's. Elsewhere it ends the program with a message; use Worker::spawn() there
template <class T>
JoinHandle<T> spawn(Task<T> task, std::source_location where) {
  auto* const spawned = new detail::SpawnedTask<T>(std::move(task), where);
  spawned->start_here();
  return JoinHandle<T>(spawned);
}

/// The same for a task that has a name in traces, which is a literal: spawn(serve(client), "serve").
template <class T>
JoinHandle<T> spawn(Task<T> task, TaskName name, std::source_location where) {
  auto* const spawned = new detail::SpawnedTask<T>(std::move(task), where);
  spawned->start_here(name);
  return JoinHandle<T>(spawned);
}

}  // namespace corering
