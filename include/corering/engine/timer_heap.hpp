/// timer_heap.hpp — deadlines of one worker, the nearest on top.
///
/// It is a 4-ary heap in one array. Each node knows its place, so removing a timer that is no longer wanted
/// takes O(log n). Timers cost no SQE: the nearest deadline is the timeout of the worker's wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <corering/base/time.hpp>

namespace corering {

/// Something that happens at a point in time.
/// keep alive: it must stay where it is while it is armed
struct TimerNode {
  static constexpr std::size_t not_armed = SIZE_MAX;

  /// The worker calls this when the time has come, after the timer has left the heap. It resumes nothing
  /// itself.
  void (*fire)(TimerNode& self) noexcept = nullptr;
  std::size_t place = not_armed;

  [[nodiscard]] bool is_armed() const noexcept { return place != not_armed; }
};

class TimerHeap {
 public:
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  /// Returns the nearest deadline. The heap must not be empty.
  [[nodiscard]] TimePoint next_deadline() const noexcept { return entries_.front().deadline; }

  /// Makes room for the first timers, while somebody can be told if there is no memory.
  /// errors: throws std::bad_alloc
  void prepare() { entries_.reserve(64); }

  /// Arms a timer. Among equal deadlines, the timer that was armed first fires first. Returns false, and
  /// nothing has happened, if there is no memory.
  [[nodiscard]] bool push(TimerNode& node, TimePoint deadline) noexcept;

  /// Takes the timer with the nearest deadline out.
  TimerNode& pop() noexcept;

  /// Takes an armed timer out.
  void remove(TimerNode& node) noexcept;

  /// For assertions: no timer comes before its parent, and each node knows its place. Looks at the
  /// nearest 64.
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
