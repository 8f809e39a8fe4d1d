/// task_group.hpp — a nursery: tasks side by side that all end before it does.
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

namespace corering {

struct TaskGroupOptions {
  /// How many tasks of the group run at once; those above wait for their turn, in order.
  std::size_t max_running = std::numeric_limits<std::size_t>::max();
};

namespace detail {
template <class Body>
class GroupAwaiter;
}

/// Made by with_group(), and alive until every task in it has ended. Used on its worker only.
class TaskGroup : private Scope, private detail::MemberOwner {
 public:
  /// Starts `task` on this worker, behind what is ready, as a member of the group: it is cancelled with the
  /// group, and the group ends after it. Tasks of the group may call it too. With max_running of them
  /// running, it starts when one of those has ended. A failure (an exception, or a Result that is an error)
  /// cancels the group; a task that could not start before that is destroyed.
  template <class T>
  void spawn(Task<T> task, std::source_location where = std::source_location::current()) {
    add(*new Child<T>(std::move(task)), where);
  }

  /// Waits until another task could start at once, for producers that are not to run ahead; several that wait
  /// go on together, and what they spawn beyond the limit waits for its turn. Fails with the scope's reason
  /// when the group is cancelled.
  auto room() noexcept { return WaitOperation<Room, TaskGroup>(*this); }

  /// Cancels every task of the group and its body; what they report because of that is no failure.
  void cancel() noexcept;

  /// Tasks of the group that have not ended.
  [[nodiscard]] std::size_t size() const noexcept { return unfinished_; }

 private:
  template <class Body>
  friend class detail::GroupAwaiter;
  using Scope::cancel;

  class ChildBase : public detail::MemberBase {
   public:
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }
    /// Success, or how it failed.
    virtual std::error_code error() noexcept = 0;
    void dispose() noexcept override { delete this; }
    std::source_location spawned_at;
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

  /// What the coroutine that awaits the group waits for.
  class Join final : public Wait {
   public:
    explicit Join(TaskGroup& group) noexcept : group_(group) {}
    void joins(PromiseBase* promise) noexcept { promise_ = promise; }
    Wait* cancel(const CancelCause&) noexcept override {
      return nullptr;
    }  // the members are told by the group
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
      group_.check_home("room in a group was awaited on another worker than the group's");
      wait_in(group_.waiting_for_room_, coroutine, promise_of(coroutine));
    }
    Result<void> await_resume() noexcept { return finish(); }
    void describe(std::string& text) const override;

   private:
    TaskGroup& group_;
  };

  explicit TaskGroup(const TaskGroupOptions& options) noexcept : max_running_(options.max_running) {}
  ~TaskGroup() override;

  void check_home(const char* message) const noexcept { CORERING_ASSERT(is_home(), message); }
  [[nodiscard]] bool has_room() const noexcept { return unfinished_ < max_running_; }

  /// Opens it; `joining` is resumed when the body and every task have ended.
  void begin(std::coroutine_handle<> joining, PromiseBase* outer) noexcept;
  void begin_body(detail::MemberBase& body) noexcept;
  void body_failed(std::exception_ptr exception) noexcept;
  /// Reports a Result of the body that is an error to fail().
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

  // What became of the whole.
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
  bool cancelled_by_itself_ = false;  // cancel(), or a failure
  std::exception_ptr exception_;
  std::error_code error_;
  std::error_code cut_;  // what a member reported that was cancelled from outside of the group
  Join join_{*this};
};

namespace detail {

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;

template <class Body>
concept GroupBody = std::invocable<Body&, TaskGroup&> && is_task<std::invoke_result_t<Body&, TaskGroup&>>;

/// The group, its body, and the coroutine that waits for both. The body is a strand of its own, as its tasks
/// are: it may hop, while the awaiting coroutine stays where the group is.
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

  ResultType await_resume() {
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

 private:
  Body body_;
  TaskGroupOptions options_;
};

}  // namespace detail

/// `co_await with_group([&](TaskGroup& group) -> Task<void> { group.spawn(...); ... co_return; })`, on a
/// worker: runs the body and whatever it spawns into the group, and resumes when all of that has ended, body
/// and tasks alike. So what the tasks refer to in the awaiting coroutine stays alive for them; what is local
/// to the body does not, unless the body waits.
///
/// Yields Result<T> where the body is a Task<T> or Task<Result<T>>. The first failure, an exception or a
/// Result that is an error, cancels the rest of the group; it comes out when all have ended, the exception as
/// an exception, also if an error came first. Cancelled from outside, the group reports what its members
/// report. The body is moved into the awaiter: it may capture. (g++ 12 destroys
/// twice what a lambda captures by value that stands inside the co_await expression: give it a name and move
/// it in.) A task of a server that must not take the others down with it returns no failure.
template <class Body>
  requires detail::GroupBody<std::remove_cvref_t<Body>>
auto with_group(Body&& body, const TaskGroupOptions& options = {}) {
  return detail::GroupOperation<std::remove_cvref_t<Body>>(std::forward<Body>(body), options);
}

}  // namespace corering
