/// ready_queue.hpp — what can run again, in the order in which it became ready.
///
/// A growing ring of handles rather than a linked list: completions are filed in batches, and reading the
/// next handle does not touch a coroutine's memory before its turn. After the largest burst it has seen it
/// allocates no more.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>

namespace corering {

class ReadyQueue {
 public:
  ReadyQueue() noexcept = default;
  ReadyQueue(ReadyQueue&&) = delete;

  [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
  [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }

  /// Appends. Ends the program when memory runs out while growing: nobody could be told.
  void push(std::coroutine_handle<> coroutine) noexcept {
    if (tail_ - head_ == capacity_) [[unlikely]]
      grow();
    slots_[tail_++ & (capacity_ - 1)] = coroutine;
  }

  /// Resumes at most `budget` coroutines, those that become ready meanwhile included, and returns how many.
  std::size_t run(std::size_t budget) {
    std::size_t resumed = 0;
    while (resumed < budget && head_ != tail_) {
      const std::coroutine_handle<> next = slots_[head_++ & (capacity_ - 1)];
      next.resume();  // the one line of the library that resumes coroutines
      ++resumed;
    }
    return resumed;
  }

 private:
  void grow() noexcept;

  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::size_t capacity_ = 0;  // a power of two, or 0
  std::unique_ptr<std::coroutine_handle<>[]> slots_;
};

}  // namespace corering
