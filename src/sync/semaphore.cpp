/// semaphore.cpp — which coroutine is served, and when.
#include <corering/sync/semaphore.hpp>

namespace corering {

void Semaphore::give(std::size_t count) noexcept {
  owner_.check();
  free_ += count;
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
