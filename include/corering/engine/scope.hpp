/// scope.hpp — a part of the work that is cancelled as one, and what waits inside it.
///
/// A coroutine runs in one scope, and so does what it awaits. Whatever it waits for registers there as the
/// one thing to cancel: one store, no list. A scope that is opened inside another one registers in the same
/// way, so cancelling walks from the outermost scope to the innermost wait. Cancelling resumes nothing by
/// itself: what was waiting becomes ready, or asks the kernel and becomes ready with the kernel's answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>
#include <string>

#include <corering/base/intrusive_list.hpp>
#include <corering/base/time.hpp>
#include <corering/engine/cancel_reason.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/promise_base.hpp>

namespace corering {

class Loop;
struct PostNode;
class Scope;
class Strand;

/// What is on its way down through the scopes.
struct CancelCause {
  CancelReason reason;
  bool through_shields = false;  ///< only when a stopping worker has run out of patience
};

/// Something that a coroutine waits for. Touched only by the thread on which that coroutine waits.
class Wait : public ListNode {
 public:
  Wait(Wait&&) = delete;

  /// Asks the wait to end early; asking again, or too late, does nothing. Resumes nothing inside the call.
  /// Returns what else lies below and has to be cancelled, or null.
  virtual Wait* cancel(const CancelCause& cause) noexcept = 0;

  /// Appends what is waited for, as in "recv (fd 7)".
  virtual void describe(std::string& text) const = 0;

  /// This wait as a scope, if it is one.
  [[nodiscard]] virtual Scope* as_scope() noexcept { return nullptr; }

  /// Who waits; null for a coroutine of another library.
  [[nodiscard]] const PromiseBase* promise() const noexcept { return promise_; }

 protected:
  Wait() noexcept = default;
  virtual ~Wait() = default;

  /// The coroutine of `promise`, which may be null, begins to wait for this.
  void begin_wait(PromiseBase* promise) noexcept;
  /// The same, of whoever knows the loop that runs here, which may be null.
  void begin_wait(PromiseBase* promise, const Loop* here) noexcept;
  /// ... and does so no longer.
  inline void end_wait() noexcept;

  PromiseBase* promise_ = nullptr;
};

class Scope : public Wait {
 public:
  [[nodiscard]] bool is_cancelled() const noexcept { return static_cast<bool>(reason_); }
  [[nodiscard]] CancelReason reason() const noexcept { return reason_; }

  /// The nearest of its own deadline and those around it; max() when there is none.
  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }

  /// True inside a shield: a stopping worker lets it work until its patience ends.
  [[nodiscard]] bool is_shielded() const noexcept { return shielded_; }

  Wait* cancel(const CancelCause& cause) noexcept override;
  void describe(std::string& text) const override;
  [[nodiscard]] Scope* as_scope() noexcept override { return this; }

  [[nodiscard]] Strand* strand() const noexcept { return strand_; }
  [[nodiscard]] Wait* waiting() const noexcept { return waiting_; }
  [[nodiscard]] std::uint64_t waiting_since() const noexcept { return since_; }
  /// The worker that opened it and to which its coroutine comes back before it is closed; null for a
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

  /// Opens it on the current worker, inside the scope of `outer`, which may be null.
  void open(PromiseBase* outer, Shield shield = Shield::no) noexcept;
  /// On the worker that opened it.
  void close() noexcept;
  /// True on the worker that opened it.
  [[nodiscard]] bool is_home() const noexcept;
  /// Posts the node's coroutine, which is on another worker, to the one that opened this.
  void go_home(PostNode& node) noexcept;

  /// What a group has inside besides what its own coroutine waits for.
  virtual void cancel_members(const CancelCause&) noexcept {}

  /// Cancelled for this reason, unless it has been cancelled before.
  void note_reason(CancelReason reason) noexcept {
    if (!is_cancelled()) reason_ = reason;
  }

  /// Takes over what `outer` says about cancellation.
  void inherit(const Scope* outer, Shield shield) noexcept;

  // What every wait touches, side by side.
  Wait* waiting_ = nullptr;
  std::uint64_t since_ = 0;
  CancelReason reason_;
  bool shields_ = false;   // itself
  bool shielded_ = false;  // itself, or something around it
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

/// Why a coroutine with this promise (may be null) may not wait: its scope's reason, or ECANCELED.
[[nodiscard]] std::error_code cancellation_error(const PromiseBase* promise) noexcept;

/// Ends the program with a message unless `promise` is in a scope of a strand, as the library's own tasks
/// are.
void require_scope(const PromiseBase* promise) noexcept;

}  // namespace corering
