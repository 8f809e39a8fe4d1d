/// containers_test.cpp — the queue other threads push to, the ready queue, the timer heap, the frame cache.
#include <array>
#include <coroutine>
#include <map>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <corering/engine/frame_cache.hpp>
#include <corering/engine/mpsc_queue.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/ready_queue.hpp>
#include <corering/engine/timer_heap.hpp>
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

// ---- ReadyQueue ----

/// A coroutine that notes its number each time it is resumed.
struct Noting {
  struct promise_type {
    Noting get_return_object() noexcept {
      return Noting(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  explicit Noting(std::coroutine_handle<promise_type> handle) noexcept : handle(handle) {}
  Noting(Noting&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Noting() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

Noting note(int number, std::vector<int>& into) {
  for (;;) {
    into.push_back(number);
    co_await std::suspend_always();
  }
}

class ReadyQueueTest : public testing::Test {
 protected:
  ReadyQueueTest() {
    for (int i = 0; i < 5000; ++i) coroutines_.push_back(note(i, resumed_));
  }
  void push(int from, int to) {
    for (int i = from; i < to; ++i) queue_.push(coroutines_[i].handle);
  }
  void push_batch(int from, int to) {
    ReadyQueue::Batch batch(queue_, static_cast<std::size_t>(to - from));
    for (int i = from; i < to; ++i) batch.push(coroutines_[i].handle);
  }
  void expect_resumed(int from, int to) {
    ASSERT_EQ(resumed_.size(), static_cast<std::size_t>(to - from));
    for (int i = from; i < to; ++i) ASSERT_EQ(resumed_[i - from], i);
    resumed_.clear();
  }

  std::vector<int> resumed_;
  std::vector<Noting> coroutines_;
  ReadyQueue queue_;
};

TEST_F(ReadyQueueTest, keeps_the_order_while_it_grows) {
  push(0, 700);
  EXPECT_EQ(queue_.run(600), 600U);
  expect_resumed(0, 600);
  push_batch(700, 5000);  // more than there is room for, and some are left
  EXPECT_EQ(queue_.size(), 4400U);
  EXPECT_EQ(queue_.run(5000), 4400U);
  expect_resumed(600, 5000);
  EXPECT_TRUE(queue_.empty());
}

TEST_F(ReadyQueueTest, moves_what_is_left_to_the_front) {
  push(0, 1000);
  EXPECT_EQ(queue_.run(900), 900U);
  expect_resumed(0, 900);
  push(1000, 1900);  // fits when the 100 that are left have moved
  EXPECT_EQ(queue_.run(5000), 1000U);
  expect_resumed(900, 1900);
}

TEST_F(ReadyQueueTest, takes_a_batch_that_is_smaller_than_announced) {
  {
    ReadyQueue::Batch batch(queue_, 3000);
    batch.push(coroutines_[0].handle);
  }
  push(1, 3);
  EXPECT_EQ(queue_.run(5000), 3U);
  expect_resumed(0, 3);
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
  void* const second = allocate_frame(220);  // the same size class
  EXPECT_EQ(first, second);
  free_frame(second, 220);
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
