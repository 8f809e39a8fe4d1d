/// strand.hpp — a spawned task and all it awaits: one thing at a time, in one place at a time.
#pragma once

#include <atomic>
#include <coroutine>
#include <source_location>

#include <corering/base/assert.hpp>
#include <corering/base/spin_lock.hpp>
#include <corering/engine/mpsc_queue.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/scope.hpp>

namespace corering {

class LoopFront;

/// The outermost scope of the strand, beside its first coroutine. It knows the worker where the strand is, so
/// that a cancellation from any thread finds it there, whatever it hops to meanwhile.
///
/// A request to cancel travels as a message, one at a time, through the queue of the worker where the strand
/// is; a worker that the strand has left meanwhile passes it on. The location changes, and the message is
/// posted, under one lock: so the message always goes to a worker that hosts the strand and cannot end. The
/// strand does not end while its message is under way.
class Strand : public Scope {
 public:
  /// Before it begins: the strand is a member of what `outer` cancels, and takes over its deadline.
  void join(const Scope* outer) noexcept {
    parent_ = outer != nullptr ? outer->strand() : nullptr;
    inherit(outer, Shield::no);
  }

  /// The strand of which it is a member, or null. Outlives it.
  [[nodiscard]] const Strand* parent() const noexcept { return parent_; }

  /// Where it was started, for dumps.
  std::source_location spawned_at;

  /// Begins, or goes on without having been on a worker, on the one of `here`, the current one.
  void start_on(Loop& here) noexcept;
  /// Begins when `node`, which is about to be posted to `there`, arrives.
  void start_at(Loop& there, PostNode& node) noexcept;

  /// Said once, of the worker where it begins: what only it ever touches stays on one thread until it hops.
  void set_birthplace(const LoopFront& there) noexcept {
    only_place_.store(&there, std::memory_order_relaxed);
  }
  /// Of the current worker: true when the strand was born there, or is about to arrive, and has not left it.
  /// Then nothing of it happens on another thread until the caller has returned to the loop.
  [[nodiscard]] bool has_never_left(const LoopFront& here) const noexcept {
    return only_place_.load(std::memory_order_relaxed) == &here;
  }

  /// Moves to `there` with `node`; false, and nothing has happened, when that worker refuses.
  [[nodiscard]] bool hop(Loop& there, PostNode& node) noexcept;
  /// Moves to a worker that cannot refuse, because it has to close a scope of this strand.
  void go_home(Loop& home, PostNode& node) noexcept;

  /// The strand's last act, on the thread where it is: on_end() follows, now or when its message has come
  /// in.
  void end() noexcept;
  /// The same without the lock, and on_end() is left to the caller, who sees to it that no other thread
  /// can turn to the strand from now on, and that what they did before is known here. False, and nothing has
  /// happened, when it has ever left the worker of `here`, the current one, or when an earlier message is
  /// under way to it.
  [[nodiscard]] bool end_unseen(const LoopFront& here) noexcept {
    if (!has_never_left(here) || message_under_way_) return false;
    CORERING_DEBUG_ASSERT(!ended_, "a strand ends once");
    unlink();
    location_ = nullptr;
    ended_ = true;
    return true;
  }

  [[nodiscard]] bool is_here() noexcept;

 protected:
  Strand() noexcept { strand_ = this; }
  ~Strand() override = default;

  /// Nobody will touch it any more. On the thread where it ended, or where its message came in.
  virtual void on_end() noexcept = 0;

 private:
  friend class CancelProtocol;
  void check_is_here() const noexcept;

  SpinLock lock_;
  // Under the lock:
  bool ended_ = false;  // but for its message
  bool message_under_way_ = false;
  Loop* location_ = nullptr;  // null on a thread without a worker

  // Written by the strand itself. Another thread that reads it too early or too late does not find itself.
  std::atomic<const LoopFront*> only_place_ = nullptr;

  const Strand* parent_ = nullptr;
  union {
    CallNode message_;  // made when it is sent, so that a strand without one does not pay for it
  };
};

}  // namespace corering
