/// tracepoint_programs.hpp — small programs that the kernel runs at its tracepoints, see bpf(2). They write
/// what is told there into one buffer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <corering/base/fd.hpp>

#include "lane_events.hpp"
#include "tracepoints.hpp"

struct bpf_insn;

namespace iotrace {

/// A report through perf_event_open(2) alone costs almost three times as much. The programs tell of some
/// processes and of all that these start; but what becomes ready they tell of everybody, because that happens
/// in the context of whoever caused it. They need CAP_BPF besides CAP_PERFMON; root has both.
/// thread: one at a time
class TracepointPrograms {
 public:
  TracepointPrograms() noexcept = default;
  TracepointPrograms(TracepointPrograms&&) = delete;
  ~TracepointPrograms() { close(); }

  /// Begins. `rejected_bits`: what has one of these bits in its user_data is not told. Returns 0, or the
  /// errno; then nothing has begun.
  [[nodiscard]] int open(const KnownTracepoints& tracepoints, std::size_t buffer_bytes,
                         std::uint32_t rejected_bits);
  /// From now on this process is told of, and what it starts.
  void add_process(std::int32_t process) noexcept;
  void close() noexcept;
  [[nodiscard]] bool is_open() const noexcept { return !programs_.empty(); }
  [[nodiscard]] std::size_t descriptors() const noexcept { return programs_.size() + events_.size(); }

  /// Returns how many reports found no room.
  [[nodiscard]] std::uint64_t lost() const;

  /// Returns how far the buffer is filled, for drain_until().
  [[nodiscard]] std::uint64_t position() const noexcept;

  /// Calls visit(LaneEvent) with each report until there, and makes room for others.
  template <class Visit>
  void drain_until(std::uint64_t end, Visit&& visit) {
    if (!is_open()) return;
    const Clocks now = read_clocks();
    while (consumer().load(std::memory_order_relaxed) < end) {
      const Report* const report = next();
      if (report == nullptr) break;
      visit(as_event(*report, now));
      release();
    }
    clocks_ = now;
  }

 private:
  /// What a program writes.
  struct Report {
    std::int64_t monotonic_ns;
    std::uint64_t process_and_thread;
    std::uint64_t ring;
    std::uint64_t request;
    std::uint64_t user_data;
    std::uint32_t result_or_opcode;
    std::uint32_t flags;
    std::uint64_t kind;
  };
  /// The programs know CLOCK_MONOTONIC only. Between two readings of both clocks their distance changes
  /// evenly.
  struct Clocks {
    std::int64_t monotonic_ns = 0;
    std::int64_t raw_ns = 0;
  };

  [[nodiscard]] int tell_of(const Tracepoint& tracepoint, std::uint32_t rejected_bits);
  [[nodiscard]] int attach(const std::vector<bpf_insn>& program, std::uint64_t tracepoint);
  [[nodiscard]] int follow(const ForkTracepoint& fork);
  [[nodiscard]] int make_buffer(std::size_t bytes);
  [[nodiscard]] static Clocks read_clocks() noexcept;
  [[nodiscard]] LaneEvent as_event(const Report& report, const Clocks& now) const noexcept;
  [[nodiscard]] std::atomic_ref<std::uint64_t> consumer() const noexcept;
  [[nodiscard]] const Report* next() const noexcept;
  void release() noexcept;

  corering::Fd buffer_;
  corering::Fd lost_;
  corering::Fd processes_;
  std::vector<corering::Fd> programs_;
  std::vector<corering::Fd> events_;
  void* consumer_page_ = nullptr;
  std::byte* memory_ = nullptr;  // the producer's page, and then the data, twice one after the other
  std::size_t bytes_ = 0;
  Clocks clocks_;  // at the last drain
};

}  // namespace iotrace
