/// throwing_moves_test.cpp — results whose move throws, wherever a result is moved. Channels refuse such
/// values.
#include <deque>
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

/// Its moves throw once, when the countdown has come to zero.
struct Heavy {
  static inline int moves_left = 0;

  explicit Heavy(int value) noexcept : value(value) {}
  Heavy(const Heavy& other) : value(other.value) {
    if (moves_left-- == 0) throw std::runtime_error("too heavy");
  }
  Heavy& operator=(const Heavy& other) = default;

  int value;
};

static_assert(ChannelValue<int> && ChannelValue<std::unique_ptr<Heavy>> && ChannelValue<std::string>);
static_assert(!ChannelValue<Heavy> && !ChannelValue<std::deque<int>>);

Task<Heavy> carries(int value) {
  (void)co_await async_nop();
  co_return Heavy(value);
}
AsyncGenerator<Heavy> yields() {
  co_yield Heavy(1);
  (void)co_await async_nop();
  co_yield Heavy(2);
}

Task<int> awaited(BlockingPool&) {
  const Heavy heavy = co_await carries(3);
  co_return heavy.value;
}
Task<int> joined(BlockingPool&) {
  JoinHandle<Heavy> handle = spawn(carries(3));
  const Heavy heavy = co_await std::move(handle);
  co_return heavy.value;
}
Task<int> in_a_pack(BlockingPool&) {
  const auto [one, two] = co_await when_all(carries(1), carries(2));
  co_return one.value + two.value;
}
Task<std::vector<Task<Heavy>>> some() {
  std::vector<Task<Heavy>> tasks;
  tasks.push_back(carries(1));
  tasks.push_back(carries(2));
  co_return tasks;
}
Task<int> in_a_row(BlockingPool&) {
  std::vector<Task<Heavy>> tasks = co_await some();
  const std::vector<Heavy> both = co_await when_all(std::move(tasks));
  co_return both[0].value + both[1].value;
}
Task<int> first_of_a_pack(BlockingPool&) {
  const auto first = co_await when_any(carries(3), sleep_until(TimePoint::max()));
  co_return std::get<0>(first.result).value;
}
Task<int> first_of_a_row(BlockingPool&) {
  std::vector<Task<Heavy>> tasks = co_await some();
  const auto first = co_await when_any(std::move(tasks));
  co_return first.result.value > 0 ? 3 : 0;
}
Task<int> in_time(BlockingPool&) {
  const Result<Heavy> heavy = co_await with_timeout(1h, carries(3));
  co_return heavy->value;
}
Task<int> in_a_group(BlockingPool&) {
  const auto body = [](TaskGroup& group) -> Task<Heavy> {
    group.spawn(carries(7));
    co_return Heavy(3);
  };
  const Result<Heavy> heavy = co_await with_group(body);
  co_return heavy->value;
}
Task<int> generated(BlockingPool&) {
  AsyncGenerator<Heavy> generator = yields();
  int sum = 0;
  for (;;) {
    const std::optional<Heavy> next = co_await generator.next();
    if (!next) co_return sum;
    sum += next->value;
  }
}
Task<int> offloaded(BlockingPool& pool) {
  const auto work = [] { return Heavy(3); };
  const Result<Heavy> heavy = co_await offload(pool, work);
  co_return heavy->value;
}

struct Carrier {
  const char* name;
  Task<int> (*carry)(BlockingPool&);
};
class ThrowingMoves : public testing::TestWithParam<Carrier> {};

// A carrier that lost somebody would leave the worker unable to stop.
TEST_P(ThrowingMoves, come_out_of_the_await_as_exceptions_and_nobody_is_lost) {
  BlockingPool pool;
  int thrown = 0;
  for (int moves = 0;; ++moves) {
    ASSERT_LT(moves, 100) << "there are not so many moves";
    Heavy::moves_left = moves;
    try {
      EXPECT_EQ(run(GetParam().carry(pool)).value(), 3);
    } catch (const std::runtime_error& error) {
      ++thrown;
      EXPECT_STREQ(error.what(), "too heavy");
      continue;
    }
    break;
  }
  EXPECT_GT(thrown, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, ThrowingMoves,
                         testing::Values(Carrier{"await", awaited}, Carrier{"spawn", joined},
                                         Carrier{"when_all", in_a_pack},
                                         Carrier{"when_all_of_a_range", in_a_row},
                                         Carrier{"when_any", first_of_a_pack},
                                         Carrier{"when_any_of_a_range", first_of_a_row},
                                         Carrier{"with_timeout", in_time}, Carrier{"with_group", in_a_group},
                                         Carrier{"a_generator", generated}, Carrier{"offload", offloaded}),
                         [](const testing::TestParamInfo<Carrier>& info) { return info.param.name; });

TEST(ThrowingMoves, come_out_of_sync_wait_too) {
  test::RunningWorker running;
  int thrown = 0;
  for (int moves = 0; moves < 20; ++moves) {
    Heavy::moves_left = moves;
    try {
      EXPECT_EQ(sync_wait(running.worker.spawn(carries(3)).value()).value, 3);
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  EXPECT_TRUE(thrown > 0 && thrown < 20) << thrown;
}

// ---- a channel's values need not be assignable, and a failed try_send does not touch its value ----

struct Fixed {
  explicit Fixed(int value) noexcept : value(value) {}
  const int value;
};
Task<void> sends_and_receives(Channel<Fixed>& channel) {
  Fixed first(1), second(2);
  EXPECT_TRUE(channel.try_send(first));
  EXPECT_FALSE(channel.try_send(second));
  EXPECT_EQ(channel.try_receive()->value, 1);
  EXPECT_TRUE(co_await channel.send(Fixed(3)));
  const Result<Fixed> got = co_await channel.receive();
  EXPECT_EQ(got->value, 3);
}
TEST(Channel, carries_values_that_cannot_be_assigned) {
  Channel<Fixed> channel(1);
  test::run_on_a_worker_here(sends_and_receives(channel));
}

struct Counted {
  static inline int moves = 0;
  Counted() noexcept = default;
  Counted(Counted&&) noexcept { ++moves; }
};
TEST(SharedChannel, does_not_touch_a_value_that_it_does_not_take) {
  SharedChannel<Counted> channel(1);
  Counted first, second;
  EXPECT_TRUE(channel.try_send(first));
  Counted::moves = 0;
  EXPECT_FALSE(channel.try_send(second));
  channel.close();
  EXPECT_FALSE(channel.try_send(second));
  EXPECT_EQ(Counted::moves, 0);
}

}  // namespace
}  // namespace corering
