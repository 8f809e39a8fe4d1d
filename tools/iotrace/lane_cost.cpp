/// lane_cost.cpp — NOPs with and without the lane.
#include "lane_cost.hpp"

#include <algorithm>
#include <ctime>
#include <limits>

#include <corering/uring/ring.hpp>

#include "kernel_lane.hpp"

namespace iotrace {
namespace {

using namespace corering;

class NopRing {
 public:
  [[nodiscard]] bool open() { return ring_.open(real_kernel(), 8, 0).has_value(); }

  /// Returns the processor time of a NOP, in nanoseconds.
  [[nodiscard]] std::int64_t time_of_nop() {
    constexpr int rounds = 5;
    constexpr int nops = 4000;
    std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
    for (int round = 0; round < rounds; ++round) {
      const std::int64_t before = processor_ns();
      for (int i = 0; i < nops; ++i) do_nop();
      shortest = std::min(shortest, processor_ns() - before);
    }
    return shortest / nops;
  }

 private:
  static std::int64_t processor_ns() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * 1'000'000'000 + used.tv_nsec;
  }

  void do_nop() {
    *ring_.next_sqe() = Sqe{};  // opcode 0 is NOP
    ring_.submit_and_wait({});
    ring_.release(ring_.cqes());
  }

  SubmissionQueue sq_;
  Ring ring_{sq_};
};

}  // namespace

std::optional<std::int64_t> measure_lane_cost() {
  NopRing ring;
  if (!ring.open()) return std::nullopt;
  const std::int64_t without = ring.time_of_nop();
  KernelLane lane({.only_begin_and_end = true, .with_processors = false});
  lane.watch_this_thread();
  if (!lane.refusal().why.empty()) return std::nullopt;
  return std::max<std::int64_t>(0, ring.time_of_nop() - without);
}

}  // namespace iotrace
