/// descriptor_use.cpp — the uses of one descriptor, found among those of all.
#include <corering/engine/descriptor_use.hpp>

#include "engine/loop.hpp"

#if defined(__SANITIZE_THREAD__)
#define CORERING_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORERING_TSAN
#endif
#endif
#ifdef CORERING_TSAN
#include <sanitizer/linux_syscall_hooks.h>
#endif

namespace corering {

std::size_t here::end_uses_of(int fd) noexcept {
  Loop* const loop = here::loop();
  return loop != nullptr ? loop->end_uses_of(fd) : 0;
}

void here::before_close(int fd) noexcept {
  if (Loop* const loop = here::loop(); loop != nullptr) loop->before_close(fd);
}

// The thread sanitizer sees close(2) but not the ring's. It would take the next user of the number for a
// second user of this descriptor.
void here::before_close_by_ring(int fd) noexcept {
  if (fd < 0) return;  // the kernel will say EBADF
#ifdef CORERING_TSAN
  __sanitizer_syscall_pre_close(fd);
#endif
  Loop* const loop = here::loop();
  if (loop != nullptr && loop->mailbox().is_in_its_process()) loop->lose_uses_of(fd);
}

}  // namespace corering
