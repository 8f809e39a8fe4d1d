/// fd.hpp — a file descriptor with an owner.
#pragma once

#include <unistd.h>
#include <utility>

namespace corering {

/// Owns one descriptor until this object is destroyed, moved from or released. The destructor closes it with
/// close(2). No operation on it may be in flight then: the kernel would keep that operation armed.
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

  /// Gives the number away. From then on the caller must close it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes the owned descriptor and takes `fd` instead. Errors of close(2) are not reported: the number is
  /// already gone then.
  void reset(int fd = -1) noexcept {
    if (const int old = std::exchange(fd_, fd); old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace corering
