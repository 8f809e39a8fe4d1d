/// primitives_test.cpp — events, mutexes, semaphores, latches and channels of one worker; generators.
#include <memory>
#include <numeric>
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<void> nothing() { co_return; }
Task<void> a_few_turns() {
  for (int i = 0; i < 3; ++i) (void)co_await async_nop();
}

// ---- Event ----

Task<void> notes_when_set(Event& event, std::vector<int>& order, int number) {
  const Result<void> waited = co_await event.wait();
  order.push_back(waited ? number : -number);
}
Task<void> set_in_order() {
  Event event;
  std::vector<int> order;
  std::vector<JoinHandle<void>> waiting;
  for (int i = 1; i <= 5; ++i) waiting.push_back(spawn(notes_when_set(event, order, i)));
  co_await a_few_turns();
  EXPECT_TRUE(order.empty());
  event.notify_one();
  co_await a_few_turns();
  EXPECT_EQ(order, std::vector<int>{1});
  waiting[1].request_cancel();
  co_await a_few_turns();
  EXPECT_EQ(order, (std::vector<int>{1, -2}));
  event.notify_all();
  co_await a_few_turns();
  EXPECT_EQ(order, (std::vector<int>{1, -2, 3, 4, 5}));
  EXPECT_FALSE(event.is_set());
  event.set();
  EXPECT_TRUE(co_await event.wait()) << "at once";
  event.reset();
  const Result<void> timed = co_await with_timeout(1ms, event.wait());
  EXPECT_EQ(timed.error(), std::errc::timed_out);
  for (auto& one : waiting) co_await std::move(one);
}
TEST(Event, lets_go_on_in_order_and_can_be_cancelled) { run_on_a_worker_here(set_in_order()); }

Task<void> touches(Event& event) {
  event.set();
  co_return;
}
TEST(EventDeathTest, notices_a_foreign_worker) {
  EXPECT_DEATH(
      {
        Event event;
        test::RunningWorker first;
        test::RunningWorker second;
        sync_wait(*first.worker.spawn(touches(event)));
        sync_wait(*second.worker.spawn(touches(event)));
      },
      "belongs to one worker");
}

Task<void> counts_down() {
  Latch open(0);
  EXPECT_TRUE(co_await open.wait());
  Latch latch(3);
  std::vector<int> order;
  const auto waits = [](Latch& on, std::vector<int>& done) -> Task<void> {
    (void)co_await on.wait();
    done.push_back(static_cast<int>(on.left()));
  };
  JoinHandle<void> first = spawn(waits(latch, order));
  JoinHandle<void> second = spawn(waits(latch, order));
  for (int i = 0; i < 3; ++i) {
    co_await a_few_turns();
    EXPECT_TRUE(order.empty());
    latch.count_down();
  }
  co_await std::move(first);
  co_await std::move(second);
  EXPECT_EQ(order, (std::vector<int>{0, 0}));
}
TEST(Latch, opens_at_zero) { run_on_a_worker_here(counts_down()); }
TEST(LatchDeathTest, counted_too_far_ends_the_program) {
  EXPECT_DEATH(
      {
        Latch latch(0);
        latch.count_down();
      },
      "more often than its count");
}

// ---- Mutex ----

Task<void> holds(Mutex& mutex, std::vector<int>& order, int number, int& inside) {
  const Result<Mutex::Guard> guard = co_await mutex.lock();
  if (!guard) {
    order.push_back(-number);
    co_return;
  }
  EXPECT_EQ(++inside, 1) << "nobody else is in here";
  co_await a_few_turns();
  --inside;
  order.push_back(number);
}
Task<void> one_at_a_time() {
  Mutex mutex;
  std::vector<int> order;
  int inside = 0;
  std::vector<JoinHandle<void>> all;
  for (int i = 1; i <= 5; ++i) all.push_back(spawn(holds(mutex, order, i, inside)));
  (void)co_await async_nop();
  all[2].request_cancel();
  for (auto& one : all) co_await std::move(one);
  EXPECT_EQ(order, (std::vector<int>{-3, 1, 2, 4, 5}));
  EXPECT_FALSE(mutex.is_locked());
  Result<Mutex::Guard> guard = co_await mutex.lock();
  EXPECT_TRUE(mutex.is_locked());
  const Result<Mutex::Guard> timed = co_await with_timeout(1ms, mutex.lock());
  EXPECT_EQ(timed.error(), std::errc::timed_out);
  guard->unlock();
  EXPECT_FALSE(mutex.is_locked());
}
TEST(Mutex, lets_in_one_at_a_time_in_order) { run_on_a_worker_here(one_at_a_time()); }

// Handed over and cancelled in the same turn: the lock must not get stuck.
Task<void> handed_over_and_cancelled() {
  Mutex mutex;
  std::vector<int> order;
  int inside = 0;
  Result<Mutex::Guard> ours = co_await mutex.lock();
  JoinHandle<void> next = spawn(holds(mutex, order, 1, inside));
  (void)co_await async_nop();
  ours->unlock();
  EXPECT_TRUE(mutex.is_locked()) << "it belongs to the next one already";
  next.request_cancel();
  co_await std::move(next);
  EXPECT_FALSE(mutex.is_locked());
}
TEST(Mutex, survives_a_cancellation_at_the_moment_of_handing_over) {
  run_on_a_worker_here(handed_over_and_cancelled());
}

