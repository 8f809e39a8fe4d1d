/// mailbox.hpp — how other threads reach a worker: a queue, and an eventfd that wakes the worker if it
/// sleeps.
///
/// Any thread posts; only the owner takes. The mailbox hands nodes out and calls nobody. The eventfd is not
/// closed before all wakes have been written that posters owe (woken_queue.hpp). So nobody ever writes to a
/// descriptor that has been reused. What is read from the eventfd is not counted: a stranger who has the
/// descriptor, such as a forked child, can write to it, and then the owner only wakes up for nothing.
#pragma once

#include <atomic>
#include <cstdint>

#include <corering/base/assert.hpp>
#include <corering/base/process_generation.hpp>
#include <corering/engine/post.hpp>
#include <corering/uring/kernel.hpp>
#include <corering/uring/uapi.hpp>

#include "engine/woken_queue.hpp"

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

  /// What the owner takes, and when it sleeps.
  [[nodiscard]] WokenQueue& queue() noexcept { return queue_; }

  // ---- the wake read: the owner's read of the eventfd, armed while it sleeps ----

  [[nodiscard]] bool is_wake_read_armed() const noexcept { return wake_read_armed_; }
  void arm_wake_read(Sqe& sqe, std::uint64_t user_data) noexcept;
  void wake_read_done() noexcept;

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
  std::uint64_t wake_count_ = 0;  // the wake read reads into this
  bool wake_read_armed_ = false;

  // Every thread uses these.
  WokenQueue queue_;
  std::atomic<bool> refuses_posts_ = false;
  std::atomic<bool> stop_requested_ = false;
  PostNode stop_node_;
};

}  // namespace corering
