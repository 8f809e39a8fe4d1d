/// semaphore.cpp — which coroutine is served, and when.
#include <limits>

#include <corering/sync/semaphore.hpp>

namespace corering {

void Semaphore::give(std::size_t count) noexcept {
  owner_.check();
  if (__builtin_add_overflow(free_, count, &free_)) free_ = std::numeric_limits<std::size_t>::max();
  serve();
}

void Semaphore::serve() noexcept {
  while (!line_.empty()) {
    auto& first = static_cast<Awaiter&>(line_.front());
    if (first.count_ > free_) return;
    free_ -= first.count_;
    first.wake();
  }
}

}  // namespace corering
