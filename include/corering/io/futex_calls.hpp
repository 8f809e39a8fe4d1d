/// futex_calls.hpp — waiting for a word of memory that other threads or processes change. The rows are
/// explained in io/file_calls.hpp.
///
/// Inside one process use SharedEvent and SharedChannel. The operations here are for memory that is shared
/// with other processes, and for programs that use futex(2) already.
#pragma once

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <linux/futex.h>
#include <span>
#include <sys/syscall.h>
#include <unistd.h>

#include <corering/io/file_calls.hpp>

namespace corering {

/// Says who may wait at a word or wake it: the threads of this process, or everybody that has mapped it.
enum class FutexScope : std::uint8_t { this_process, shared_memory };

namespace detail {

// <linux/futex.h> of Debian 12 has no FUTEX2_SIZE_U32 yet.
inline constexpr int futex_u32 = 2;
inline int futex_flags(FutexScope scope) noexcept {
  return futex_u32 | (scope == FutexScope::this_process ? FUTEX_PRIVATE_FLAG : 0);
}
inline constexpr std::uint64_t futex_any = 0xffff'ffff;

}  // namespace detail

/// futex(2), FUTEX_WAIT: waits until somebody wakes `word`. Fails with EAGAIN when `word` is not, or no
/// longer, `expected`.
/// | FUTEX_WAIT | 6.7 | futex(2) | `word` | EAGAIN: another value |
inline ProbedOperation<void> async_futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                                              FutexScope scope = FutexScope::this_process) noexcept {
  return ProbedOperation<void>(Request{.addr = detail::address_of(&word),
                                       .fd = detail::futex_flags(scope),
                                       .off = expected,
                                       .head = head(Opcode::futex_wait),
                                       .addr3 = detail::futex_any},
                               {.need = Opcode::futex_wait});
}

/// futex(2), FUTEX_WAKE: wakes at most `count` of those that wait, and returns how many it woke. On an older
/// kernel the worker makes the system call, which does not wait.
/// | FUTEX_WAKE | 6.7 | futex(2) | `word` | - |
inline ProbedOperation<unsigned> async_futex_wake(const std::atomic<std::uint32_t>& word,
                                                  std::uint32_t count = 1,
                                                  FutexScope scope = FutexScope::this_process) noexcept {
  const auto call = [](const Request& request) -> std::int32_t {
    return detail::as_reply(::syscall(SYS_futex, request.addr, FUTEX_WAKE | (request.fd & FUTEX_PRIVATE_FLAG),
                                      request.off, nullptr, nullptr, 0));
  };
  return ProbedOperation<unsigned>(
      Request{.addr = detail::address_of(&word),
              .fd = detail::futex_flags(scope),
              .off = std::min<std::uint32_t>(count, INT_MAX),  // the kernel's int
              .head = head(Opcode::futex_wake),
              .addr3 = detail::futex_any},
      {.need = Opcode::futex_wake, .call = call});
}

/// futex_waitv(2): waits until one of up to 128 words is woken, and returns which one.
/// | FUTEX_WAITV | 6.7 | futex_waitv(2) | `words` | EAGAIN: another value; EINVAL |
inline ProbedOperation<std::size_t> async_futex_waitv(std::span<const futex_waitv> words) noexcept {
  return ProbedOperation<std::size_t>(Request{.addr = detail::address_of(words.data()),
                                              .fd = 0,
                                              .len = static_cast<std::uint32_t>(words.size()),
                                              .head = head(Opcode::futex_waitv)},
                                      {.need = Opcode::futex_waitv});
}

}  // namespace corering
