/// ready_queue.hpp — what can run again, in the order in which it became ready.
///
/// It is a growing array of handles and not a linked list: completions are filed in batches, and reading the
/// next handle does not touch a coroutine's memory before its turn. After the largest burst that it has seen,
/// it allocates no more.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <span>

#include <corering/base/assert.hpp>

namespace corering {

class ReadyQueue {
 public:
  ReadyQueue() noexcept = default;
  ReadyQueue(ReadyQueue&&) = delete;

  [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
  [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }

  /// Returns what is ready, in its order, which the caller may change. No coroutine may run meanwhile.
  [[nodiscard]] std::span<std::coroutine_handle<>> handles() noexcept {
    return {slots_.get() + head_, size()};
  }

  /// Makes room for the first coroutines, while somebody can be told if there is no memory.
  /// errors: throws std::bad_alloc
  void prepare();

  /// Appends.
  /// no memory: the program ends, because nobody could be told (docs/MEMORY.md). It happens only when more
  ///   coroutines are ready at once than ever before
  void push(std::coroutine_handle<> coroutine) noexcept {
    if (tail_ == capacity_) [[unlikely]]
      make_room(1);
    CORERING_DEBUG_ASSERT(coroutine, "what is ready can be resumed");
    slots_[tail_++] = coroutine;
  }

  /// Appends many coroutines. While it lives, nobody else may append.
  class Batch {
   public:
    /// `count` is the most that will be pushed.
    Batch(ReadyQueue& queue, std::size_t count) noexcept : queue_(queue) {
      if (queue.capacity_ - queue.tail_ < count) [[unlikely]]
        queue.make_room(count);
      next_ = &queue.slots_[queue.tail_];
    }
    Batch(Batch&&) = delete;
    ~Batch() {
      queue_.tail_ = static_cast<std::size_t>(next_ - queue_.slots_.get());
      CORERING_DEBUG_ASSERT(queue_.tail_ <= queue_.capacity_,
                            "a batch pushes at most what it has asked room for");
    }
    void push(std::coroutine_handle<> coroutine) noexcept { *next_++ = coroutine; }

   private:
    ReadyQueue& queue_;
    std::coroutine_handle<>* next_;
  };

  /// Resumes at most `budget` coroutines, including those that become ready meanwhile, and returns how many
  /// it resumed.
  std::size_t run(std::size_t budget) {
    std::size_t resumed = 0;
    while (resumed < budget && head_ != tail_) {
      const std::coroutine_handle<> next = slots_[head_++];
      next.resume();  // the one line of the library that resumes coroutines
      ++resumed;
    }
    // Starts again at the front, which is in the cache.
    CORERING_DEBUG_ASSERT(head_ <= tail_ && tail_ <= capacity_, "the ready queue is a part of its slots");
    if (head_ == tail_) head_ = tail_ = 0;
    return resumed;
  }

 private:
  void make_room(std::size_t count) noexcept;
  void move_to(std::size_t capacity);

  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::size_t capacity_ = 0;
  std::unique_ptr<std::coroutine_handle<>[]> slots_;
};

}  // namespace corering
