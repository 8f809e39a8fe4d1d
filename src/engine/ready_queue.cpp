/// ready_queue.cpp — how the ready queue grows.
#include <algorithm>
#include <new>

#include <corering/engine/ready_queue.hpp>

namespace corering {
namespace {

constexpr std::size_t first_capacity = 1024;

}  // namespace

void ReadyQueue::prepare() {
  if (capacity_ == 0) move_to(first_capacity);
}

// What is left goes to the front.
void ReadyQueue::move_to(std::size_t capacity) {
  const std::size_t left = size();
  auto slots = std::make_unique<std::coroutine_handle<>[]>(capacity);
  std::copy_n(slots_.get() + head_, left, slots.get());
  slots_ = std::move(slots);
  capacity_ = capacity;
  head_ = 0;
  tail_ = left;
}

// When at least half of it has run, the rest moves to the front; otherwise it grows.
void ReadyQueue::make_room(std::size_t count) noexcept {
  const std::size_t left = size();
  if (2 * left > capacity_ || capacity_ - left < count) {
    try {
      move_to(std::max({first_capacity, 2 * capacity_, left + count}));
    } catch (const std::bad_alloc&) {
      end_without_memory("the queue of ready coroutines");
    }
  } else {
    std::copy_n(slots_.get() + head_, left, slots_.get());
    head_ = 0;
    tail_ = left;
  }
  CORERING_ASSERT(capacity_ - tail_ >= count, "there is room now");
}

}  // namespace corering
