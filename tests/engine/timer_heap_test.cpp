/// timer_heap_test.cpp — the earliest deadline comes first, whatever is added or removed.
#include <array>
#include <chrono>
#include <map>
#include <random>
#include <vector>

#include <corering/engine/timer_heap.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

using namespace std::chrono_literals;

TEST(TimerHeap, fires_in_the_order_of_deadlines_then_of_arming) {
  std::mt19937 random(1);
  TimerHeap heap;
  std::vector<TimerNode> timers(2000);
  std::multimap<TimePoint, TimerNode*> reference;
  for (TimerNode& timer : timers) {
    const TimePoint deadline(Duration(static_cast<int>(random() % 500)));
    ASSERT_TRUE(heap.push(timer, deadline));
    reference.emplace(deadline, &timer);
  }
  for (const auto& [deadline, timer] : reference) {
    ASSERT_EQ(heap.next_deadline(), deadline);
    ASSERT_EQ(&heap.pop(), timer);
  }
  EXPECT_TRUE(heap.empty());
}

TEST(TimerHeap, survives_removal_from_anywhere) {
  std::mt19937 random(2);
  TimerHeap heap;
  std::vector<TimerNode> timers(500);
  std::multimap<TimePoint, TimerNode*> reference;
  for (int round = 0; round < 20'000; ++round) {
    TimerNode& timer = timers[random() % timers.size()];
    if (timer.place == TimerNode::not_armed) {
      const TimePoint deadline(Duration(static_cast<int>(random() % 1000)));
      ASSERT_TRUE(heap.push(timer, deadline));
      reference.emplace(deadline, &timer);
    } else {
      heap.remove(timer);
      std::erase_if(reference, [&](const auto& entry) { return entry.second == &timer; });
      ASSERT_EQ(timer.place, TimerNode::not_armed);
    }
    ASSERT_EQ(heap.size(), reference.size());
    if (!reference.empty()) {
      ASSERT_EQ(heap.next_deadline(), reference.begin()->first);
    }
  }
}

TEST(TimerHeap, holds_the_ends_of_time) {
  TimerHeap heap;
  std::array<TimerNode, 3> timers;
  ASSERT_TRUE(heap.push(timers[0], TimePoint::max()));
  ASSERT_TRUE(heap.push(timers[1], TimePoint::min()));
  ASSERT_TRUE(heap.push(timers[2], TimePoint(1ns)));
  EXPECT_EQ(&heap.pop(), &timers[1]);
  EXPECT_EQ(&heap.pop(), &timers[2]);
  EXPECT_EQ(&heap.pop(), &timers[0]);
}

}  // namespace
}  // namespace corering
