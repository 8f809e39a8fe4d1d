/// fd.hpp — a file descriptor that somebody owns.
#pragma once

#include <unistd.h>
#include <utility>

namespace corering {

/// Owns one descriptor until it is destroyed, moved from or released. Destroying closes it with close(2),
/// which must not happen while an operation on it is in flight: the kernel would keep that operation armed.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  /// The number, or -1 when nothing is owned.
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

  /// Gives the number away: from here on the caller closes it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes what is owned and takes `fd` instead. close(2)'s errors are not reported: by then the number is
  /// gone.
  void reset(int fd = -1) noexcept {
    if (const int old = std::exchange(fd_, fd); old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace corering
