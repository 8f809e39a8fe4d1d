/// faults_test.cpp — single kinds of faults: what a program sees of them, and that they strike.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <new>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

#include "sim/echo.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

/// The options of a world in which nothing but this fault strikes.
sim::WorldOptions only(sim::Fault fault, std::uint64_t seed = 1, std::uint32_t one_in = 1,
                       std::uint32_t budget = 1000) {
  sim::WorldOptions options{.seed = seed};
  options.faults[fault] = {.one_in = one_in, .budget = budget};
  return options;
}

// ---- shuffled_ready ----

Task<void> notes(std::vector<int>& order, int number) {
  (void)co_await async_nop();
  order.push_back(number);
}

Task<void> notes_all(std::vector<int>& order, int count) {
  std::vector<JoinHandle<void>> all;
  for (int number = 0; number < count; ++number) all.push_back(spawn(notes(order, number)));
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

TEST(SimFaults, what_is_ready_runs_in_another_order) {
  const std::vector<int> in_order = {0, 1, 2, 3, 4, 5, 6, 7};
  bool has_changed = false;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    sim::World world(only(sim::Fault::shuffled_ready, seed));
    std::vector<int> order;
    const sim::RunReport report = world.run(notes_all(order, 8));
    EXPECT_EQ(report.failure, "");
    EXPECT_GT(report.faults[sim::Fault::shuffled_ready].hits, 0U);
    has_changed = has_changed || order != in_order;
    std::ranges::sort(order);
    EXPECT_EQ(order, in_order) << "each runs once";
  }
  EXPECT_TRUE(has_changed);
}

TEST(SimFaults, without_them_what_is_ready_runs_in_its_order) {
  sim::World world;
  std::vector<int> order;
  EXPECT_EQ(world.run(notes_all(order, 8)).failure, "");
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

// ---- cancel_misses ----

Task<void> abandons_a_stream() {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0), {});
  EXPECT_TRUE(listener.has_value());
  if (!listener) co_return;
  AcceptStream stream(listener->fd(), 4);
  EXPECT_FALSE(co_await with_timeout(1ms, stream.next()));
}

// A simulated worker is a guest. It slept until its patience ended, when the last answer came late and
// resumed nobody.
TEST(SimFaults, a_stop_ends_with_the_last_answer_also_of_what_was_abandoned) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    sim::World world(only(sim::Fault::cancel_misses, seed, 1, 1));
    const sim::RunReport report = world.run(abandons_a_stream());
    EXPECT_EQ(report.failure, "");
    EXPECT_EQ(report.faults[sim::Fault::cancel_misses].hits, 1U);
    EXPECT_LT(world.elapsed(), WorkerOptions().stop_patience) << "seed " << seed;
  }
}

// ---- clock_step ----

/// How long it takes, by the clock that nobody sets, until the wall clock shows the hour that begins in an
/// hour. In a world without faults both clocks are one.
Task<Duration> waits_until(TimeoutClock clock) {
  const TimePoint begin = here::now();
  for (int i = 0; i < 50; ++i) (void)co_await sleep_for(1ms);  // turns, and so chances for steps
  EXPECT_TRUE(co_await async_timeout_at(begin.time_since_epoch() + 1h, clock));
  co_return here::now() - begin;
}
Task<Duration> waits_for_an_hour(TimeoutClock clock) {
  const TimePoint begin = here::now();
  EXPECT_TRUE(co_await async_timeout(1h, 0, clock));
  co_return here::now() - begin;
}
Task<void> awaits(Task<Duration> wait, Duration& time) { time = co_await std::move(wait); }

TEST(SimFaults, whoever_sets_the_clock_moves_only_what_waits_for_a_time_of_it) {
  std::size_t early = 0, late = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::World world(only(sim::Fault::clock_step, seed, 4, 1));
    Duration at_realtime{}, at_monotonic{}, for_realtime{};
    EXPECT_EQ(world.run(awaits(waits_until(TimeoutClock::realtime), at_realtime)).failure, "");
    sim::World second(only(sim::Fault::clock_step, seed, 4, 1));
    EXPECT_EQ(second.run(awaits(waits_until(TimeoutClock::monotonic), at_monotonic)).failure, "");
    sim::World third(only(sim::Fault::clock_step, seed, 4, 1));
    const sim::RunReport report = third.run(awaits(waits_for_an_hour(TimeoutClock::realtime), for_realtime));
    EXPECT_EQ(report.failure, "");
    if (at_realtime < 59min) ++early;
    if (at_realtime > 61min) ++late;
    EXPECT_EQ(at_monotonic / 1min, 60) << "seed " << seed;
    EXPECT_EQ(for_realtime / 1min, 60) << "seed " << seed;
  }
  EXPECT_GT(early, 0U);
  EXPECT_GT(late, 0U);
}

