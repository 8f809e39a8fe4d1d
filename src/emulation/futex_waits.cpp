/// futex_waits.cpp — waits for words of memory on threads of their own.
#include "emulation/futex_waits.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <linux/futex.h>
#include <new>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include <corering/base/assert.hpp>

#include "emulation/helper_thread.hpp"
#include "emulation/os_calls.hpp"
#include "emulation/process_lock.hpp"

namespace corering::emulation {
namespace {

constexpr int size_u32 = 2;  // FUTEX2_SIZE_U32
constexpr std::uint32_t every_bit = 0xffff'ffff;
constexpr std::chrono::nanoseconds slice = std::chrono::milliseconds(20);

using Word = std::atomic<std::uint32_t>;

// What our own word says.
constexpr std::uint32_t waits = 0;
constexpr std::uint32_t given_up = 1;
constexpr std::uint32_t woken = 2;   // by us: if the kernel wakes it, too, that is for another one
constexpr std::uint32_t nudged = 3;  // by us, through the kernel

// All waits of this process.
constinit ProcessLock every_lock;
constinit FutexWaits* every_one = nullptr;

void wake_one(const void* word, std::uint32_t flags = FUTEX_PRIVATE_FLAG) noexcept {
  const int what = FUTEX_WAKE | static_cast<int>(flags & FUTEX_PRIVATE_FLAG);
  ::syscall(SYS_futex, word, what, 1, nullptr, nullptr, 0);
}

bool is_list(const Call& call) noexcept { return opcode_of(call) == Opcode::futex_waitv; }

/// The words that a call waits for, with room for our own before them.
struct Words {
  std::array<::futex_waitv, FUTEX_WAITV_MAX + 1> all{};
  std::uint32_t count = 0;  ///< without our own

