/// no_waiting.hpp — calls on a socket that blocks, which do not wait all the same.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "emulation/process_lock.hpp"

namespace corering::emulation {

/// Two threads must not put back each other's time limit.
inline constinit ProcessLock time_limits;

/// While it lives, calls on a blocking socket do not wait: Linux takes a negative SO_RCVTIMEO or SO_SNDTIMEO
/// for no time at all. A call of another thread that began before is not affected. Another process that has
/// the socket may put the limit back too early, so look whether the socket is ready after this.
class NoWaiting {
 public:
  NoWaiting(int fd, int option) noexcept : fd_(fd), option_(option) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_NONBLOCK) != 0) return;
    time_limits.lock();
    socklen_t length = sizeof before_;
    if (::getsockopt(fd, SOL_SOCKET, option, &before_, &length) == 0) {
      const timeval none{.tv_sec = -1, .tv_usec = 0};
      changed_ = ::setsockopt(fd, SOL_SOCKET, option, &none, sizeof none) == 0;
    }
    if (!changed_) time_limits.unlock();
  }
  NoWaiting(NoWaiting&&) = delete;
  ~NoWaiting() {
    if (!changed_) return;
    ::setsockopt(fd_, SOL_SOCKET, option_, &before_, sizeof before_);
    time_limits.unlock();
  }

 private:
  int fd_;
  int option_;
  timeval before_{};
  bool changed_ = false;
};

}  // namespace corering::emulation
