/// woken_queue.hpp — a queue whose owner sleeps, and the count of the wakes that those who push owe it.
///
/// A poster that has found the owner asleep owes it one wake, and says so when it has written that. The owner
/// closes what is written to only when all who owe have said so.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/engine/mpsc_queue.hpp>

namespace corering {

/// `Atomic` and `Node` are those of BasicMpscQueue.
template <template <class> class Atomic, class Node>
class BasicWokenQueue {
 public:
  BasicWokenQueue() noexcept = default;
  BasicWokenQueue(BasicWokenQueue&&) = delete;

  // ---- any thread ----

  [[nodiscard]] Pushed push(Node& node) noexcept { return queue_.push(node); }
  /// Says that the wake has been written which a push had to write. After this the caller does not touch the
  /// queue: the owner may end when it has seen this.
  void wake_is_written() noexcept { wakes_written_.fetch_add(1, std::memory_order_release); }

  // ---- the owner's thread ----

  /// Returns true if there is nothing to take at the moment.
  [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
  /// Returns all nodes pushed so far, oldest first, or null.
  [[nodiscard]] Node* take() noexcept {
    Node* const first = queue_.take();
    // Whoever took our mark by pushing first owes us one wake.
    if (first != nullptr && std::exchange(mark_was_taken_, false)) ++promised_wakes_;
    return first;
  }
  /// Refuses every later push. Returns false, and the queue stays open, if there are nodes to take first.
  [[nodiscard]] bool try_close() noexcept { return queue_.try_close(); }

  /// To be called when the owner is about to sleep. Returns false if there is something to take: then the
  /// owner must not sleep.
  [[nodiscard]] bool fall_asleep() noexcept { return queue_.mark_asleep(); }
  /// To be called when the owner has woken up. This costs an atomic exchange per sleep. If the mark stayed,
  /// posters would wake an owner that is awake.
  void wake_up() noexcept {
    CORERING_DEBUG_ASSERT(!mark_was_taken_, "each mark that was taken is counted before the next sleep");
    mark_was_taken_ = !queue_.take_mark_back();
  }

  /// Returns true while a poster owes a wake. After it has returned false, what the posters did before they
  /// wrote is known here.
  [[nodiscard]] bool awaits_wakes() const noexcept {
    return wakes_written_.load(std::memory_order_acquire) != promised_wakes_;
  }
  /// Calls `nap` with the count, and with what it has to become, while a poster owes a wake.
  template <class Nap>
  void await_wakes(const Nap& nap) noexcept {
    while (awaits_wakes()) nap(wakes_written_, promised_wakes_);
  }

  /// Everything that the owner remembers, for a test that goes through every order: how many wakes it was
  /// owed so far, and whether one more is to be counted.
  [[nodiscard]] std::pair<std::uint64_t, bool> owed() const noexcept {
    return {promised_wakes_, mark_was_taken_};
  }

 private:
  // Only the owner's thread uses these.
  std::uint64_t promised_wakes_ = 0;  // wakes that posters have owed us, from the start
  bool mark_was_taken_ = false;       // by a poster, while we slept

  // Every thread uses these.
  BasicMpscQueue<Atomic, Node> queue_;
  Atomic<std::uint64_t> wakes_written_ = 0;  // by posters, each just after its wake
};

using WokenQueue = BasicWokenQueue<std::atomic, PostNode>;

}  // namespace corering
