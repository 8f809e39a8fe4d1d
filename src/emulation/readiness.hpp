/// readiness.hpp — the epoll set of an emulated ring: which calls wait for which descriptors.
///
/// Each descriptor is registered for one report at a time (EPOLLONESHOT). Every new wait registers it again.
/// The kernel then looks whether it is ready already, so nothing is lost, and it tells if the number belongs
/// to another file now. Calls that waited for the earlier file become orphans: they are never reported, as
/// on the real ring, where a closed file has no more events as a rule.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <sys/epoll.h>

#include <corering/base/fd.hpp>
#include <corering/base/time.hpp>

#include "emulation/descriptor_records.hpp"

namespace corering::emulation {

/// thread: the ring's, except notify()
class Readiness {
 public:
  Readiness() noexcept = default;
  Readiness(Readiness&&) = delete;
  ~Readiness() = default;

  /// Opens the descriptors. Returns 0, or -errno.
  int open() noexcept;

  /// See World.
  int watch(Call& call, int fd, std::uint32_t events, Watching how) noexcept;
  void unwatch(Call& call) noexcept;
  int wait(std::optional<Duration> limit) noexcept;

  /// Returns the next call to be reported, or null, and sets `shown` to its events.
  Call* next(std::uint32_t& shown) noexcept;

  /// The number is about to be closed.
  void forget(int fd) noexcept;

  /// thread: any
  void notify() noexcept;

  [[nodiscard]] int descriptor() const noexcept { return epoll_.get(); }
  [[nodiscard]] DescriptorRecords& descriptors() noexcept { return table_; }

 private:
  using Record = DescriptorRecords::Record;

  int watch_once(Call& call, int fd, std::uint32_t events) noexcept;
  int watch_edges(Call& call, int fd, std::uint32_t events) noexcept;
  int arm(Record& record, int fd, std::uint32_t events) noexcept;
  int control(int what, Record& record, int fd, std::uint32_t events) noexcept;
  void count_armed(Record& record, bool armed) noexcept;
  void orphan(Record& record) noexcept;

  int wait_for_events(std::optional<Duration> limit) noexcept;
  int wait_precisely(Duration limit) noexcept;
  void take(const epoll_event& event) noexcept;
  void report(Record& record, int fd, std::uint32_t shown) noexcept;
  void report_edges(Record& record, std::uint32_t shown) noexcept;

  Fd epoll_;
  Fd wake_;
  DescriptorRecords table_;
  IntrusiveList<Call> ready_;
  IntrusiveList<Call> orphans_;
  std::uint64_t armed_ = 0;  // as long as it is 0, no descriptor can have something to report
  bool has_pwait2_ = true;
  std::array<epoll_event, 256> events_{};

  // Written by every thread.
  std::atomic<bool> notified_{false};
};

}  // namespace corering::emulation
