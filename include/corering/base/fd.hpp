/// fd.hpp — a file descriptor with an owner.
#pragma once

#include <unistd.h>
#include <utility>

namespace corering {

namespace detail {

/// Closes a descriptor with close(2). If an SQE of this worker names it and the kernel has not got that SQE
/// yet, the kernel gets it first: otherwise the operation would go to the next owner of the number.
void close_descriptor(int fd) noexcept;

/// What is to be called before each such close, on the thread that closes.
using BeforeClose = void (*)(int fd) noexcept;
void call_before_close(BeforeClose function) noexcept;

}  // namespace detail

/// Owns one descriptor until this object is destroyed, moved from or released. The destructor closes it with
/// close(2). No operation on it may be in flight then: the kernel would keep that operation armed. If one is,
/// it goes on with the file that the descriptor stood for, and a stream on it ends.
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
    if (const int old = std::exchange(fd_, fd); old >= 0) detail::close_descriptor(old);
  }

 private:
  int fd_ = -1;
};

}  // namespace corering
