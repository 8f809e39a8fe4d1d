/// mpsc_queue_test.cpp — order, marks and the end of the queue, and many pushers at once.
#include <array>
#include <thread>
#include <vector>

#include <corering/engine/mpsc_queue.hpp>
#include <corering/engine/post.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

using Pushed = MpscQueue::Pushed;
using namespace std::chrono_literals;

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

}  // namespace
}  // namespace corering
