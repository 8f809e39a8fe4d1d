/// latch.cpp — counting down.
#include <corering/base/assert.hpp>
#include <corering/sync/latch.hpp>

namespace corering {

void Latch::count_down() noexcept {
  CORERING_ASSERT(left_ > 0, "a latch was counted down more often than its count");
  if (--left_ == 0) done_.set();
}

}  // namespace corering
