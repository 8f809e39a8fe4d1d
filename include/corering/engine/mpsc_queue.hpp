/// mpsc_queue.hpp — how other threads reach a worker.
///
/// Any thread may push; only the owner pops. A push never allocates and the queue is never full: the node
/// lives in the pusher's coroutine frame. The word that holds the nodes also says whether the owner sleeps,
/// and whether it is gone for good. So the states "published but not woken" and "pushed after the end" do not
/// exist: there is no flag, no fence and no second check.
#pragma once

#include <atomic>
#include <cstdint>

#include <corering/engine/post.hpp>

namespace corering {

/// What came of a push.
enum class Pushed : std::uint8_t {
  queued,     ///< the owner is awake and will find it
  must_wake,  ///< the owner sleeps and this push took its mark away: only this pusher wakes it
  closed,     ///< refused; the node is untouched
};

/// `Atomic` is std::atomic, or what explores every interleaving (tests/engine/interleavings.hpp), for which
/// `Node` may be one whose fields are watched.
template <template <class> class Atomic, class Node>
class BasicMpscQueue {
 public:
  using Pushed = corering::Pushed;

  BasicMpscQueue() noexcept = default;
  BasicMpscQueue(BasicMpscQueue&&) = delete;

  /// Lock-free. What the pusher wrote before is visible to the owner when it pops.
  /// thread: any
  [[nodiscard]] Pushed push(Node& node) noexcept {
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == &closed_) return Pushed::closed;
      node.next = head == &asleep_ ? nullptr : head;
      // release: the owner's acquire in take() sees the node. Every later push is a read-modify-write of the
      // same word, so the release sequence of this push reaches the owner even if others came after it.
      // acquire: whoever takes the mark away sees what the owner set up before it slept (its eventfd).
    } while (!head_.compare_exchange_weak(head, &node, std::memory_order_acq_rel, std::memory_order_relaxed));
    return head == &asleep_ ? Pushed::must_wake : Pushed::queued;
  }

  /// Returns all nodes pushed so far, oldest first, or null.
  /// thread: the owner's
  [[nodiscard]] Node* take() noexcept {
    Node* head = head_.load(std::memory_order_relaxed);
    if (head == nullptr || head == &asleep_ || head == &closed_) return nullptr;
    return oldest_first(head_.exchange(nullptr, std::memory_order_acquire));
  }

  /// Returns true if there is nothing to pop at the moment. Only an owner that is awake and has not closed
  /// the queue may ask.
  /// thread: the owner's
  [[nodiscard]] bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == nullptr; }

  /// Leaves the mark that makes the next pusher wake the owner. Returns false, and leaves no mark, if there
  /// are nodes to pop or the queue is closed.
  /// thread: the owner's, while it is awake
  [[nodiscard]] bool mark_asleep() noexcept {
    Node* head = nullptr;
    // release pairs with the pusher's acquire. A failure needs no order: it sends the owner to take(), which
    // acquires.
    return head_.load(std::memory_order_relaxed) == nullptr &&
           head_.compare_exchange_strong(head, &asleep_, std::memory_order_release,
                                         std::memory_order_relaxed);
  }

  /// Takes the owner's mark back. Returns false if a pusher has taken it before; that pusher is about to wake
  /// the owner.
  /// thread: the owner's, when it is awake again
  [[nodiscard]] bool take_mark_back() noexcept {
    Node* head = &asleep_;
    return head_.compare_exchange_strong(head, nullptr, std::memory_order_relaxed);
  }

  /// Refuses every later push. Returns false, and the queue stays open, if there are nodes to pop first.
  /// thread: the owner's
  [[nodiscard]] bool try_close() noexcept {
    Node* head = head_.load(std::memory_order_relaxed);
    while (head == nullptr || head == &asleep_) {
      if (head_.compare_exchange_weak(head, &closed_, std::memory_order_relaxed)) return true;
    }
    return head == &closed_;
  }

 private:
  static Node* oldest_first(Node* newest) noexcept {
    Node* reversed = nullptr;
    while (newest != nullptr) {
      Node* const next = newest->next;
      newest->next = reversed;
      reversed = newest;
      newest = next;
    }
    return reversed;
  }

  // Only the addresses of these mean anything.
  static inline Node asleep_;
  static inline Node closed_;

  alignas(64) Atomic<Node*> head_ = nullptr;
};

using MpscQueue = BasicMpscQueue<std::atomic, PostNode>;

}  // namespace corering
