/// scope.hpp — a part of the work that is cancelled as one, and what waits inside it.
///
/// A coroutine runs in one scope, and so does what it awaits. Whatever it waits for registers there as the
/// one thing to cancel: that is one store, and no list. A scope that is opened inside another one registers
/// in the same way, so cancelling walks from the outermost scope to the innermost wait. Cancelling resumes
/// nothing by itself: what was waiting becomes ready, or asks the kernel and becomes ready with the kernel's
/// answer.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <source_location>
#include <string>

#include <corering/base/intrusive_list.hpp>
#include <corering/base/time.hpp>
#include <corering/engine/cancel_reason.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/promise_base.hpp>
#include <corering/trace/event_schema.hpp>

namespace corering {

class CancelWalk;
class Loop;
struct PostNode;
class Scope;
class Strand;

/// What is passed down through the scopes.
struct CancelCause {
  CancelReason reason;
  bool through_shields = false;  ///< only when a stopping worker has run out of patience
  CancelWalk* walk = nullptr;    ///< the walk that brings it, where members line up
};

/// Something that a coroutine waits for.
/// thread: the one on which that coroutine waits
class Wait : public ListNode {
 public:
  Wait(Wait&&) = delete;

  /// Asks the wait to end early. Asking again, or too late, does nothing. Resumes nothing inside the call.
  /// Returns what else lies below and must be cancelled, or null.
  virtual Wait* cancel(const CancelCause& cause) noexcept = 0;

  /// Appends what it waits for, as in "recv (fd 7)".
  virtual void describe(std::string& text) const = 0;

  /// Returns what a trace calls it.
  [[nodiscard]] virtual trace::WaitFor name_in_trace() const noexcept { return trace::WaitFor::other; }

  /// Records that its end was asked for. Call it only while recording.
  void record_cancel(const CancelReason& reason) const noexcept;

  /// Returns this wait as a scope, or null if it is not one.
  [[nodiscard]] virtual Scope* as_scope() noexcept { return nullptr; }

  /// Returns the promise of the coroutine that waits, or null for a coroutine of another library.
  [[nodiscard]] const PromiseBase* promise() const noexcept { return promise_; }

 protected:
  Wait() noexcept = default;
  virtual ~Wait() = default;

  /// To be called when the coroutine of `promise`, which may be null, begins to wait for this.
  void begin_wait(PromiseBase* promise) noexcept;
  /// The same, for a caller that knows the loop that runs here; `here` may be null.
  void begin_wait(PromiseBase* promise, const Loop* here) noexcept;
  /// To be called when the coroutine no longer waits for this.
  inline void end_wait() noexcept;

  /// For the trace, while recording; operations record other events. Which coroutine waits, and whether it
  /// got what it waited for.
  void record_begin(std::coroutine_handle<> coroutine) const noexcept;
  void record_end(bool got) const noexcept;
  void notice_if_slow() const noexcept;

  PromiseBase* promise_ = nullptr;
};

class Scope : public Wait {
 public:
  [[nodiscard]] bool is_cancelled() const noexcept { return static_cast<bool>(reason_); }
  [[nodiscard]] CancelReason reason() const noexcept { return reason_; }

  /// Returns the nearest of its own deadline and those around it, or max() if there is none.
  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }

  /// Returns true inside a shield: a stopping worker lets it work until the worker's patience ends.
  [[nodiscard]] bool is_shielded() const noexcept { return shielded_; }

  Wait* cancel(const CancelCause& cause) noexcept override;
  void describe(std::string& text) const override;
  [[nodiscard]] Scope* as_scope() noexcept override { return this; }

  [[nodiscard]] Strand* strand() const noexcept { return strand_; }
  [[nodiscard]] Wait* waiting() const noexcept { return waiting_; }
  [[nodiscard]] std::uint64_t waiting_since() const noexcept { return since_; }
  /// Returns the worker that opened it, to which its coroutine comes back before it is closed, or null for a
  /// strand's own scope.
  [[nodiscard]] Loop* home() const noexcept { return home_; }

  /// `wait` is what the coroutine in here waits for now; `ticks` is when that began.
  void waits_for(Wait* wait, std::uint64_t ticks) noexcept {
    waiting_ = wait;
    since_ = ticks;
  }
  void waits_no_more() noexcept { waiting_ = nullptr; }

 protected:
  friend class CancelProtocol;
  friend class Strand;
  enum class Shield : bool { no, yes };

  Scope() noexcept = default;
  ~Scope() override = default;

  /// Opens the scope on the current worker, inside the scope of `outer`, which must not be null.
  void open(PromiseBase* outer, Shield shield = Shield::no) noexcept;
  /// Closes it.
  /// thread: the worker that opened it
  void close() noexcept;
  /// Returns true on the worker that opened it.
  [[nodiscard]] bool is_home() const noexcept;
  /// Posts the node's coroutine, which is on another worker, to the one that opened this.
  void go_home(PostNode& node) noexcept;

  /// Cancels what a group has inside besides what its own coroutine waits for.
  virtual void cancel_members(const CancelCause&) noexcept {}

  /// Notes that it is cancelled for this reason, unless it has been cancelled before.
  void note_reason(CancelReason reason) noexcept {
    if (!is_cancelled()) reason_ = reason;
  }

  /// Takes over what `outer` says about cancellation.
  void inherit(const Scope* outer, Shield shield) noexcept;

  // Every wait touches these, so they lie together.
  Wait* waiting_ = nullptr;
  std::uint64_t since_ = 0;
  CancelReason reason_;
  bool shields_ = false;   // it is a shield itself
  bool shielded_ = false;  // it is a shield itself, or there is one around it
  // What another thread has asked for (cancel_protocol.hpp).
  std::atomic<bool> requested_through_shields_ = false;
  std::atomic<int> requested_ = 0;

  Strand* strand_ = nullptr;
  Loop* home_ = nullptr;
  TimePoint deadline_ = TimePoint::max();
};

inline void Wait::end_wait() noexcept {
  if (promise_ != nullptr && promise_->scope != nullptr) promise_->scope->waits_no_more();
}

/// Returns what a trace calls the task of a coroutine: the address of its strand, or its own if it has none.
[[nodiscard]] inline std::uint64_t task_in_trace(const PromiseBase* promise,
                                                 std::coroutine_handle<> coroutine) noexcept {
  const bool has_strand =
      promise != nullptr && promise->scope != nullptr && promise->scope->strand() != nullptr;
  return has_strand ? reinterpret_cast<std::uintptr_t>(promise->scope->strand())
                    : reinterpret_cast<std::uintptr_t>(coroutine.address());
}

/// Returns why a coroutine with this promise (may be null) may not wait: its scope's reason, or ECANCELED.
[[nodiscard]] std::error_code cancellation_error(const PromiseBase* promise) noexcept;

/// Ends the program with a message unless `promise` is in a scope of a strand, as all the library's own tasks
/// are.
void require_scope(const PromiseBase* promise) noexcept;

}  // namespace corering
