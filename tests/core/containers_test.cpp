/// containers_test.cpp — the queue other threads push to, the ready queue, the timer heap, the frame cache.
#include <array>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include <corering/core/frame_cache.hpp>
#include <corering/core/mpsc_queue.hpp>
#include <corering/core/timer_heap.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

using Pushed = MpscQueue::Pushed;
using namespace std::chrono_literals;

// ---- MpscQueue ----

TEST(MpscQueue, gives_nodes_back_in_the_order_of_pushing) {
  MpscQueue queue;
  std::array<PostNode, 3> nodes;
  for (PostNode& node : nodes) EXPECT_EQ(queue.push(node), Pushed::queued);
  PostNode* at = queue.take();
  for (PostNode& node : nodes) {
    ASSERT_EQ(at, &node);
    at = at->next;
  }
  EXPECT_EQ(at, nullptr);
  EXPECT_EQ(queue.take(), nullptr);
}

TEST(MpscQueue, asks_only_the_first_pusher_to_wake_a_sleeper) {
  MpscQueue queue;
  std::array<PostNode, 2> nodes;
  ASSERT_TRUE(queue.mark_asleep());
  EXPECT_EQ(queue.push(nodes[0]), Pushed::must_wake);
  EXPECT_EQ(queue.push(nodes[1]), Pushed::queued);
}

TEST(MpscQueue, does_not_let_its_owner_sleep_on_work) {
  MpscQueue queue;
  PostNode node;
  ASSERT_EQ(queue.push(node), Pushed::queued);
  EXPECT_FALSE(queue.mark_asleep());
  EXPECT_EQ(queue.take(), &node);
  EXPECT_TRUE(queue.mark_asleep());
}

TEST(MpscQueue, keeps_the_mark_until_somebody_takes_it) {
  MpscQueue queue;
  PostNode node;
  ASSERT_TRUE(queue.mark_asleep());
  EXPECT_EQ(queue.take(), nullptr);
  EXPECT_EQ(queue.push(node), Pushed::must_wake);
  EXPECT_FALSE(queue.take_mark_back()) << "the pusher has it";
  EXPECT_EQ(queue.take(), &node);
}

TEST(MpscQueue, an_owner_that_took_its_mark_back_is_not_woken) {
  MpscQueue queue;
  PostNode node;
  ASSERT_TRUE(queue.mark_asleep());
  EXPECT_TRUE(queue.take_mark_back());
  EXPECT_EQ(queue.push(node), Pushed::queued);
}

TEST(MpscQueue, closes_only_when_empty_and_then_refuses) {
  MpscQueue queue;
  PostNode early, late;
  ASSERT_EQ(queue.push(early), Pushed::queued);
  EXPECT_FALSE(queue.try_close());
  EXPECT_EQ(queue.take(), &early);
  EXPECT_TRUE(queue.try_close());
  EXPECT_EQ(queue.push(late), Pushed::closed);
  EXPECT_FALSE(queue.mark_asleep());
  EXPECT_EQ(queue.take(), nullptr);
}

TEST(MpscQueue, a_sleeping_one_can_be_closed) {
  MpscQueue queue;
  ASSERT_TRUE(queue.mark_asleep());
  EXPECT_TRUE(queue.try_close());
}

TEST(MpscQueue, loses_nothing_and_keeps_each_pushers_order) {
  constexpr std::size_t pushers = 3;
  constexpr std::size_t each = 20'000;
  MpscQueue queue;
  std::vector<std::vector<PostNode>> nodes(pushers);
  for (auto& mine : nodes) mine = std::vector<PostNode>(each);
  std::vector<std::thread> threads;
  std::atomic<std::size_t> wakes = 0;
  for (auto& mine : nodes) {
    threads.emplace_back([&queue, &mine, &wakes] {
      for (PostNode& node : mine) wakes += queue.push(node) == Pushed::must_wake ? 1 : 0;
    });
  }
  std::size_t popped = 0;
  std::size_t sleeps = 0;
  std::array<PostNode*, pushers> expected{};
  for (std::size_t i = 0; i < pushers; ++i) expected[i] = nodes[i].data();
  while (popped < pushers * each) {
    PostNode* at = queue.take();
    if (at == nullptr && queue.mark_asleep()) {
      ++sleeps;
      while ((at = queue.take()) == nullptr) std::this_thread::yield();
    }
    for (; at != nullptr; ++popped) {
      PostNode* const next = at->next;
      bool in_order = false;
      for (auto& mine : expected) {
        if (at != mine) continue;
        in_order = true;
        ++mine;
        break;
      }
      ASSERT_TRUE(in_order);
      at = next;
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wakes, sleeps);
}

// ---- TimerHeap ----

TEST(TimerHeap, fires_in_the_order_of_deadlines_then_of_arming) {
  std::mt19937 random(1);
  TimerHeap heap;
  std::vector<TimerNode> timers(2000);
  std::multimap<TimePoint, TimerNode*> reference;
  for (TimerNode& timer : timers) {
    const TimePoint deadline(Duration(static_cast<int>(random() % 500)));
    heap.push(timer, deadline);
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
      heap.push(timer, deadline);
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
  heap.push(timers[0], TimePoint::max());
  heap.push(timers[1], TimePoint::min());
  heap.push(timers[2], TimePoint(1ns));
  EXPECT_EQ(&heap.pop(), &timers[1]);
  EXPECT_EQ(&heap.pop(), &timers[2]);
  EXPECT_EQ(&heap.pop(), &timers[0]);
}

// ---- frame cache ----

TEST(FrameCache, hands_a_freed_frame_out_again) {
  void* const first = allocate_frame(200);
  free_frame(first, 200);
  void* const second = allocate_frame(250);  // the same size class
  EXPECT_EQ(first, second);
  free_frame(second, 250);
}

TEST(FrameCache, serves_every_size_whole) {
  for (const std::size_t size : {1, 16, 63, 64, 65, 8192, 8193, 100'000}) {
    auto* const frame = static_cast<unsigned char*>(allocate_frame(size));
    std::fill_n(frame, size, 0xab);
    free_frame(frame, size);
  }
}

TEST(FrameCache, takes_frames_that_die_on_another_thread) {
  std::vector<void*> frames(1000);
  for (int round = 0; round < 5; ++round) {
    for (void*& frame : frames) frame = allocate_frame(128);
    std::thread([&frames] {
      for (void* frame : frames) free_frame(frame, 128);
    }).join();
  }
  std::vector<void*> again(frames.size());
  for (void*& frame : again) frame = allocate_frame(128);
  std::sort(again.begin(), again.end());
  EXPECT_EQ(std::adjacent_find(again.begin(), again.end()), again.end()) << "a frame was handed out twice";
  for (void* frame : again) free_frame(frame, 128);
}

}  // namespace
}  // namespace corering
