/// event.cpp — lets the coroutines in line go on.
#include <corering/sync/event.hpp>

namespace corering {

void Event::set() noexcept {
  set_ = true;
  notify_all();
}

void Event::notify_all() noexcept {
  owner_.check();
  while (!line_.empty()) line_.front().wake();
}

void Event::notify_one() noexcept {
  owner_.check();
  if (!line_.empty()) line_.front().wake();
}

}  // namespace corering
