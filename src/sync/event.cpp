/// event.cpp — letting those in line go on.
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

void Latch::count_down() noexcept {
  CORERING_ASSERT(left_ > 0, "a latch was counted down more often than its count");
  if (--left_ == 0) done_.set();
}

}  // namespace corering
