/// one_shot.cpp — the futex that OneShot uses.
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <corering/base/one_shot.hpp>
#include <corering/base/pause.hpp>

#include "base/spinner.hpp"

namespace corering {
namespace {

// The kernel needs only the address: if the word is gone, the call wakes nobody.
void futex_wake(const void* word) noexcept {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so an early return needs no arithmetic.
void futex_wait(const void* word, std::uint32_t value, const timespec* until) noexcept {
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, until, nullptr, FUTEX_BITSET_MATCH_ANY);
}

/// Each thread learns for itself how long it waits.
Spinner& own_spinner() noexcept {
  static thread_local Spinner spinner(std::chrono::microseconds(100));
  return spinner;
}

}  // namespace

void OneShot::set() noexcept {
  const void* const word = &state_;
  // If nobody sleeps, nobody must be woken.
  if (state_.exchange(set_, std::memory_order_acq_rel) == awaited_) futex_wake(word);
}

// Returns false when it has been set.
bool OneShot::must_sleep() noexcept {
  std::uint32_t state = unset_;
  return state_.compare_exchange_strong(state, awaited_, std::memory_order_acquire) || state == awaited_;
}

void OneShot::wait() noexcept {
  Spinner& spinner = own_spinner();
  if (spinner.is_on()) {
    const TimePoint end = Clock::now() + spinner.budget();
    do {
      if (is_set()) return spinner.found();
      pause_processor();
    } while (Clock::now() < end);
    spinner.found_nothing();
  }
  const TimePoint begin = Clock::now();
  while (must_sleep()) futex_wait(&state_, awaited_, nullptr);
  spinner.slept(Clock::now() - begin);
}

bool OneShot::wait_until(TimePoint deadline) noexcept {
  const auto since_boot = deadline.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  const timespec until{.tv_sec = seconds.count(), .tv_nsec = (since_boot - seconds).count()};
  while (must_sleep()) {
    if (Clock::now() >= deadline) return false;
    futex_wait(&state_, awaited_, &until);
  }
  return true;
}

}  // namespace corering