// ---- enobufs, multishot_ends ----

Task<void> sends(UnixStream& to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Result<void> sent = co_await to.write_all(std::as_bytes(std::span("piece", 5)));
    EXPECT_TRUE(sent.has_value());
    (void)co_await sleep_for(10ms);  // so that each piece comes by itself
  }
  (void)co_await to.close();
}

Task<void> receives_by_itself(std::size_t& bytes, std::error_code& end) {
  Result<std::pair<UnixStream, UnixStream>> pair = UnixStream::pair();
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  auto sending = spawn(sends(pair->first, 20));
  RecvStream stream(pair->second.fd(), *pool);
  for (;;) {
    const Result<LentBuffer> piece = co_await stream.next();
    if (!piece) end = piece.error();
    if (!piece) break;
    bytes += piece->bytes().size();
  }
  (void)co_await pair->second.close();
  co_await std::move(sending);
}

/// A stream of receives gets everything although this strikes once in two chances.
void expect_all_is_received(sim::Fault fault) {
  sim::World world(only(fault, 1, 2));
  std::size_t bytes = 0;
  std::error_code end;
  const sim::RunReport report = world.run(receives_by_itself(bytes, end));
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(bytes, 100U);
  EXPECT_EQ(end, StreamErrc::end);
  EXPECT_GT(report.faults[fault].hits, 3U);
}

TEST(SimFaults, a_stream_bears_that_no_buffer_is_found_although_one_is_free) {
  expect_all_is_received(sim::Fault::enobufs);
}

TEST(SimFaults, a_stream_goes_on_when_its_multishot_ends) {
  expect_all_is_received(sim::Fault::multishot_ends);
}

Task<void> receives_once(std::error_code& error) {
  Result<std::pair<UnixStream, UnixStream>> pair = UnixStream::pair();
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  (void)co_await pair->first.write_all(std::as_bytes(std::span("piece", 5)));
  const Result<LentBuffer> got = co_await async_recv(pair->second.fd(), *pool);
  if (!got) error = got.error();
}

TEST(SimFaults, a_receive_is_told_that_there_is_no_buffer) {
  sim::World world(only(sim::Fault::enobufs));
  std::error_code error;
  EXPECT_EQ(world.run(receives_once(error)).failure, "");
  EXPECT_EQ(error, std::errc::no_buffer_space);
}

// ---- cancel_order ----

Task<void> waits_to_be_cancelled(int& cancelled) {
  const Result<void> waited = co_await async_timeout(1h);
  if (!waited && waited.error() == std::errc::operation_canceled) ++cancelled;
}

Task<void> cancels_some(int& cancelled) {
  for (int i = 0; i < 10; ++i) {
    auto waiting = spawn(waits_to_be_cancelled(cancelled));
    (void)co_await sleep_for(1ms);
    waiting.request_cancel();
    co_await std::move(waiting);
  }
}

TEST(SimFaults, what_is_cancelled_may_be_answered_before_the_cancel) {
  sim::World world(only(sim::Fault::cancel_order, 1, 2));
  int cancelled = 0;
  const sim::RunReport report = world.run(cancels_some(cancelled));
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(cancelled, 10);
  EXPECT_GT(report.faults[sim::Fault::cancel_order].hits, 0U);
  EXPECT_LT(report.faults[sim::Fault::cancel_order].hits, 10U) << "both orders happen";
}

// ---- zero copy ----

Task<void> sends_without_a_copy(sim::World& world, Duration& took) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  const Result<TcpStream> ours = co_await TcpStream::connect(listener->local_address().value());
  const Result<TcpStream> theirs = co_await listener->accept();
  const Duration begun = world.elapsed();
  const auto sent = co_await async_send_zc(ours->fd(), std::as_bytes(std::span("hello", 5)));
  EXPECT_EQ(sent.value().bytes, 5U);
  took = world.elapsed() - begun;
}

