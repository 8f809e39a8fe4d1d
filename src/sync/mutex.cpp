/// mutex.cpp — hands the mutex over to the coroutine that has waited longest, while nobody else can take it.
#include <corering/sync/mutex.hpp>

namespace corering {

void Mutex::unlock() noexcept {
  owner_.check();
  CORERING_ASSERT(locked_, "only a locked mutex is unlocked");
  if (line_.empty()) {
    locked_ = false;
  } else {
    line_.front().wake();  // the mutex stays locked, for that coroutine
  }
}

}  // namespace corering
