/// mpsc_queue.hpp — how other threads reach a worker.
///
/// Any thread may push; only the owner pops. A push never allocates and the queue is never full: the node
/// lives in the pusher's coroutine frame. Whether the owner sleeps, and whether it is gone for good, is said
/// by the same word that holds the nodes, so "published but not woken" and "pushed after the end" cannot be
/// written down at all: no flag, no fence, no re-check.
#pragma once

#include <atomic>
#include <cstdint>

#include <corering/engine/post.hpp>

namespace corering {

class MpscQueue {
 public:
  enum class Pushed : std::uint8_t {
    queued,     ///< the owner is awake and will find it
    must_wake,  ///< the owner sleeps and this push took its mark away: the pusher, alone, wakes it
    closed,     ///< refused, the node is untouched
  };

  MpscQueue() noexcept = default;
  MpscQueue(MpscQueue&&) = delete;

  /// Any thread. Lock-free; what the pusher wrote before is visible to the owner when it pops.
  [[nodiscard]] Pushed push(PostNode& node) noexcept {
    PostNode* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == &closed_) return Pushed::closed;
      node.next = head == &asleep_ ? nullptr : head;
      // release: the owner's acquire in take() sees the node. Every later push is a read-modify-write of the
      // same word, so the release sequence of this one reaches the owner even if others came after it.
      // acquire: whoever takes the mark away sees what the owner set up before it slept (its eventfd).
    } while (!head_.compare_exchange_weak(head, &node, std::memory_order_acq_rel, std::memory_order_relaxed));
    return head == &asleep_ ? Pushed::must_wake : Pushed::queued;
  }

  /// Owner. All nodes pushed so far, oldest first, or null.
  [[nodiscard]] PostNode* take() noexcept {
    PostNode* head = head_.load(std::memory_order_relaxed);
    if (head == nullptr || head == &asleep_ || head == &closed_) return nullptr;
    return oldest_first(head_.exchange(nullptr, std::memory_order_acquire));
  }

  /// Owner, awake, before it is closed. True when there is nothing to pop at the moment.
  [[nodiscard]] bool empty() const noexcept { return head_.load(std::memory_order_relaxed) == nullptr; }

  /// Owner, awake. Leaves the mark that makes the next pusher wake it; false, and no mark, when there are
  /// nodes to pop or the queue is closed.
  [[nodiscard]] bool mark_asleep() noexcept {
    PostNode* head = nullptr;
    // release pairs with the pusher's acquire. Failing needs no order: it sends the owner to take(), which
    // acquires.
    return head_.load(std::memory_order_relaxed) == nullptr &&
           head_.compare_exchange_strong(head, &asleep_, std::memory_order_release,
                                         std::memory_order_relaxed);
  }

  /// Owner, awake again. Takes its mark back; false when a pusher has taken it before, and so is about to
  /// wake it.
  [[nodiscard]] bool take_mark_back() noexcept {
    PostNode* head = &asleep_;
    return head_.compare_exchange_strong(head, nullptr, std::memory_order_relaxed);
  }

  /// Owner. Refuses every later push; false, and still open, when there are nodes to pop first.
  [[nodiscard]] bool try_close() noexcept {
    PostNode* head = head_.load(std::memory_order_relaxed);
    while (head == nullptr || head == &asleep_) {
      if (head_.compare_exchange_weak(head, &closed_, std::memory_order_relaxed)) return true;
    }
    return head == &closed_;
  }

 private:
  static PostNode* oldest_first(PostNode* newest) noexcept {
    PostNode* reversed = nullptr;
    while (newest != nullptr) {
      PostNode* const next = newest->next;
      newest->next = reversed;
      reversed = newest;
      newest = next;
    }
    return reversed;
  }

  // Only their addresses mean anything.
  static inline PostNode asleep_;
  static inline PostNode closed_;

  alignas(64) std::atomic<PostNode*> head_ = nullptr;
};

}  // namespace corering
