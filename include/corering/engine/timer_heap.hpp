/// timer_heap.hpp — deadlines of one worker, the nearest on top.
///
/// A 4-ary heap in one array; each node knows its place, so a timer that is no longer wanted leaves in O(log
/// n). Timers cost no SQE: the nearest deadline is the timeout of the worker's wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <corering/base/time.hpp>

namespace corering {

/// Something that happens at a point in time. Does not move while armed.
struct TimerNode {
  static constexpr std::size_t not_armed = SIZE_MAX;

  /// Called by the worker when the time has come, after the timer has left the heap. Resumes nothing itself.
  void (*fire)(TimerNode& self) noexcept = nullptr;
  std::size_t place = not_armed;

  [[nodiscard]] bool is_armed() const noexcept { return place != not_armed; }
};

class TimerHeap {
 public:
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  /// The nearest deadline; not to be asked of an empty heap.
  [[nodiscard]] TimePoint next_deadline() const noexcept { return entries_.front().deadline; }

  /// Arms. Among equal deadlines the one armed first fires first.
  void push(TimerNode& node, TimePoint deadline);

  /// Takes the timer with the nearest deadline out.
  TimerNode& pop() noexcept;

  /// Takes an armed timer out.
  void remove(TimerNode& node) noexcept;

  /// For assertions: no timer comes before its parent, and each node knows its place. Looks at the nearest 64.
  [[nodiscard]] bool is_in_order() const noexcept;

 private:
  struct Entry {
    TimePoint deadline;
    std::uint64_t order;
    TimerNode* node;
    [[nodiscard]] bool before(const Entry& other) const noexcept {
      return deadline != other.deadline ? deadline < other.deadline : order < other.order;
    }
  };

  void put(std::size_t place, const Entry& entry) noexcept;
  void sift_up(std::size_t place, const Entry& entry) noexcept;
  void sift_down(std::size_t place, const Entry& entry) noexcept;

  std::vector<Entry> entries_;
  std::uint64_t next_order_ = 0;
};

}  // namespace corering
