/// ready_queue.cpp — how the ready queue grows.
#include <corering/core/ready_queue.hpp>

namespace corering {

void ReadyQueue::grow() noexcept {
  constexpr std::size_t first_capacity = 1024;
  const std::size_t larger = capacity_ == 0 ? first_capacity : capacity_ * 2;
  auto slots = std::make_unique<std::coroutine_handle<>[]>(larger);
  for (std::size_t at = head_; at != tail_; ++at) slots[at & (larger - 1)] = slots_[at & (capacity_ - 1)];
  slots_ = std::move(slots);
  capacity_ = larger;
}

}  // namespace corering
