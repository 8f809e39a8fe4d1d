/// channel_test.cpp — order, capacity, closing and cancellation of a channel.
#include <memory>
#include <numeric>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::nothing;
using test::turns;

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> produces(Channel<int>& channel, int count) {
  for (int i = 0; i < count; ++i) {
    const Result<void> sent = co_await channel.send(i);
    EXPECT_TRUE(sent);
  }
  channel.close();
}
Task<void> passes_in_order(std::size_t capacity) {
  Channel<int> channel(capacity);
  JoinHandle<void> producer = spawn(produces(channel, 1000));
  std::vector<int> got;
  for (;;) {
    const Result<int> value = co_await channel.receive();
    if (!value) {
      EXPECT_EQ(value.error(), std::errc::broken_pipe);
      break;
    }
    EXPECT_LE(channel.size(), capacity);
    got.push_back(*value);
  }
  std::vector<int> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(got, expected);
  co_await std::move(producer);
}

TEST(Channel, keeps_the_order_at_every_capacity) {
  for (const std::size_t capacity : {0U, 1U, 7U, 5000U}) run_on_a_worker_here(passes_in_order(capacity));
}

Task<void> sends_one(Channel<std::string>& channel, std::string text, std::vector<std::string>& done) {
  const Result<void> sent = co_await channel.send(text);
  done.push_back(sent ? text : text + ": " + std::to_string(sent.error().value()));
}
Task<void> rendezvous() {
  Channel<std::string> channel(0);
  std::vector<std::string> done;
  JoinHandle<void> first = spawn(sends_one(channel, "one", done));
  JoinHandle<void> second = spawn(sends_one(channel, "two", done));
  co_await turns(3);
  EXPECT_TRUE(done.empty()) << "a send meets a receive";
  EXPECT_EQ(co_await channel.receive(), "one");
  co_await turns(3);
  EXPECT_EQ(done, std::vector<std::string>{"one"});
  channel.close();
  co_await std::move(first);
  co_await std::move(second);
  EXPECT_EQ(done.back(), "two: 32") << "EPIPE";
  const Result<void> late = co_await channel.send("late");
  EXPECT_EQ(late.error(), std::errc::broken_pipe);
  const Result<std::string> end = co_await channel.receive();
  EXPECT_EQ(end.error(), std::errc::broken_pipe);
}

TEST(Channel, of_no_capacity_is_a_rendezvous) { run_on_a_worker_here(rendezvous()); }

Task<void> without_waiting() {
  Channel<std::unique_ptr<int>> channel(1);
  auto value = std::make_unique<int>(1);
  EXPECT_TRUE(channel.try_send(value));
  value = std::make_unique<int>(2);
  EXPECT_FALSE(channel.try_send(value));
  EXPECT_EQ(*value, 2) << "untouched";
  EXPECT_EQ(**channel.try_receive(), 1);
  EXPECT_FALSE(channel.try_receive());
  channel.close();
  EXPECT_FALSE(channel.try_send(value));
  EXPECT_EQ(*value, 2);
  co_return;
}

TEST(Channel, can_be_tried) { run_on_a_worker_here(without_waiting()); }

Task<void> first_of_two_channels(int rounds) {
  Channel<int> left(0), right(0);
  int sum = 0, sent = 0;
  const auto feed = [](Channel<int>& channel, int count, int& total) -> Task<void> {
    for (int i = 1; i <= count; ++i) {
      const Result<void> passed = co_await channel.send(i);
      if (passed) total += i;
    }
    channel.close();
  };
  JoinHandle<void> feeding_left = spawn(feed(left, rounds, sent));
  JoinHandle<void> feeding_right = spawn(feed(right, rounds, sent));
  int received = 0;
  while (received < 2 * rounds) {
    const auto first = co_await when_any(left.receive(), right.receive());
    const Result<int>& value = first.index == 0 ? std::get<0>(first.result) : std::get<1>(first.result);
    if (!value) {
      Channel<int>& other = first.index == 0 ? right : left;
      for (;;) {
        const Result<int> rest = co_await other.receive();
        if (!rest) break;
        sum += *rest;
        ++received;
      }
      break;
    }
    sum += *value;
    ++received;
  }
  co_await std::move(feeding_left);
  co_await std::move(feeding_right);
  EXPECT_EQ(received, 2 * rounds) << "the value of a loser stays in its channel";
  EXPECT_EQ(sum, sent);
}

TEST(Channel, loses_nothing_in_when_any) { run_on_a_worker_here(first_of_two_channels(1'000)); }

// A receiver is served and cancelled in the same turn.
Task<void> served_and_cancelled() {
  Channel<int> channel(1);
  const auto receives = [](Channel<int>& from, Result<int>& got) -> Task<void> {
    got = co_await from.receive();
  };
  Result<int> first = 0, second = 0;
  JoinHandle<void> one = spawn(receives(channel, first));
  (void)co_await async_nop();
  int value = 7;
  EXPECT_TRUE(channel.try_send(value));
  EXPECT_EQ(channel.size(), 0U) << "on its way to the first receiver";
  one.request_cancel();
  EXPECT_EQ(channel.size(), 1U) << "back in the channel";
  co_await std::move(one);
  EXPECT_EQ(first.error(), std::errc::operation_canceled);
  EXPECT_EQ(co_await channel.receive(), 7);
  // Or the value goes straight to the next receiver in line.
  one = spawn(receives(channel, first));
  JoinHandle<void> two = spawn(receives(channel, second));
  (void)co_await async_nop();
  value = 8;
  EXPECT_TRUE(channel.try_send(value));
  one.request_cancel();
  co_await std::move(one);
  co_await std::move(two);
  EXPECT_EQ(second, 8);
}
Task<void> two_served_and_cancelled() {
  Channel<int> channel(2);
  const auto receives = [](Channel<int>& from) -> Task<void> { (void)co_await from.receive(); };
  JoinHandle<void> one = spawn(receives(channel));
  JoinHandle<void> two = spawn(receives(channel));
  (void)co_await async_nop();
  for (int value : {1, 2}) EXPECT_TRUE(channel.try_send(value));
  one.request_cancel();
  two.request_cancel();
  co_await std::move(one);
  co_await std::move(two);
  EXPECT_EQ(co_await channel.receive(), 1);
  EXPECT_EQ(co_await channel.receive(), 2);
}

TEST(Channel, takes_values_back_in_the_order_they_were_sent) {
  run_on_a_worker_here(two_served_and_cancelled());
}

TEST(Channel, takes_the_value_of_a_cancelled_receiver_back) { run_on_a_worker_here(served_and_cancelled()); }

// This does the same with everything else that can be ready at once.
Task<void> a_million_ready_awaits() {
  Event set(true);
  Mutex mutex;
  Channel<int> channel(1);
  for (int i = 0; i < 200'000; ++i) {
    (void)co_await set.wait();
    (void)co_await mutex.lock();
    (void)co_await channel.send(i);
    (void)co_await channel.receive();
    (void)co_await with_timeout(1h, nothing());
    (void)co_await when_all(nothing(), nothing());
    (void)co_await shield(nothing());
  }
}

TEST(Combinators, a_million_that_are_ready_do_not_grow_the_stack) {
  run_on_a_worker_here(a_million_ready_awaits());
}

}  // namespace
}  // namespace corering
