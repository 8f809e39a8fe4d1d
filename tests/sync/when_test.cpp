/// when_test.cpp — all of them, or the first: results, exceptions, and which members are waited for.
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::run_on_a_worker_here;

Task<int> later(int value, Duration delay, std::vector<int>* ended = nullptr) {
  (void)co_await sleep_for(delay);
  if (ended != nullptr) ended->push_back(value);
  co_return value;
}
Task<void> nothing() { co_return; }
Task<int> throws_later(const char* what, Duration delay) {
  (void)co_await sleep_for(delay);
  throw std::runtime_error(what);
  co_return 0;
}

/// Throws when it is cancelled, as some code does.
Task<int> throws_when_cancelled(const char* what) {
  const Result<void> slept = co_await sleep_for(1h);
  if (!slept) throw std::runtime_error(what);
  co_return 0;
}

// ---- when_all ----

Task<void> all_of_a_pack() {
  auto [first, second, third, fourth] =
      co_await when_all(later(1, 2ms), async_nop(), nothing(), later(4, 1ms));
  EXPECT_EQ(first, 1);
  EXPECT_TRUE(second);
  EXPECT_EQ(third, std::monostate());
  EXPECT_EQ(fourth, 4);
}
TEST(WhenAll, yields_the_results_in_order) { run_on_a_worker_here(all_of_a_pack()); }

Task<void> all_of_none_and_one() {
  const std::tuple<> none = co_await when_all();
  EXPECT_EQ(std::tuple_size_v<decltype(none)>, 0U);
  const auto [one] = co_await when_all(later(7, Duration::zero()));
  EXPECT_EQ(one, 7);
  const std::vector<int> empty_range = co_await when_all(std::vector<Task<int>>());
  EXPECT_TRUE(empty_range.empty());
  std::vector<Task<int>> single;
  single.push_back(later(8, 1ms));
  const std::vector<int> one_of_a_range = co_await when_all(std::move(single));
  EXPECT_EQ(one_of_a_range, std::vector<int>{8});
}
TEST(WhenAll, of_none_and_of_one) { run_on_a_worker_here(all_of_none_and_one()); }

Task<void> all_of_many() {
  std::vector<Task<int>> many;
  for (int i = 0; i < 10'000; ++i) many.push_back(later(i, Duration(i % 7 * 100'000)));
  const std::vector<int> results = co_await when_all(std::move(many));
  EXPECT_EQ(results.size(), 10'000U);
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(results[static_cast<std::size_t>(i)], i);
}
TEST(WhenAll, of_ten_thousand) { run_on_a_worker_here(all_of_many()); }

