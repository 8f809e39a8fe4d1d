/// ready_queue_test.cpp — order, budget and growth.
#include <coroutine>
#include <utility>
#include <vector>

#include <corering/engine/ready_queue.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

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

}  // namespace
}  // namespace corering
