/// system_call.hpp — system calls that leave no return behind them.
///
/// Where the kernel guards against speculation, it leaves the processor without predictions for the returns
/// of the functions that made the call: the first one takes 50 to 150 ns. Whoever makes many calls in a row
/// has them inlined into the loop, and returns once.
#pragma once

#include <cerrno>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

namespace corering::emulation {

/// Returns what the kernel returns, which is -errno for an error. `errno` may change or not.
/// man page: syscall(2)
[[gnu::always_inline]] inline std::int64_t system_call(long number, long first, long second, long third,
                                                       long fourth = 0, long fifth = 0,
                                                       long sixth = 0) noexcept {
#if defined(__x86_64__) && defined(__LP64__)
  register long r10 asm("r10") = fourth;
  register long r8 asm("r8") = fifth;
  register long r9 asm("r9") = sixth;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(first), "S"(second), "d"(third), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#else
  const long result = ::syscall(number, first, second, third, fourth, fifth, sixth);
  return result < 0 ? -errno : result;
#endif
}

[[gnu::always_inline]] inline long as_argument(const void* pointer) noexcept {
  return reinterpret_cast<long>(pointer);
}

}  // namespace corering::emulation
