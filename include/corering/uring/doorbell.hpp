/// doorbell.hpp — what somebody else's event loop watches instead of a worker.
#pragma once

#include <memory>
#include <optional>

#include <corering/base/time.hpp>

namespace corering {

/// A descriptor that is readable while a ring has something for its worker, and from a set time on.
/// thread: the worker's; any thread may watch the descriptor
class Doorbell {
 public:
  virtual ~Doorbell() = default;

  /// Returns the descriptor, which this object owns.
  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  /// From now on: the descriptor is readable because of the time when `delay` has passed, and stays so until
  /// the next call. With zero that is at once. Without a delay, only the ring makes it readable.
  virtual void ring_after(std::optional<Duration> delay) noexcept = 0;
};

/// Opens a doorbell of the operating system: an epoll set of `ring`, which is a descriptor that can be
/// polled, and a timerfd. Returns 0 or -errno.
[[nodiscard]] int open_system_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept;

}  // namespace corering
