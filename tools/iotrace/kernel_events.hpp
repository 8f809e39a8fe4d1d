/// kernel_events.hpp — the kernel's own report of when it posted each CQE, if we may ask for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <corering/base/fd.hpp>

namespace iotrace {

/// The kernel posted the CQE with this user_data at this time (CLOCK_MONOTONIC_RAW).
struct KernelCompletion {
  std::uint64_t user_data;
  std::int64_t ns;
};

/// Watches the tracepoint io_uring:io_uring_complete on one thread, through perf_event_open(2). That needs
/// root or CAP_PERFMON, and tracefs. If it is refused, nothing is seen, and nothing else changes.
class KernelEvents {
 public:
  /// Learns the tracepoint's number and layout. If tracefs is not mounted, a child process looks at it in its
  /// own mount namespace. So call this before the first thread starts.
  KernelEvents();
  KernelEvents(KernelEvents&&) = delete;
  ~KernelEvents();

  /// Begins to watch the calling thread.
  void watch_this_thread();

  /// Returns what has been seen so far.
  /// thread: any, after the watched thread has ended or makes no more events of interest
  [[nodiscard]] std::vector<KernelCompletion> collect() const;

 private:
  struct Tracepoint {
    std::uint64_t id;
    std::size_t user_data_offset;
  };
  static std::optional<Tracepoint> find_tracepoint();

  std::optional<Tracepoint> tracepoint_;
  corering::Fd perf_;
  void* ring_ = nullptr;
};

}  // namespace iotrace
