/// strand.hpp — a spawned task and all that it awaits: one thing at a time, in one place at a time.
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

/// The outermost scope of a strand, next to the strand's first coroutine. It knows the worker where the
/// strand is, so a cancellation from any thread finds the strand there, wherever it hops meanwhile.
///
/// A request to cancel travels as a message, one at a time, through the queue of the worker where the strand
/// is. A worker that the strand has left meanwhile passes the message on. The location changes, and the
/// message is posted, under one lock. So the message always goes to a worker that hosts the strand and cannot
/// end. The strand does not end while its message is under way.
class Strand : public Scope {
 public:
  /// To be called before it starts: makes the strand a member of what `outer` cancels, and takes over its
  /// deadline.
  void join(const Scope* outer) noexcept {
    parent_ = outer != nullptr ? outer->strand() : nullptr;
    inherit(outer, Shield::no);
  }

  /// Returns the strand of which it is a member, or null. That strand outlives it.
  [[nodiscard]] const Strand* parent() const noexcept { return parent_; }

  /// Where it was started, for dumps.
  std::source_location spawned_at;

  /// Records that it is about to start. Call it only while recording; a name must be a constant.
  void record_spawned(const char* name) const noexcept;

  /// Starts on the current worker, whose loop is `here`, or goes on there without having been on a worker
  /// before.
  void start_on(Loop& here) noexcept;
  /// Starts when `node`, which is about to be posted to `there`, arrives.
  void start_at(Loop& there, PostNode& node) noexcept;

  /// To be called once, with the worker where it starts: until the strand hops, what only the strand touches
  /// stays on one thread.
  void set_birthplace(const LoopFront& there) noexcept {
    only_place_.store(&there, std::memory_order_relaxed);
  }
  /// Returns true if the strand was born on the current worker, or is about to arrive there, and has not left
  /// it. Then nothing of it happens on another thread until the caller has returned to the loop.
  [[nodiscard]] bool has_never_left(const LoopFront& here) const noexcept {
    return only_place_.load(std::memory_order_relaxed) == &here;
  }

  /// Moves to `there` with `node`. Returns false if that worker refuses; then nothing has happened.
  [[nodiscard]] bool hop(Loop& there, PostNode& node) noexcept;
  /// Moves to a worker that cannot refuse, because it must close a scope of this strand.
  void go_home(Loop& home, PostNode& node) noexcept;

  /// The strand's last act, on the thread where it is. on_end() follows, now or when the strand's message has
  /// come in.
  void end() noexcept;
  /// The same without the lock, and the caller must call on_end(). The caller makes sure that no
  /// other thread can reach the strand from now on, and that what other threads did before is known here.
  /// Returns false, and nothing has happened, if the strand has ever left the current worker, whose loop is
  /// `here`, or if an earlier message is under way to it.
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

  /// Called when nobody will touch the strand any more, on the thread where it ended or where its message
  /// came in.
  virtual void on_end() noexcept = 0;

 private:
  friend class CancelProtocol;
  friend class CancelWalk;
  void check_is_here() const noexcept;

  SpinLock lock_;
  // Under the lock:
  bool ended_ = false;  // except for its message
  bool message_under_way_ = false;
  Loop* location_ = nullptr;  // null on a thread without a worker

  // The strand itself writes this. Another thread that reads it too early or too late does not find itself in
  // it.
  std::atomic<const LoopFront*> only_place_ = nullptr;

  const Strand* parent_ = nullptr;
  Strand* next_in_walk_;  // written when it lines up in a cancellation, so that no other strand pays for it
  union {
    CallNode message_;  // made when it is sent, so that a strand without one does not pay for it
  };
};

}  // namespace corering