Task<void> first_of_two_locks() {
  Mutex held, free;
  const Result<Mutex::Guard> ours = co_await held.lock();
  {
    const auto first = co_await when_any(held.lock(), free.lock());
    EXPECT_EQ(first.index, 1U);
    EXPECT_TRUE(free.is_locked());
  }
  EXPECT_FALSE(free.is_locked());
}
TEST(Mutex, goes_into_when_any) { run_on_a_worker_here(first_of_two_locks()); }

// ---- Semaphore ----

Task<void> takes(Semaphore& semaphore, std::size_t count, std::vector<int>& order, int number) {
  const Result<Semaphore::Permit> permit = co_await semaphore.acquire(count);
  order.push_back(permit ? number : -number);
  co_await a_few_turns();
}
Task<void> so_many_at_a_time() {
  Semaphore semaphore(3);
  std::vector<int> order;
  JoinHandle<void> two = spawn(takes(semaphore, 2, order, 1));
  JoinHandle<void> three = spawn(takes(semaphore, 3, order, 2));
  JoinHandle<void> one = spawn(takes(semaphore, 1, order, 3));
  (void)co_await async_nop();
  EXPECT_EQ(order, std::vector<int>{1}) << "one would do for the third, but nobody passes the second";
  EXPECT_EQ(semaphore.available(), 1U);
  three.request_cancel();
  (void)co_await async_nop();
  EXPECT_EQ(order, (std::vector<int>{1, -2, 3})) << "the one in the way has gone";
  co_await std::move(two);
  co_await std::move(three);
  co_await std::move(one);
  EXPECT_EQ(semaphore.available(), 3U);
  JoinHandle<void> five = spawn(takes(semaphore, 5, order, 4));
  (void)co_await async_nop();
  semaphore.give(2);
  co_await std::move(five);
  EXPECT_EQ(order.back(), 4);
}
TEST(Semaphore, serves_in_order) { run_on_a_worker_here(so_many_at_a_time()); }

// ---- Channel ----

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
  co_await a_few_turns();
  EXPECT_TRUE(done.empty()) << "a send meets a receive";
  EXPECT_EQ(co_await channel.receive(), "one");
  co_await a_few_turns();
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

// Served and cancelled in the same turn.
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
  // ... or straight to the next one in line.
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

// ---- AsyncGenerator ----

AsyncGenerator<int> counts_to(int end, int& destroyed) {
  struct Counter {
    int& count;
    explicit Counter(int& count) noexcept : count(count) {}
    ~Counter() { ++count; }
  };
  const Counter counter(destroyed);
  for (int i = 1; i <= end; ++i) {
    (void)co_await async_nop();
    co_yield i;
  }
}
Task<void> generates() {
  int destroyed = 0, sum = 0;
  {
    AsyncGenerator<int> numbers = counts_to(100, destroyed);
    for (;;) {
      const std::optional<int> number = co_await numbers.next();
      if (!number) break;
      sum += *number;
    }
    const std::optional<int> after = co_await numbers.next();
    EXPECT_FALSE(after);
    AsyncGenerator<int> never_begun = counts_to(5, destroyed);
    AsyncGenerator<int> cut = counts_to(5, destroyed);
    EXPECT_EQ(co_await cut.next(), 1);
    EXPECT_EQ(destroyed, 1);
  }
  EXPECT_EQ(sum, 5050);
  EXPECT_EQ(destroyed, 2) << "ended where it stood";
}
TEST(AsyncGenerator, yields_until_its_end_or_ours) { run_on_a_worker_here(generates()); }

AsyncGenerator<std::string> throws_after_one() {
  co_yield "one";
  throw std::runtime_error("from the generator");
}
Task<void> generator_throws() {
  AsyncGenerator<std::string> strings = throws_after_one();
  EXPECT_EQ(co_await strings.next(), "one");
  std::string out;
  try {
    (void)co_await strings.next();
  } catch (const std::runtime_error& error) {
    out = error.what();
  }
  EXPECT_EQ(out, "from the generator");
  EXPECT_FALSE(co_await strings.next());
}
TEST(AsyncGenerator, lets_its_exception_out_once) { run_on_a_worker_here(generator_throws()); }

AsyncGenerator<Result<void>> sleeps_between(Duration duration) {
  for (;;) {
    Result<void> slept = co_await sleep_for(duration);
    const bool over = !slept;
    co_yield std::move(slept);
    if (over) co_return;
  }
}
Task<void> generator_is_cancelled() {
  AsyncGenerator<Result<void>> ticks = sleeps_between(1h);
  const auto one_tick = [](AsyncGenerator<Result<void>>& from) -> Task<Result<void>> {
    const std::optional<Result<void>> tick = co_await from.next();
    co_return tick ? *tick : failure(EIO);
  };
  const Result<void> cut = co_await with_timeout(1ms, one_tick(ticks));
  EXPECT_EQ(cut.error(), std::errc::timed_out);
  EXPECT_FALSE(co_await ticks.next());
}
TEST(AsyncGenerator, runs_under_the_deadline_of_who_asks) { run_on_a_worker_here(generator_is_cancelled()); }

AsyncGenerator<int> never_waits(int count) {
  for (int i = 0; i < count; ++i) co_yield i;
}
Task<void> a_million_ready_values() {
  AsyncGenerator<int> numbers = never_waits(1'000'000);
  int count = 0;
  for (;;) {
    const std::optional<int> number = co_await numbers.next();
    if (!number) break;
    ++count;
  }
  EXPECT_EQ(count, 1'000'000);
}
TEST(AsyncGenerator, a_million_ready_values_do_not_grow_the_stack) {
  run_on_a_worker_here(a_million_ready_values());
}

// The same for everything else that can be ready at once.
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
