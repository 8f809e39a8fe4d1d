/// mutex.cpp — handing over: to who waits longest, while nobody else can take it.
#include <corering/sync/mutex.hpp>
#include <corering/sync/semaphore.hpp>

namespace corering {

void Mutex::unlock() noexcept {
  owner_.check();
  if (line_.empty()) {
    locked_ = false;
  } else {
    line_.front().wake();  // it stays locked: for that one
  }
}

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
