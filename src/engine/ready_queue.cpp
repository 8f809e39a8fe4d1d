/// ready_queue.cpp — how the ready queue grows.
#include <algorithm>

#include <corering/engine/ready_queue.hpp>

namespace corering {

// When at least half of it has run, the rest moves to the front; otherwise it grows.
void ReadyQueue::make_room(std::size_t count) noexcept {
  constexpr std::size_t first_capacity = 1024;
  const std::size_t left = size();
  if (2 * left > capacity_ || capacity_ - left < count) {
    const std::size_t larger = std::max({first_capacity, 2 * capacity_, left + count});
    auto slots = std::make_unique<std::coroutine_handle<>[]>(larger);
    std::copy_n(slots_.get() + head_, left, slots.get());
    slots_ = std::move(slots);
    capacity_ = larger;
  } else {
    std::copy_n(slots_.get() + head_, left, slots_.get());
  }
  head_ = 0;
  tail_ = left;
  CORERING_ASSERT(capacity_ - tail_ >= count, "there is room now");
}

}  // namespace corering
