/// shared_event.cpp — changes the list under the lock, and wakes the waiters after it.
#include <corering/sync/shared_event.hpp>

namespace corering {

/// Waits in line for a plain thread.
class SharedEvent::Blocked final : public SharedWait {
 public:
  Blocked() noexcept { begin_block(); }
  ~Blocked() override { end_block(); }
  using SharedWait::block_until;

 private:
  Wait* cancel(const CancelCause&) noexcept override { return nullptr; }
  void describe(std::string&) const override {}
};

bool SharedEvent::is_set() const noexcept {
  const std::lock_guard lock(mutex_);
  return set_;
}

void SharedEvent::set() noexcept {
  SharedWait::Chain woken;
  {
    const std::lock_guard lock(mutex_);
    set_ = true;
    while (!line_.empty()) woken.add(line_.pop_front());
  }
  woken.wake_all();  // from here on nothing touches this event
}

void SharedEvent::reset() noexcept {
  const std::lock_guard lock(mutex_);
  set_ = false;
}

bool SharedEvent::line_up(Awaiter& wait) noexcept {
  const std::lock_guard lock(mutex_);
  if (set_) return false;
  line_.push_back(wait);
  return true;
}

bool SharedEvent::step_out(SharedWait& wait) noexcept {
  const std::lock_guard lock(mutex_);
  if (!wait.is_linked()) return false;
  wait.unlink();
  return true;
}

bool SharedEvent::wait_blocking_until(AnyTimePoint deadline) noexcept {
  Blocked blocked;
  {
    const std::lock_guard lock(mutex_);
    if (set_) return true;
    line_.push_back(blocked);
  }
  if (blocked.block_until(deadline)) return true;
  if (step_out(blocked)) return false;
  // set() has taken us out and is about to wake us.
  return blocked.block_until(TimePoint::max());
}

}  // namespace corering
