/// cancel_protocol.hpp — how a cancellation reaches what waits, from whatever thread it is asked for.
///
/// Only the thread where a strand is touches the strand's scopes. So there are two ways:
///
///  1. **The strand is on this thread.** The cancellation walks down: each scope notes the reason, tells its
///     members, and names what its coroutine waits for, which may be a scope again. The innermost wait
///     becomes ready, or asks the kernel. Members line up (engine/cancel_walk.hpp), so the stack does not
///     grow.
///  2. **The strand is elsewhere.** The caller leaves the request in the scope, and sends the strand's
///     message to the worker where the strand is. A strand has one message, and sends it once at a time: the
///     message that is under way also finds requests that come meanwhile. A worker that the strand has left
///     in the meantime passes the message on. When the message finds the strand, it takes the request of
///     every scope, from the outermost to the innermost, and each goes the first way.
///
/// The strand's location changes, and its message is posted, under one lock. So the message always goes to a
/// worker that hosts the strand, and a worker that hosts a strand cannot end. If a strand ends while its
/// message is under way, the message calls on_end().
///
/// Nothing here resumes a coroutine.
#pragma once

#include <corering/engine/post.hpp>
#include <corering/engine/scope.hpp>

namespace corering {

class CancelProtocol {
 public:
  CancelProtocol() = delete;

  /// Cancels `scope` and everything in it.
  /// thread: any; it never waits · keep alive: the scope, until this returns
  static void request(Scope& scope, const CancelCause& cause) noexcept;

  /// Cancels `scope` and everything in it, also if it is a shield.
  /// thread: the one where the scope's strand is
  static void cancel_here(Scope& scope, const CancelCause& cause) noexcept;

  /// Cancels the strand of a member of a group or a combinator. If it is here it is cancelled at once, where
  /// also shields can be pierced, or it lines up in the walk that has come so far; else by its message.
  static void cancel_member(Strand& member, const CancelCause& cause) noexcept;

  /// Asks `first` to end, then what it names, and so on down to the innermost wait.
  /// thread: the one where they wait
  static void walk(Wait* first, const CancelCause& cause) noexcept;

 private:
  static void leave_request(Scope& scope, const CancelCause& cause) noexcept;
  [[nodiscard]] static CancelCause take_request(Scope& scope) noexcept;
  static void send_message(Strand& strand) noexcept;
  static void message_arrived(PostNode& node, Loop& here) noexcept;
  static void take_every_request(Strand& strand) noexcept;
};

}  // namespace corering
