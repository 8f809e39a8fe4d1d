/// linux_kernel.hpp — what every kernel of this machine has in common: all but the rings.
#pragma once

#include <corering/uring/kernel.hpp>

namespace corering {

/// Eventfds, closing, naps, the clock, and reads from the page cache, as Linux has them.
class LinuxKernel : public Kernel {
 public:
  int open_eventfd() noexcept override;
  int wake(int eventfd) noexcept override;
  void nap(Duration how_long) noexcept override;
  void close(int fd) noexcept override;
  std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept override;
  TimePoint now() const noexcept override { return Clock::now(); }

 protected:
  constexpr LinuxKernel() noexcept = default;
};

}  // namespace corering
