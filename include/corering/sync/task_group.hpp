/// task_group.hpp — a nursery: its tasks run side by side, and all of them end before it does.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <source_location>
#include <utility>

#include <corering/core/task.hpp>
#include <corering/engine/frame_cache.hpp>
#include <corering/engine/member.hpp>
#include <corering/engine/queued_wait.hpp>
#include <corering/engine/task_name.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

struct TaskGroupOptions {
  /// How many tasks of the group may run at once. Further tasks wait in line, in order.
  std::size_t max_running = std::numeric_limits<std::size_t>::max();
};

namespace detail {
template <class Body>
class GroupAwaiter;
}

/// A group is made by with_group(), and lives until every task in it has ended.
/// thread: its worker only
class TaskGroup : private Scope, private detail::MemberOwner {
 public:
  /// Starts `task` on this worker, after what is ready, as a member of the group: it is cancelled with the
  /// group, and the group ends after it. Tasks of the group may call this too. If max_running tasks run
  /// already, `task` starts when one of those has ended.
  /// cancelled: a task that has not started by then is destroyed
  /// errors: a failure of `task` (an exception, or a Result that is an error) cancels the group
  template <class T>
  void spawn(Task<T> task, std::source_location where = std::source_location::current()) {
    add(*new Child<T>(std::move(task)), where);
  }
  /// The same for a task that has a name in traces: group.spawn(serve(client), "serve").
  template <class T>
  void spawn(Task<T> task, TaskName name, std::source_location where = std::source_location::current()) {
    auto* const child = new Child<T>(std::move(task));
    child->name = name.text();
    add(*child, where);
  }

  /// Waits until another task could start at once. It is for producers that must not run ahead. If several
  /// coroutines wait, they go on together, and what they spawn beyond the limit waits in line.
  /// suspends: unless there is room · resumes: same worker
  /// cancelled: fails with the scope's reason when the group is cancelled
  auto room() noexcept { return WaitOperation<Room, TaskGroup>(*this); }

  /// Cancels every task of the group and its body. What they report because of that does not count as a
  /// failure. Nothing is interrupted: a task goes on until it waits; that wait ends with an error, and so
  /// does each one that it begins later. Tasks in line are destroyed. A task that is spawned from now on
  /// starts in the same way as the others, and its first wait fails.
  void cancel() noexcept;

  /// Returns how many tasks of the group have not ended.
  [[nodiscard]] std::size_t size() const noexcept { return unfinished_; }

 private:
  template <class Body>
  friend class detail::GroupAwaiter;
  using Scope::cancel;

  class ChildBase : public CachedFrame, public detail::MemberBase {
   public:
    /// Returns success, or how the task failed.
    virtual std::error_code error() noexcept = 0;
    void dispose() noexcept override { delete this; }
    [[nodiscard]] const char* name_in_trace() const noexcept override { return name; }
    std::source_location spawned_at;
    const char* name = nullptr;
  };

  template <class T>
  class Child final : public ChildBase {
   public:
    explicit Child(Task<T> task) noexcept
        : task_(std::move(task)), awaiter_(std::move(task_).operator co_await()) {}

   private:
    std::coroutine_handle<> await_it(std::coroutine_handle<PromiseBase> awaiting) override {
      return detail::begin_await(awaiter_, awaiting);
    }
    void take_result() override {
      if constexpr (detail::is_result<T>) {
        const T result = awaiter_.await_resume();
        if (!result) error_ = result.error();
      } else {
        (void)awaiter_.await_resume();
      }
    }
    std::error_code error() noexcept override { return error_; }

    Task<T> task_;
    typename Task<T>::Awaiter awaiter_;
    std::error_code error_;
  };

  /// The coroutine that awaits the group waits for this.
  class Join final : public Wait {
   public:
    explicit Join(TaskGroup& group) noexcept : group_(group) {}
    void joins(PromiseBase* promise, std::coroutine_handle<> coroutine) noexcept {
      promise_ = promise;
      if (trace::enabled()) record_begin(coroutine);
    }
    void ended() noexcept {
      if (trace::enabled()) record_end(!group_.is_cancelled());
    }
    [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::join; }
    Wait* cancel(const CancelCause&) noexcept override {
      return nullptr;
    }  // the group itself tells the members
    void describe(std::string& text) const override;

   private:
    TaskGroup& group_;
  };

  /// Waits for room. See room().
  class [[nodiscard]] Room : public QueuedWait {
   public:
    explicit Room(TaskGroup& group) noexcept : group_(group) {}
    bool await_ready() const noexcept { return group_.has_room(); }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> coroutine) noexcept {
      group_.check_home("room() was awaited on a worker that is not the group's worker");
      wait_in(group_.waiting_for_room_, coroutine, promise_of(coroutine));
    }
    [[nodiscard]] Result<void> await_resume() noexcept { return finish(); }
    void describe(std::string& text) const override;
    [[nodiscard]] trace::WaitFor name_in_trace() const noexcept override { return trace::WaitFor::semaphore; }