  explicit Words(const Call& call) noexcept {
    if (!is_list(call)) {
      all[++count] = {.val = call.sqe.off,
                      .uaddr = call.sqe.addr,
                      .flags = static_cast<std::uint32_t>(call.sqe.fd),
                      .__reserved = 0};
      return;
    }
    const auto* const words = pointer<const ::futex_waitv>(call.sqe.addr);
    for (; count < call.sqe.len; ++count) all[count + 1] = words[count];
  }
};

timespec after_a_slice() noexcept {
  timespec end{};
  ::clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_nsec += slice.count();
  end.tv_sec += end.tv_nsec / 1'000'000'000;
  end.tv_nsec %= 1'000'000'000;
  return end;
}

// Our own word comes first: if another one is woken at the same time, the kernel names the later one.
std::int64_t wait_for_all(Words& words, const Word& ends) noexcept {
  words.all[0] = {.val = waits,
                  .uaddr = reinterpret_cast<std::uintptr_t>(&ends),
                  .flags = size_u32 | FUTEX_PRIVATE_FLAG,
                  .__reserved = 0};
  return retried(
      [&] { return ::syscall(SYS_futex_waitv, words.all.data(), words.count + 1, 0, nullptr, 0); });
}

// Waits for one word, or without our own word for the list, and for a short time only.
std::int64_t wait_for_a_slice(const Call& call, const Words& words) noexcept {
  const timespec end = after_a_slice();
  if (words.count > 1) {
    return retried(
        [&] { return ::syscall(SYS_futex_waitv, &words.all[1], words.count, 0, &end, CLOCK_MONOTONIC); });
  }
  const auto mask = is_list(call) ? every_bit : static_cast<std::uint32_t>(call.sqe.addr3);
  const int what = FUTEX_WAIT_BITSET | static_cast<int>(words.all[1].flags & FUTEX_PRIVATE_FLAG);
  return retried([&] {
    return ::syscall(SYS_futex, words.all[1].uaddr, what, static_cast<std::uint32_t>(words.all[1].val), &end,
                     nullptr, mask);
  });
}

// The place of a word that has changed, or -1.
std::int32_t one_that_changed(const Words& words) noexcept {
  for (std::uint32_t i = 0; i < words.count; ++i) {
    if (pointer<Word>(words.all[i + 1].uaddr)->load() != words.all[i + 1].val)
      return static_cast<std::int32_t>(i);
  }
  return -1;
}

// `is_in_slices` is set before our word is read, and who writes our word reads it after that (all seq_cst).
// So either we see the word, or they see that the kernel has to end the slice.
std::int64_t wait_in_slices(const Call& call, const Words& words, const Word& ends,
                            std::atomic<bool>& is_in_slices) noexcept {
  is_in_slices.store(true);
  std::int64_t result = -ETIMEDOUT;
  while (result == -ETIMEDOUT && ends.load() == waits) result = wait_for_a_slice(call, words);
  return result == -ETIMEDOUT ? -ECANCELED : result;
}

// The value was the expected one when the call was tried. If it changed before the kernel knew of the wait,
// or between two slices, then somebody has woken it, as far as anybody can tell.
std::int32_t wait_for(const Call& call, const Word& ends, std::atomic<bool>& is_in_slices) noexcept {
  Words words(call);
  const bool has_mask = !is_list(call) && call.sqe.addr3 != every_bit;
  std::int64_t result = -ENOSYS;
  if (!has_mask && words.count < FUTEX_WAITV_MAX) result = wait_for_all(words, ends);
  if (result == -ENOSYS || result == -EPERM) {
    result = wait_in_slices(call, words, ends, is_in_slices);
  } else if (result >= 0) {
    result = result == 0 ? -ECANCELED : result - 1;
  }
  if (result == -EAGAIN) result = ends.load() != waits ? -ECANCELED : std::max(one_that_changed(words), 0);
  return static_cast<std::int32_t>(is_list(call) || result < 0 ? result : 0);
}

std::int64_t wake_by_kernel(const FutexWaits::Wake& wake, std::uint32_t count) noexcept {
  return retried([&] {
    return ::syscall(SYS_futex, pointer<std::uint32_t>(wake.word), FUTEX_WAKE_BITSET | wake.flags, count,
                     nullptr, nullptr, wake.mask);
  });
}

// Which of the words that the call waits for is this one, or -1.
std::int32_t place_of(std::uint64_t word, std::uint32_t mask, const Call& call) noexcept {
  if (!is_list(call)) return call.sqe.addr == word && (call.sqe.addr3 & mask) != 0 ? 0 : -1;
  const auto* const words = pointer<const ::futex_waitv>(call.sqe.addr);
  for (std::uint32_t i = 0; i < call.sqe.len; ++i) {
    if (words[i].uaddr == word) return static_cast<std::int32_t>(i);
  }
  return -1;
}

// A wake of the word for which the call has waited.
FutexWaits::Wake wake_of(const Call& call, std::int32_t place) noexcept {
  if (!is_list(call)) {
    return {.word = call.sqe.addr,
            .count = 1,
            .mask = static_cast<std::uint32_t>(call.sqe.addr3),
            .flags = call.sqe.fd & FUTEX_PRIVATE_FLAG};
  }
  const ::futex_waitv& word = pointer<const ::futex_waitv>(call.sqe.addr)[place];
  return {.word = word.uaddr,
          .count = 1,
          .mask = every_bit,
          .flags = static_cast<int>(word.flags & FUTEX_PRIVATE_FLAG)};
}

}  // namespace

FutexWaits::FutexWaits(EndedCalls& ended) noexcept : ended_(ended), made_in_(process_generation()) {
  const std::lock_guard lock(every_lock);
  next_ = every_one;
  every_one = this;
}

void FutexWaits::leave() noexcept {
  const std::lock_guard lock(every_lock);
  for (FutexWaits** at = &every_one; *at != nullptr; at = &(*at)->next_) {
    if (*at != this) continue;
    *at = next_;
    return;
  }
}

int FutexWaits::lend(Call& call) noexcept {
  CORERING_ASSERT(!call.is_linked(), "a wait that is lent is not lent again");
  const std::lock_guard lock(mutex_);
  if (ends_) return -ECANCELED;
  if (idle_ <= in_line_) {
    if (const int failed = serve_one_more(); failed != 0) return failed;
  }
  call.note = nullptr;
  line_.push_back(call);
  ++in_line_;
  changed_.notify_one();
  return 0;
}

// If no thread can be added, the line moves on with those that are there, and is looked at meanwhile.
int FutexWaits::serve_one_more() noexcept {
  const int failed = waiters_.size() < most_threads ? add_thread() : -EAGAIN;
  return failed == 0 || waiters_.empty() ? failed : watch_line();
}

int FutexWaits::add_thread() noexcept {
  try {
    waiters_.push_back(std::make_unique<Waiter>());
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  Waiter& waiter = *waiters_.back();
  waiter.owner = this;
  const int failed = start_helper_thread(waiter.thread, "corering-futex", &FutexWaits::run, &waiter);
  if (failed != 0) waiters_.pop_back();
  return failed;
}

TakenBack FutexWaits::take_back(Call& call) noexcept {
  const std::lock_guard lock(mutex_);
  for (const auto& waiter : waiters_) {
    if (waiter->call != &call) continue;
    // If it has been woken it ends with that.
    std::uint32_t expected = waits;
    if (waiter->ends.compare_exchange_strong(expected, given_up)) wake_one(&waiter->ends);
    return TakenBack::will_end;
  }
  if (call.note != nullptr) return TakenBack::running;  // it has ended, and is about to be reported
  CORERING_ASSERT(in_line_ > 0, "what stands in line is counted");
  call.unlink();
  --in_line_;
  return TakenBack::given_back;
}

// ---- waking ----

void FutexWaits::end(Waiter& waiter, std::int32_t place) noexcept {
  CORERING_ASSERT(waiter.call != nullptr, "only a thread that waits is woken");
  waiter.woken_word = place;
  waiter.ends.store(woken);
  if (!waiter.is_in_slices.load()) return wake_one(&waiter.ends);
  // It may be another one that the kernel wakes, for nothing. Then this one ends with its slice.
  if (wake_by_kernel(wake_of(*waiter.call, place), 1) == 1) waiter.ends.store(nudged);
}

std::uint32_t FutexWaits::wake_threads(const Wake& wake, std::uint32_t most) noexcept {
  std::uint32_t ended = 0;
  for (const auto& waiter : waiters_) {
    if (ended == most) break;
    if (waiter->call == nullptr || waiter->ends.load() != waits) continue;
    const std::int32_t place = place_of(wake.word, wake.mask, *waiter->call);
    if (place < 0) continue;
    end(*waiter, place);
    ++ended;
  }
  return ended;
}

std::uint32_t FutexWaits::wake_line(const Wake& wake, std::uint32_t most) noexcept {
  std::uint32_t ended = 0;
  line_.for_each([&](Call& call) {
    const std::int32_t place = ended < most ? place_of(wake.word, wake.mask, call) : -1;
    if (place < 0) return;
    end_in_line(call, place);
    ++ended;
  });
  return ended;
}

std::uint32_t FutexWaits::wake_known(const Wake& wake) noexcept {
  std::uint32_t ended = 0;
  for (FutexWaits* one = every_one; one != nullptr; one = one->next_) {
    if (one->made_in_ != process_generation()) continue;
    const std::lock_guard lock(one->mutex_);
    ended += one->wake_threads(wake, wake.count - ended);
    ended += one->wake_line(wake, wake.count - ended);
  }
  return ended;
}

// Those that are known first. Their threads may still be in the kernel's queue, where the rest of the wake
// finds them; so they are not counted twice, and pass that on.
std::int64_t FutexWaits::wake(const Wake& wake) noexcept {
  const std::lock_guard all(every_lock);
  const std::uint32_t ended = wake_known(wake);
  CORERING_ASSERT(ended <= wake.count, "no more waits are ended than were to be woken");
  if (ended == wake.count) return ended;
  const std::int64_t others = wake_by_kernel(wake, wake.count - ended);
  return ended > 0 ? std::max<std::int64_t>(others, ended) : others;
}

// ---- the threads ----

void* FutexWaits::run(void* waiter) noexcept {
  auto& own = *static_cast<Waiter*>(waiter);
  own.owner->work(own);
  return nullptr;
}

void FutexWaits::work(Waiter& waiter) noexcept {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    changed_.wait(lock, [this] { return ends_ || !line_.empty(); });
    --idle_;
    if (line_.empty()) return;
    Call& call = line_.pop_front();
    --in_line_;
    call.note = &waiter;
    waiter.call = &call;
    waiter.ends.store(ends_ ? given_up : waits);
    waiter.is_in_slices.store(false);
    lock.unlock();
    finish(waiter, wait_for(call, waiter.ends, waiter.is_in_slices));
    lock.lock();
  }
}

// If it was woken twice, by us and by the kernel, the second is for the next one.
void FutexWaits::finish(Waiter& waiter, std::int32_t result) noexcept {
  Wake surplus;
  {
    const std::lock_guard lock(mutex_);
    Call& call = *std::exchange(waiter.call, nullptr);
    const std::uint32_t how = waiter.ends.load();
    if (result >= 0 && how == woken) surplus = wake_of(call, result);
    if (result < 0 && (how == woken || how == nudged)) result = waiter.woken_word;
    call.ended = Answer::done(result);
    ended_.push(call);
  }
  if (surplus.count > 0) (void)wake(surplus);
}

void* FutexWaits::run_watch(void* self) noexcept {
  static_cast<FutexWaits*>(self)->look_at_line();
  return nullptr;
}

int FutexWaits::watch_line() noexcept {
  line_changed_.notify_one();
  if (is_watched_) return 0;
  const int failed = start_helper_thread(watch_, "corering-futex", &FutexWaits::run_watch, this);
  is_watched_ = failed == 0;
  return failed;
}

// Nobody else notices that the word of a call that stands in line has changed.
void FutexWaits::look_at_line() noexcept {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    line_.for_each([this](Call& call) {
      if (const std::int32_t place = one_that_changed(Words(call)); place >= 0) end_in_line(call, place);
    });
    if (line_.empty()) {
      line_changed_.wait(lock);
    } else {
      line_changed_.wait_for(lock, slice);
    }
  }
}

void FutexWaits::end_in_line(Call& call, std::int32_t place) noexcept {
  CORERING_ASSERT(in_line_ > 0, "what stands in line is counted");
  call.unlink();
  --in_line_;
  call.note = &nobody_;
  call.ended = Answer::done(is_list(call) ? place : 0);
  ended_.push(call);
}

void FutexWaits::end() noexcept {
  leave();  // a wake of another ring must not look at what goes away here
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    for (const auto& waiter : waiters_) {
      std::uint32_t expected = waits;
      if (waiter->call != nullptr && waiter->ends.compare_exchange_strong(expected, given_up))
        wake_one(&waiter->ends);
    }
  }
  changed_.notify_all();
  line_changed_.notify_all();
  if (std::exchange(is_watched_, false)) ::pthread_join(watch_, nullptr);
  for (const auto& waiter : waiters_) ::pthread_join(waiter->thread, nullptr);
  CORERING_ASSERT(line_.empty() && idle_ == 0, "each wait has been answered before its thread ended");
  waiters_.clear();
}

}  // namespace corering::emulation
