/// mutex.cpp — handing over: to who waits longest, while nobody else can take it.
#include <corering/sync/mutex.hpp>

namespace corering {

void Mutex::unlock() noexcept {
  owner_.check();
  if (line_.empty()) {
    locked_ = false;
  } else {
    line_.front().wake();  // it stays locked: for that one
  }
}

}  // namespace corering
