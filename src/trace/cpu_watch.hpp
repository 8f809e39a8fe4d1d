/// cpu_watch.hpp — how much of its time a worker's thread really ran: it tells work from blocking calls.
#pragma once

#include <cstdint>

namespace corering::trace {

/// Records cpu_used of one thread: now and then, and always after a long time between two calls of the
/// kernel. So no window between two records has more than one long stretch in it. It is used only while
/// recording. A reading takes about 5 us.
/// thread: the worker's
class CpuWatch {
 public:
  /// `stamp` is the time at which the kernel is called, or at which that call has returned.
  void before_enter(std::uint64_t stamp, const void* worker) noexcept {
    if (stamp - last_return_ >= long_stretch && last_return_ != 0) [[unlikely]]
      read(stamp, worker);
  }
  void after_enter(std::uint64_t stamp, const void* worker) noexcept {
    last_return_ = stamp;
    if (stamp - last_reading_ >= now_and_then) [[unlikely]]
      read(stamp, worker);
  }

 private:
  // In ticks, of which a nanosecond has between one and five.
  static constexpr std::uint64_t long_stretch = 500'000;
  static constexpr std::uint64_t now_and_then = 10'000'000;

  void read(std::uint64_t stamp, const void* worker) noexcept;

  std::uint64_t last_return_ = 0;
  std::uint64_t last_reading_ = 0;
};

}  // namespace corering::trace
