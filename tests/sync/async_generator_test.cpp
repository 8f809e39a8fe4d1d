/// async_generator_test.cpp — values one by one, exceptions, and an early end.
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

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

}  // namespace
}  // namespace corering