   private:
    TaskGroup& group_;
  };

  explicit TaskGroup(const TaskGroupOptions& options) noexcept
      : max_running_(options.max_running > 0 ? options.max_running : 1) {}
  ~TaskGroup() override;

  void check_home(const char* message) const noexcept { CORERING_ASSERT(is_home(), message); }
  [[nodiscard]] bool has_room() const noexcept { return unfinished_ < max_running_; }

  /// Opens the group. `joining` is resumed when the body and every task have ended.
  void begin(std::coroutine_handle<> joining, PromiseBase* outer) noexcept;
  void begin_body(detail::MemberBase& body) noexcept;
  void body_failed(std::exception_ptr exception) noexcept;
  /// Calls fail() if the body's Result is an error.
  virtual void take_body_failure() noexcept = 0;
  void child_ended(ChildBase& child) noexcept;
  void finish_if_ended() noexcept;

  void add(ChildBase& child, std::source_location where) noexcept;
  void start(ChildBase& child) noexcept;
  void start_those_in_line() noexcept;
  void fail(std::exception_ptr exception) noexcept;
  void fail(const std::error_code& error) noexcept;
  void member_ended(detail::MemberBase& member) noexcept override;
  void cancel_members(const CancelCause& cause) noexcept override;

  // These say how the whole group ended.
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }
  [[nodiscard]] std::error_code error() const noexcept { return error_ ? error_ : cut_; }

  const std::size_t max_running_;
  std::coroutine_handle<> joining_;
  PromiseBase* outer_ = nullptr;
  IntrusiveList<detail::MemberBase> running_;
  IntrusiveList<detail::MemberBase> in_line_;
  QueuedWait::Line waiting_for_room_;
  std::size_t running_count_ = 0;
  std::size_t unfinished_ = 0;  // running or in line
  detail::MemberBase* body_member_ = nullptr;
  bool body_runs_ = true;
  bool cancelled_by_itself_ = false;  // by cancel(), or by a failure
  std::exception_ptr exception_;
  std::error_code error_;
  std::error_code cut_;  // what a member reported when the group was cancelled from outside
  Join join_{*this};
};

namespace detail {

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

template <class Body>
concept GroupBody = std::invocable<Body&, TaskGroup&> && is_task<std::invoke_result_t<Body&, TaskGroup&>>;

/// Holds the group, its body, and the coroutine that waits for both. The body is a separate strand, as its
/// tasks are: it may hop, while the awaiting coroutine stays where the group is.
template <class Body>
class [[nodiscard]] GroupAwaiter : private TaskGroup {
 public:
  using Inner = std::invoke_result_t<Body&, TaskGroup&>;
  using T = await_result_t<Inner>;
  using ResultType = typename AsResult<T>::type;

  GroupAwaiter(Body&& body, const TaskGroupOptions& options) : TaskGroup(options), body_(std::move(body)) {}

  bool await_ready() const noexcept { return false; }

  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> outer) noexcept {
    begin(outer, promise_of(outer));
    try {
      member_.emplace(body_(static_cast<TaskGroup&>(*this)));
    } catch (...) {
      body_failed(std::current_exception());
      return;
    }
    begin_body(*member_);
  }

  [[nodiscard]] ResultType await_resume() {
    rethrow();
    if (const std::error_code failed = error()) return std::unexpected(failed);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return std::move(member_->result());
    }
  }

 private:
  void take_body_failure() noexcept override {
    if constexpr (is_result<T>) {
      if (member_->has_result() && !member_->result()) fail(member_->result().error());
    }
  }

  Body body_;
  std::optional<Member<Inner>> member_;
};

template <class Body>
class [[nodiscard("a group does nothing until it is awaited")]] GroupOperation {
 public:
  GroupOperation(Body body, const TaskGroupOptions& options) : body_(std::move(body)), options_(options) {}
  GroupAwaiter<Body> operator co_await() && { return GroupAwaiter<Body>(std::move(body_), options_); }
  void operator co_await() & = delete;  // write co_await std::move(it): it can be awaited once

 private:
  Body body_;
  TaskGroupOptions options_;
};

}  // namespace detail

/// `co_await with_group([&](TaskGroup& group) -> Task<void> { group.spawn(...); ... co_return; })`, on a
/// worker: runs the body and everything that is spawned into the group. Yields Result<T> where the body is a
/// Task<T> or Task<Result<T>>.
/// resumes: same worker, when the body and all tasks have ended
/// cancelled: from outside, the group reports what its members report
/// errors: the first failure, an exception or a Result that is an error, cancels the rest of the group, and
///   comes out when all have ended. An exception comes out as an exception, even if an error came first
/// keep alive: what the tasks refer to. What is in the awaiting coroutine stays alive for them; what is local
///   to the body does so only if the body waits
///
/// The body is moved into the awaiter, so it may capture. (If a lambda inside the co_await expression
/// captures by value, g++ 12 destroys what it captures twice: give the lambda a name and move it in.) In a
/// server, a task that must not take the others down with it must return no failure.
template <class Body>
  requires detail::GroupBody<std::decay_t<Body>>
auto with_group(Body&& body, const TaskGroupOptions& options = {}) {
  return detail::GroupOperation<std::decay_t<Body>>(std::forward<Body>(body), options);
}

}  // namespace corering
