/// mailbox.hpp — how other threads reach a worker: a queue, and an eventfd that wakes the worker if it
/// sleeps.
///
/// Any thread posts; only the owner takes. The mailbox hands nodes out and calls nobody. It counts the wakes:
/// a poster that has found the owner asleep owes the eventfd one write, says so when it has written, and the
/// eventfd is not closed before all who owe have said so. So nobody ever writes to a descriptor that has been
/// reused. What is read from the eventfd is not counted: a stranger who has the descriptor, such as a forked
/// child, can write to it, and then the owner only wakes up for nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/base/process_generation.hpp>
#include <corering/engine/mpsc_queue.hpp>
#include <corering/engine/post.hpp>
#include <corering/uring/abi.hpp>
#include <corering/uring/kernel.hpp>

namespace corering {

class Mailbox {
 public:
  /// `owner` is the trace's name for the receiver of the nodes.
  Mailbox(Kernel& kernel, const void* owner) noexcept
      : kernel_(kernel), owner_(owner), generation_(process_generation()) {}
  Mailbox(Mailbox&&) = delete;

  // ---- any thread ----

  /// Returns false if the owner takes no more work: then nothing has happened. If it returns true, the node
  /// may already be gone.
  [[nodiscard]] bool post(PostNode& node) noexcept {
    return !refuses_posts_.load(std::memory_order_acquire) && push(node);
  }
  /// The same, even while the owner refuses posts. The caller knows that the owner has not ended.
  [[nodiscard]] bool post_regardless(PostNode& node) noexcept { return push(node); }
  /// Posts a coroutine that the owner expects back, and so cannot refuse.
  void post_home(PostNode& node) noexcept {
    const bool pushed = push(node);
    CORERING_ASSERT(pushed, "a worker ended although it expected a coroutine back");
  }
  /// From now on, post() is refused. Posts that have already begun may still arrive.
  void refuse_posts() noexcept { refuses_posts_.store(true, std::memory_order_release); }
  /// Refuses posts and posts the stop request, once. It is async-signal-safe. In a child that was forked it
  /// does nothing: the owner is in the parent.
  void request_stop() noexcept;

  // ---- the owner's thread ----

  /// Opens the eventfd. Returns 0 or -errno.
  [[nodiscard]] int open() noexcept;
  /// Closes the eventfd. Every wake must have arrived, and the wake read must not be armed.
  void close() noexcept;

  /// Returns true if there is nothing to take at the moment.
  [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
  /// Returns all nodes posted so far, oldest first, or null.
  [[nodiscard]] PostNode* take() noexcept {
    PostNode* const first = queue_.take();
    // Whoever took our mark by pushing first owes the eventfd one write.
    if (first != nullptr && std::exchange(mark_was_taken_, false)) ++promised_wakes_;
    return first;
  }
  /// Refuses every later push. Returns false, and the queue stays open, if there are nodes to take first.
  [[nodiscard]] bool try_close() noexcept { return queue_.try_close(); }

  /// To be called when the owner is about to sleep. Returns false if there is something to take: then the
  /// owner must not sleep.
  [[nodiscard]] bool fall_asleep() noexcept { return queue_.mark_asleep(); }
  /// To be called when the owner has woken up. This costs an atomic exchange per sleep. If the mark stayed,
  /// posters would write the eventfd of a worker that is awake.
  void wake_up() noexcept {
    CORERING_DEBUG_ASSERT(!mark_was_taken_, "each mark that was taken is counted before the next sleep");
    mark_was_taken_ = !queue_.take_mark_back();
  }

  // ---- the wake read: the owner's read of the eventfd, armed while it sleeps ----

  [[nodiscard]] bool is_wake_read_armed() const noexcept { return wake_read_armed_; }
  void arm_wake_read(Sqe& sqe, std::uint64_t user_data) noexcept;
  void wake_read_done() noexcept;

  /// Returns true while a poster owes a write. After it has returned false, what the posters did before their
  /// writes is known here.
  [[nodiscard]] bool awaits_wakes() const noexcept {
    return wakes_written_.load(std::memory_order_acquire) != promised_wakes_;
  }

  /// Returns true in the process that made the mailbox, and false in a child that was forked.
  [[nodiscard]] bool is_in_its_process() const noexcept { return generation_ == process_generation(); }

 private:
  void check_process() const noexcept;
  [[nodiscard]] bool push(PostNode& node) noexcept;
  [[nodiscard]] [[gnu::noinline]] bool push_on_record(PostNode& node) noexcept;
  [[gnu::noinline]] void wake() noexcept;

  // Set before the owner can sleep.
  Kernel& kernel_;
  const void* const owner_;
  const unsigned generation_;
  int eventfd_ = -1;

  // Only the owner's thread uses these.
  std::uint64_t promised_wakes_ = 0;  // eventfd writes that posters have owed us, from the start
  std::uint64_t wake_count_ = 0;      // the wake read reads into this
  bool wake_read_armed_ = false;
  bool mark_was_taken_ = false;  // by a poster, while we slept

  // Every thread uses these.
  MpscQueue queue_;
  std::atomic<std::uint64_t> wakes_written_ = 0;  // by posters, each just after its eventfd write
  std::atomic<bool> refuses_posts_ = false;
  std::atomic<bool> stop_requested_ = false;
  PostNode stop_node_;
};

}  // namespace corering
