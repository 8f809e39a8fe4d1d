/// kernel_lane.hpp — watches what the kernel does for a program's rings, while it runs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <unordered_set>
#include <vector>

#include <corering/base/fd.hpp>

#include "lane_events.hpp"
#include "lane_records.hpp"
#include "perf_events.hpp"
#include "tracepoint_programs.hpp"
#include "tracepoints.hpp"

namespace iotrace {

/// The tracepoints of io_uring, and when threads lose and get a processor. The tracepoints need two rights:
/// tracefs must be readable, which usually only root may, and perf_event_open(2) must be allowed to look into
/// the kernel, to root, with CAP_PERFMON, or by kernel.perf_event_paranoid -1. When the own threads lose a
/// processor may be seen by everybody, unless perf_event_open() is forbidden altogether. What is refused is
/// not seen, and nothing else changes.
/// thread: one, if not said otherwise. A thread of its own takes the reports out of the kernel's buffers
class KernelLane {
 public:
  struct Options {
    std::size_t buffer_bytes = std::size_t{1} << 21;  ///< for each processor
    std::size_t most_events = std::size_t{1} << 23;   ///< what comes later is lost, and counted
    std::uint32_t one_in = 1;         ///< a power of two: it sees one of so many values of user_data
    bool only_begin_and_end = false;  ///< of requests; fewer tracepoints are sooner open
    bool with_processors = true;      ///< also when threads lose and get a processor
  };

  /// Learns the tracepoints. If tracefs is not mounted, a child process does. So call this before the first
  /// thread starts.
  explicit KernelLane(Options options);
  KernelLane() : KernelLane(Options()) {}
  KernelLane(KernelLane&&) = delete;
  ~KernelLane();

  /// Watches every thread that the calling thread starts from now on. That is long work (milliseconds), and
  /// nothing is left to do when a thread starts.
  void watch_new_threads();

  /// Watches the calling thread, too.
  void watch_this_thread();

  /// Watches a process, which has one thread, and all that it starts, from its next execve(2) on.
  void watch_from_exec(pid_t process);

  /// Watches all threads of a running process, and those that they start. A few threads are watched one by
  /// one. If there are many, all processors are watched, and what other programs do there is dropped: that
  /// takes fewer descriptors, but every program that uses io_uring becomes slower meanwhile.
  void watch_process(pid_t process);

  /// Ends watching. What has been seen remains.
  void stop();

  /// Drops what has been seen so far, so that there is room.
  /// thread: any
  void forget();

  /// Returns what has been seen since the last forget().
  /// thread: any
  [[nodiscard]] LaneRecording collect();
  /// The same, and forgets it.
  /// thread: any
  [[nodiscard]] LaneRecording take();

  /// Returns how many reports have come.
  /// thread: any
  [[nodiscard]] std::uint64_t reports() const noexcept { return reports_.load(std::memory_order_relaxed); }
  /// Returns how much processor time the lane's own thread has taken.
  /// thread: any
  [[nodiscard]] std::int64_t reader_ns() const noexcept { return reader_ns_.load(std::memory_order_relaxed); }

  [[nodiscard]] std::size_t descriptors() const noexcept {
    return events_.descriptors() + programs_.descriptors();
  }
  [[nodiscard]] bool watches_whole_processors() const noexcept { return process_ != 0; }

  /// Why something cannot be seen: a part of a sentence, and what to do about it. Both are empty if it can.
  struct Refusal {
    std::string why;
    std::string_view advice;
  };
  /// The requests of io_uring.
  [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }
  /// When threads lose and get a processor.
  [[nodiscard]] const Refusal& processors_refusal() const noexcept { return processors_refusal_; }

 private:
  using Targets = std::vector<PerfEvents::Target>;

  void watch(Targets targets);
  void note_process(pid_t process);
  [[nodiscard]] int open_all(const Targets& targets);
  [[nodiscard]] int open_tracepoints(const Targets& targets, int cpu);
  [[nodiscard]] int open_switches(const Targets& targets, int cpu);
  [[nodiscard]] bool open_programs();
  [[nodiscard]] bool fits_threads(std::size_t threads) const;
  void learn_names(pid_t process);
  void start_reader();

  void read_until_stopped();
  void drain();
  void drop();
  void take_record(const std::byte* record);
  void take_event(const LaneEvent& event, bool is_ours);
  void take_news(const ThreadNews& news);
  void keep(const LaneEvent& event);
  void settle_strangers();
  [[nodiscard]] std::uint64_t lost() const;

  const Options options_;
  KnownTracepoints tracepoints_;
  Refusal refusal_;
  Refusal processors_refusal_;

  std::mutex mutex_;  // of what follows
  PerfEvents events_;
  TracepointPrograms programs_;          // if they are open, events_ has no tracepoints
  std::unordered_set<pid_t> processes_;  // those that count
  bool samples_tell_who_ = true;
  std::uint64_t last_ring_ = 0;
  pid_t process_ = 0;  // whole processors are watched, and only this process counts
  LaneRecording seen_;
  std::uint64_t told_lost_ = 0;          // by the records
  std::uint64_t lost_before_close_ = 0;  // as the kernel counts them
  std::uint64_t no_room_ = 0;
  std::uint64_t forgotten_lost_ = 0;
  std::unordered_set<std::uint64_t> rings_;  // the program's
  std::vector<LaneEvent> strangers_;  // of other threads, for rings that may yet turn out to be the program's

  std::atomic<std::uint64_t> reports_ = 0;
  std::atomic<std::int64_t> reader_ns_ = 0;
  std::atomic<bool> stopping_ = false;
  corering::Fd kick_;  // an eventfd: look again
  std::thread reader_;
};

}  // namespace iotrace
