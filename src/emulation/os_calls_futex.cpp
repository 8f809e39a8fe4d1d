/// os_calls_futex.cpp — waking a word, and the first look of those that wait for one.
#include <algorithm>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emulation/futex_waits.hpp"
#include "emulation/os_calls.hpp"

namespace corering::emulation {
namespace {

constexpr int size_u32 = 2;  // FUTEX2_SIZE_U32
constexpr std::uint64_t most_of_32_bits = 0xffff'ffff;

bool is_sensible(const Call& call) noexcept {
  return (call.sqe.fd & ~FUTEX_PRIVATE_FLAG) == size_u32 && call.sqe.off <= most_of_32_bits &&
         call.sqe.addr3 <= most_of_32_bits && call.sqe.addr3 != 0;
}

// A wait that lasts no time: the kernel compares the value, and finds a wrong address.
Answer after_first_look(std::int64_t result) noexcept {
  return result == -ETIMEDOUT ? Answer::helper() : Answer::done(result);
}

Answer look(std::uint64_t word, std::uint64_t value, bool is_private) noexcept {
  const timespec no_time{.tv_sec = 0, .tv_nsec = 0};
  const int what = FUTEX_WAIT | (is_private ? FUTEX_PRIVATE_FLAG : 0);
  return after_first_look(retried([&] {
    return ::syscall(SYS_futex, pointer<std::uint32_t>(word), what, static_cast<std::uint32_t>(value),
                     &no_time, nullptr, 0);
  }));
}

}  // namespace

namespace calls {

Answer futex_wait(DescriptorRecords&, Call& call) noexcept {
  if (!is_sensible(call)) return Answer::done(-EINVAL);
  return look(call.sqe.addr, call.sqe.off, (call.sqe.fd & FUTEX_PRIVATE_FLAG) != 0);
}

Answer futex_waitv(DescriptorRecords&, Call& call) noexcept {
  const auto* const words = pointer<const ::futex_waitv>(call.sqe.addr);
  if (call.sqe.len == 0 || call.sqe.len > FUTEX_WAITV_MAX) return Answer::done(-EINVAL);
  const timespec long_ago{.tv_sec = 0, .tv_nsec = 0};
  const std::int64_t all =
      retried([&] { return ::syscall(SYS_futex_waitv, words, call.sqe.len, 0, &long_ago, CLOCK_MONOTONIC); });
  if (all != -ENOSYS && all != -EPERM) return after_first_look(all);
  for (std::uint32_t i = 0; i < call.sqe.len; ++i) {
    const Answer one = look(words[i].uaddr, words[i].val, (words[i].flags & FUTEX_PRIVATE_FLAG) != 0);
    if (one.kind == Answer::Kind::done) return one.result == 0 ? Answer::done(i) : one;
  }
  return Answer::helper();
}

Answer futex_wake(DescriptorRecords&, Call& call) noexcept {
  if (!is_sensible(call)) return Answer::done(-EINVAL);
  if (call.sqe.off == 0) return Answer::done(0);
  return Answer::done(
      FutexWaits::wake({.word = call.sqe.addr,
                        .count = static_cast<std::uint32_t>(std::min<std::uint64_t>(call.sqe.off, INT_MAX)),
                        .mask = static_cast<std::uint32_t>(call.sqe.addr3),
                        .flags = call.sqe.fd & FUTEX_PRIVATE_FLAG}));
}

}  // namespace calls
}  // namespace corering::emulation