Task<void> all_with_an_error(int fd) {
  std::array<std::byte, 1> buffer;
  const auto [bad, good] = co_await when_all(async_read(-1, buffer, 0), async_read(fd, buffer, 0));
  EXPECT_EQ(bad.error(), std::errc::bad_file_descriptor);
  EXPECT_TRUE(good) << "an error is a result like any other";
}
TEST(WhenAll, does_not_take_an_error_for_a_failure) {
  const test::TemporaryDirectory directory;
  test::write_content(directory / "file", "text");
  const Fd file(test::sys::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
  run_on_a_worker_here(all_with_an_error(file.get()));
}

Task<void> all_nested() {
  const auto inner = [](int base) -> Task<int> {
    const auto [a, b] = co_await when_all(later(base, 1ms), later(base + 1, 1ms));
    co_return a + b;
  };
  const auto [left, right] = co_await when_all(inner(1), inner(10));
  EXPECT_EQ(left + right, 3 + 21);
}
TEST(WhenAll, nests) { run_on_a_worker_here(all_nested()); }

/// Awaits three members, and returns what came out. Member number `thrower` throws.
Task<std::string> all_with_a_thrower(int thrower, std::vector<int>& ended) {
  std::vector<Task<int>> members;
  for (int i = 0; i < 3; ++i) {
    members.push_back(i == thrower ? throws_later("thrown", 1ms) : later(i, 1h, &ended));
  }
  try {
    co_await when_all(std::move(members));
  } catch (const std::runtime_error& error) {
    co_return error.what();
  }
  co_return "nothing";
}
Task<void> all_with_each_thrower() {
  for (int thrower = 0; thrower < 3; ++thrower) {
    std::vector<int> ended;
    const std::string out = co_await all_with_a_thrower(thrower, ended);
    EXPECT_EQ(out, "thrown") << "member " << thrower;
    EXPECT_EQ(ended.size(), 2U) << "the others were cancelled and waited for";
  }
}
TEST(WhenAll, lets_an_exception_of_each_member_out_when_the_others_have_ended) {
  run_on_a_worker_here(all_with_each_thrower());
}

Task<void> first_of_two_exceptions() {
  std::string out;
  try {
    co_await when_all(throws_when_cancelled("second"), throws_later("first", 1ms));
  } catch (const std::runtime_error& error) {
    out = error.what();
  }
  EXPECT_EQ(out, "first");
}
TEST(WhenAll, lets_the_first_of_several_exceptions_out) { run_on_a_worker_here(first_of_two_exceptions()); }

/// An awaitable in which every step may throw.
struct Temper {
  enum class Step { none, ready, suspend, resume };
  explicit Temper(Step bad) noexcept : bad(bad) {}
  bool await_ready() const {
    if (bad == Step::ready) throw std::runtime_error("ready");
    return bad == Step::resume;
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise>) const {
    if (bad == Step::suspend) throw std::runtime_error("suspend");
    return false;
  }
  void await_resume() const {
    if (bad == Step::resume) throw std::runtime_error("resume");
  }
  Step bad;
};
template <class Awaitable>
Task<std::string> what_comes_out(Awaitable awaitable) {
  try {
    (void)co_await std::move(awaitable);
  } catch (const std::runtime_error& error) {
    co_return error.what();
  }
  co_return "nothing";
}
Task<void> tempers() {
  using Step = Temper::Step;
  const std::array<std::pair<Step, const char*>, 4> steps = {{{Step::none, "nothing"},
                                                              {Step::ready, "ready"},
                                                              {Step::suspend, "suspend"},
                                                              {Step::resume, "resume"}}};
  for (const auto& [step, expected] : steps) {
    const std::string all = co_await what_comes_out(when_all(later(1, 1ms), Temper(step), nothing()));
    EXPECT_EQ(all, expected);
    const std::string any = co_await what_comes_out(when_any(later(1, 1ms), Temper(step)));
    EXPECT_EQ(any, expected);
    const std::string timed = co_await what_comes_out(with_timeout(1h, Temper(step)));
    EXPECT_EQ(timed, expected);
    const std::string shielded = co_await what_comes_out(shield(Temper(step)));
    EXPECT_EQ(shielded, expected);
    const std::string stoppable = co_await what_comes_out(with_stop_token(std::stop_token(), Temper(step)));
    EXPECT_EQ(stoppable, expected);
  }
}
TEST(Combinators, let_an_exception_of_each_step_of_an_await_out) { run_on_a_worker_here(tempers()); }

// ---- when_any ----

Task<void> any_of_a_pack() {
  std::vector<int> ended;
  const auto first =
      co_await when_any(later(1, 1h, &ended), later(2, 1ms, &ended), sleep_for(1h), async_recv(-1, {}));
  EXPECT_EQ(first.index, 3U) << "an error is a result like any other";
  EXPECT_EQ(std::get<3>(first.result).error(), std::errc::bad_file_descriptor);
  EXPECT_EQ(ended.size(), 2U) << "the losers have ended";
}
TEST(WhenAny, yields_the_first_and_joins_the_others) { run_on_a_worker_here(any_of_a_pack()); }

Task<void> any_of_same_types() {
  const auto first = co_await when_any(later(1, 1h), later(2, 1ms), later(3, 1h));
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(std::get<1>(first.result), 2);
}
TEST(WhenAny, tells_equal_types_apart) { run_on_a_worker_here(any_of_same_types()); }

Task<void> any_of_one_and_many() {
  const auto one = co_await when_any(nothing());
  EXPECT_EQ(one.index, 0U);
  std::vector<Task<int>> many;
  for (int i = 0; i < 1'000; ++i) many.push_back(later(i, i == 777 ? Duration(1ms) : Duration(1h)));
  const auto first = co_await when_any(std::move(many));
  EXPECT_EQ(first.index, 777U);
  EXPECT_EQ(first.result, 777);
}
TEST(WhenAny, of_one_and_of_a_thousand) { run_on_a_worker_here(any_of_one_and_many()); }

Task<void> any_of_none() {
  bool refused = false;
  try {
    co_await when_any(std::vector<Task<int>>());
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  EXPECT_TRUE(refused);
}
TEST(WhenAny, of_an_empty_range_says_that_nothing_could_be_first) { run_on_a_worker_here(any_of_none()); }

Task<void> any_with_each_thrower() {
  for (int thrower = 0; thrower < 3; ++thrower) {
    std::vector<Task<int>> members;
    for (int i = 0; i < 3; ++i) members.push_back(i == thrower ? throws_later("thrown", 1ms) : later(i, 1h));
    const std::string out = co_await what_comes_out(when_any(std::move(members)));
    EXPECT_EQ(out, "thrown") << "the winner is member " << thrower;
  }
  for (int thrower = 0; thrower < 3; ++thrower) {
    std::vector<Task<int>> members;
    for (int i = 0; i < 3; ++i) {
      members.push_back(i == thrower ? throws_when_cancelled("a loser's") : later(i, Duration(1ms)));
    }
    const std::string out = co_await what_comes_out(when_any(std::move(members)));
    EXPECT_EQ(out, "a loser's") << "a loser that throws is heard, too: member " << thrower;
  }
}
TEST(WhenAny, lets_an_exception_of_each_member_out) { run_on_a_worker_here(any_with_each_thrower()); }

/// A type of another library, which is awaited through a free function.
struct Elsewhere {
  Elsewhere() noexcept = default;
};
struct ElsewheresAwaiter {
  ElsewheresAwaiter() noexcept = default;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  int await_resume() const noexcept { return 7; }
};
ElsewheresAwaiter operator co_await(Elsewhere) noexcept { return {}; }

Task<void> members_with_a_free_operator() {
  const auto [first, second] = co_await when_all(Elsewhere(), async_nop());
  EXPECT_EQ(first, 7);
  EXPECT_TRUE(second);
  const auto any = co_await when_any(Elsewhere(), sleep_for(1h));
  EXPECT_EQ(any.index, 0U);
  const Result<int> in_time = co_await with_timeout(1h, Elsewhere());
  EXPECT_EQ(in_time, 7);
}
TEST(Combinators, take_what_has_a_free_operator_co_await) {
  run_on_a_worker_here(members_with_a_free_operator());
}

// Both accepts have completed in the kernel before the first one is looked at. The loser's descriptor must
// not leak.
Task<void> two_accepts(int first, int second) {
  const auto accepted = co_await when_any(async_accept(first), async_accept(second));
  std::visit([](const Result<Fd>& client) { EXPECT_TRUE(client); }, accepted.result);
}
TEST(WhenAny, disposes_of_a_late_success) {
  const int descriptors = test::open_descriptors();
  {
    const test::Listener first, second;
    std::vector<Fd> clients;
    for (const test::Listener* const listener : {&first, &second}) {
      clients.emplace_back(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      ASSERT_EQ(test::sys::connect(clients.back().get(), listener->get(), sizeof listener->address), 0);
    }
    run_on_a_worker_here(two_accepts(first.fd.get(), second.fd.get()));
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

// A member that did not begin is dropped. If it is a join, its task goes on.
Task<void> any_that_need_not_begin() {
  Event ended;
  const auto sets = [](Event& event) -> Task<void> {
    (void)co_await async_nop();
    event.set();
  };
  JoinHandle<void> running = spawn(sets(ended));
  Event set(true);
  const auto first = co_await when_any(set.wait(), std::move(running));
  EXPECT_EQ(first.index, 0U);
  EXPECT_TRUE(co_await ended.wait()) << "the task goes on by itself";
}
TEST(WhenAny, lets_go_of_what_need_not_begin) { run_on_a_worker_here(any_that_need_not_begin()); }

Task<void> any_ready_behind_one_that_runs() {
  Channel<int> channel(1);
  int value = 7;
  EXPECT_TRUE(channel.try_send(value));
  const auto first = co_await when_any(nothing(), channel.receive());
  EXPECT_EQ(first.index, 1U) << "it has the value: nobody may overtake it now";
  EXPECT_EQ(std::get<1>(first.result), 7);
}
TEST(WhenAny, is_decided_by_the_first_that_needs_no_waiting) {
  run_on_a_worker_here(any_ready_behind_one_that_runs());
}

// ---- on many workers ----

Task<Worker*> stays_on(Worker& there) {
  (void)co_await SwitchToWorker(there);
  (void)co_await async_nop();
  co_return Worker::current();
}
Task<void> members_abroad(Worker& there) {
  Worker* const home = Worker::current();
  for (int i = 0; i < 200; ++i) {
    const auto [first, second, third] = co_await when_all(stays_on(there), async_nop(), stays_on(there));
    EXPECT_EQ(first, &there);
    EXPECT_EQ(third, &there);
    EXPECT_TRUE(second);
    EXPECT_EQ(Worker::current(), home);
    const auto any = co_await when_any(stays_on(there), sleep_for(1h).on(there), stays_on(there));
    EXPECT_NE(any.index, 1U);
    EXPECT_EQ(Worker::current(), home);
  }
}
TEST(Combinators, come_home_from_members_on_other_workers) {
  test::RunningWorker there;
  run_on_a_worker_here(members_abroad(there.worker));
}

TEST(CombinatorsDeathTest, on_a_plain_thread_end_the_program_with_advice) {
  EXPECT_DEATH(sync_wait(when_all(nothing(), nothing())), "without a worker");
  EXPECT_DEATH(sync_wait(with_timeout(1s, nothing())), "without a worker");
}

}  // namespace
}  // namespace corering