TEST(SimFaults, the_notification_of_a_send_comes_late) {
  Duration usual{}, late{};
  {
    sim::World world;
    EXPECT_EQ(world.run(sends_without_a_copy(world, usual)).failure, "");
  }
  sim::World world(only(sim::Fault::late_notification, 3));
  const sim::RunReport report = world.run(sends_without_a_copy(world, late));
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(report.faults[sim::Fault::late_notification].hits, 1U);
  EXPECT_GT(late, usual + 100us) << "its memory is the kernel's until then";
}

Task<void> sends_and_forgets() {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  const Result<TcpStream> ours = co_await TcpStream::connect(listener->local_address().value());
  (void)co_await with_timeout(1us, async_send_zc(ours->fd(), std::as_bytes(std::span("hello", 5))));
}

// A cancel does not find a send whose notification is all that is left: who sends waits for that.
TEST(SimFaults, a_late_notification_is_awaited_by_who_no_longer_wants_the_send) {
  sim::World world(only(sim::Fault::late_notification, 3));
  const sim::RunReport report = world.run(sends_and_forgets());
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(report.faults[sim::Fault::late_notification].hits, 1U);
}

// ---- no_memory ----

Task<int> answers() { co_return 42; }

Task<void> calls(int& answered, int& refused) {
  for (int i = 0; i < 100; ++i) {
    try {
      answered += co_await answers() == 42 ? 1 : 0;
    } catch (const std::bad_alloc&) {
      ++refused;
    }
  }
}

TEST(SimFaults, a_call_of_a_coroutine_that_finds_no_memory_throws) {
  sim::World world(only(sim::Fault::no_memory, 1, 5));
  int answered = 0, refused = 0;
  const sim::RunReport report = world.run(calls(answered, refused));
  EXPECT_EQ(report.failure, "");
  EXPECT_GT(refused, 0);
  EXPECT_EQ(answered + refused, 100);
  EXPECT_EQ(report.faults[sim::Fault::no_memory].hits, static_cast<std::uint32_t>(refused));
}

Task<void> sleeps_a_second() { (void)co_await sleep_for(1s); }

Task<void> talks(Address server, bool& is_answered) try {
  Result<TcpStream> stream = co_await with_timeout(1s, TcpStream::connect(server));
  if (!stream) co_return;
  const Result<void> sent = co_await stream->write_all(std::as_bytes(std::span("hello", 5)));
  std::array<std::byte, 8> buffer;
  const Result<std::size_t> got = co_await with_timeout(1s, stream->read(buffer));
  is_answered = sent && got && *got > 0;
} catch (const std::bad_alloc&) {
}

// Handlers whose task finds no memory end with an exception that nobody waits for.
TEST(SimFaults, a_server_that_finds_no_memory_for_a_connection_takes_the_next_one) {
  set_detached_exception_handler([](std::exception_ptr) {});
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::World world(only(sim::Fault::no_memory, seed, 4, 60));
    bool is_answered = false;
    const sim::RunReport report = world.run([&world, &is_answered] {
      Result<TcpServer> server = serve(world.pool(), Address::loopback(0), sim_test::echo);
      ASSERT_TRUE(server.has_value());
      for (int i = 0; i < 30; ++i)
        sync_wait(world.worker().spawn(talks(server->address(), is_answered)).value());
      world.end_faults();
      is_answered = false;
      sync_wait(world.worker().spawn(talks(server->address(), is_answered)).value());
      sync_wait(world.worker().spawn(sleeps_a_second()).value());
      EXPECT_EQ(server->open_connections(0), 0U);
      server->stop_accepting();
    });
    EXPECT_EQ(report.failure, "") << "seed " << seed;
    EXPECT_TRUE(is_answered) << "seed " << seed;
    EXPECT_GT(report.faults[sim::Fault::no_memory].hits, 0U);
  }
}

TEST(SimFaults, a_swarm_leaves_out_what_few_programs_bear) {
  std::size_t with = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const sim::Faults swarm = sim::Faults::swarm(seed);
    EXPECT_EQ(swarm[sim::Fault::no_memory].one_in, 0U);
    if (swarm.with_no_memory(seed)[sim::Fault::no_memory].one_in != 0) ++with;
  }
  EXPECT_GT(with, 10U);
  EXPECT_LT(with, 40U);
}

}  // namespace
}  // namespace corering
