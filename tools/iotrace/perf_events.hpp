/// perf_events.hpp — the open events of perf_event_open(2), and their buffers: one for each processor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <corering/base/fd.hpp>

#include "perf_buffer.hpp"
#include "tracepoints.hpp"

struct perf_event_attr;

namespace iotrace {

/// thread: one at a time
class PerfEvents {
 public:
  /// A thread with all that it starts from now on, or everything on a processor.
  static constexpr pid_t everybody = -1;
  struct Target {
    pid_t thread = everybody;      ///< 0: the calling one
    bool from_exec = false;        ///< only from its next execve(2) on
    bool samples_tell_who = true;  ///< process and thread; without them a sample costs 100 ns less
  };

  explicit PerfEvents(std::size_t buffer_bytes) : buffer_bytes_(buffer_bytes) {}

  /// These open an event on a processor. They return 0, or the errno: ENODEV if there is no such processor.
  /// The first sees a tracepoint; `filter` is an expression of its fields (see the kernel's
  /// Documentation/trace/events.rst), or empty. The second sees when threads lose and get the processor, and
  /// what threads are called.
  [[nodiscard]] int open_tracepoint(const Tracepoint& tracepoint, const std::string& filter, Target target,
                                    int cpu);
  [[nodiscard]] int open_switches(Target target, int cpu);

  /// Ends all of them. What they have written is gone.
  void close_all();

  [[nodiscard]] std::size_t descriptors() const noexcept { return events_.size(); }

  /// Returns a descriptor for each processor, which can be polled: it is readable when its buffer is filled
  /// to a quarter.
  [[nodiscard]] std::vector<int> doors() const;

  /// Calls visit(const std::byte* record) with each record that there is.
  template <class Visit>
  void drain(Visit&& visit) {
    for (Processor& one : processors_) one.buffer.drain(visit);
  }

  /// Returns how many records found no room, as the kernel counts them since Linux 6.0; or 0 before.
  [[nodiscard]] std::uint64_t lost() const;

 private:
  struct Processor {
    int cpu;
    int first_event;
    PerfBuffer buffer;
  };

  [[nodiscard]] int open(perf_event_attr& attributes, Target target, int cpu, const std::string& filter);
  [[nodiscard]] int give_buffer(int event, int cpu);

  std::size_t buffer_bytes_;
  bool counts_lost_ = true;
  std::vector<corering::Fd> events_;
  std::vector<Processor> processors_;
};

}  // namespace iotrace
