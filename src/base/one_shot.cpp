/// one_shot.cpp — the futex behind OneShot.
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <corering/base/one_shot.hpp>

namespace corering {
namespace {

// The address is all the kernel needs: a wake that finds the word gone wakes nobody.
void futex_wake(const void* word) noexcept {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so an early return needs no arithmetic.
void futex_wait(const void* word, const timespec* until) noexcept {
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0, until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

void OneShot::set() noexcept {
  const void* word = &state_;
  state_.store(1, std::memory_order_release);
  futex_wake(word);
}

void OneShot::wait() noexcept {
  while (!is_set()) futex_wait(&state_, nullptr);
}

bool OneShot::wait_until(TimePoint deadline) noexcept {
  const auto since_boot = deadline.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const timespec until{.tv_sec = seconds.count(), .tv_nsec = (since_boot - seconds).count()};
  while (!is_set()) {
    if (Clock::now() >= deadline) return false;
    futex_wait(&state_, &until);
  }
  return true;
}

}  // namespace corering
