/// world_test.cpp — a simulated world by itself: time, workers, posts, what is left, and that a seed decides
/// everything.
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <corering/corering.hpp>
#include <corering/emulation/emulated_kernel.hpp>
#include <corering/engine/here.hpp>
#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<void> ends_at_once() { co_return; }

TEST(SimWorld, runs_a_program_to_its_end) {
  sim::World world;
  const sim::RunReport report = world.run(ends_at_once());
  EXPECT_EQ(report.failure, "");
  EXPECT_GT(report.turns, 0U);
}

Task<void> sleeps(std::chrono::nanoseconds& slept, sim::World& world) {
  const auto begin = world.elapsed();
  (void)co_await sleep_for(24h);
  slept = world.elapsed() - begin;
}

TEST(SimWorld, a_day_passes_in_no_time) {
  sim::World world;
  std::chrono::nanoseconds slept{};
  EXPECT_EQ(world.run(sleeps(slept, world)).failure, "");
  EXPECT_GE(slept, 24h);
  EXPECT_LT(slept, 24h + 1s);
}

Task<void> times_out(std::vector<std::error_code>& errors) {
  Event never;
  const Result<void> waited = co_await with_timeout(5s, never.wait());
  if (!waited) errors.push_back(waited.error());
  const Result<void> timed = co_await async_timeout(3s);
  if (!timed) errors.push_back(timed.error());
}

TEST(SimWorld, deadlines_and_timeouts_come) {
  sim::World world;
  std::vector<std::error_code> errors;
  EXPECT_EQ(world.run(times_out(errors)).failure, "");
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors[0], std::errc::timed_out);
  EXPECT_GE(world.elapsed(), 8s);
}

Task<void> waits_in_a_shield() {
  Event never;
  (void)co_await shield(never.wait());
}

TEST(SimWorld, gives_its_workers_the_options_of_the_program) {
  int stuck = 0;
  sim::WorldOptions options;
  options.worker.stop_patience = 2h;
  options.worker.on_stuck = [&stuck](const TaskDump&) { ++stuck; };
  sim::World world(options);
  const auto leaves_one = []() -> Task<void> {
    spawn(waits_in_a_shield()).detach();
    co_return;
  };
  EXPECT_EQ(world.run(leaves_one()).failure, "");
  EXPECT_EQ(stuck, 1);
  EXPECT_GE(world.elapsed(), 2h);
}

Task<void> waits_for_ever() {
  Event never;
  (void)co_await never.wait();
}

TEST(SimWorld, a_deadlock_is_reported_with_who_waits_where) {
  sim::World world({.seed = 77});
  const sim::RunReport report = world.run(waits_for_ever());
  EXPECT_NE(report.failure.find("deadlock"), std::string::npos);
  EXPECT_NE(report.failure.find("world_test.cpp"), std::string::npos) << report.failure;
  EXPECT_EQ(report.seed, 77U);
}

Task<void> spins() {
  for (;;) {
    const Result<void> slept = co_await sleep_for(1ms);
    if (!slept) break;
  }
}

TEST(SimWorld, a_program_that_does_not_end_is_reported) {
  sim::World world({.most_turns = 1'000});
  EXPECT_NE(world.run(spins()).failure.find("no end after 1000 turns"), std::string::npos);
}

Task<int> worker_number(sim::World& world) {
  for (std::size_t i = 0; i < world.pool().size(); ++i) {
    if (Worker::current() == &world.worker(i)) co_return static_cast<int>(i);
  }
  co_return -1;
}

Task<void> visits_all(sim::World& world, std::vector<int>& visited) {
  for (std::size_t i = 0; i < world.pool().size(); ++i) {
    auto there = world.worker(i).spawn(worker_number(world));
    const int number = co_await std::move(there).value();
    visited.push_back(number);
  }
}

TEST(SimWorld, workers_post_to_each_other) {
  sim::World world({.workers = 3});
  std::vector<int> visited;
  EXPECT_EQ(world.run(visits_all(world, visited)).failure, "");
  EXPECT_EQ(visited, (std::vector<int>{0, 1, 2}));
}

Task<void> waits_for(SharedEvent& event) { (void)co_await event.wait(); }

TEST(SimWorld, a_function_of_the_test_posts_as_another_thread_would) {
  sim::World world;
  SharedEvent event;
  world.after(5s, [&event] { event.set(); });
  EXPECT_EQ(world.run(waits_for(event)).failure, "");
  EXPECT_GE(world.elapsed(), 5s);
}

TEST(SimWorld, an_exception_of_such_a_function_comes_out_of_the_run) {
  sim::World world;
  SharedEvent never;
  world.after(5s, [] { throw std::runtime_error("it cannot post"); });
  EXPECT_THROW((void)world.run(waits_for(never)), std::runtime_error);
  EXPECT_EQ(world.open_descriptors(), 0U);
}

TEST(SimWorld, such_an_exception_comes_out_of_a_plain_main_too) {
  sim::World world;
  SharedEvent never;
  world.after(5s, [] { throw std::runtime_error("it cannot post"); });
  const auto main = [&] { sync_wait(world.worker().spawn(waits_for(never)).value()); };
  EXPECT_THROW((void)world.run(main), std::runtime_error);
}

Task<int> answer() { co_return 42; }

TEST(SimWorld, a_plain_thread_waits_with_sync_wait) {
  sim::World world({.workers = 2});
  int got = 0;
  const sim::RunReport report = world.run([&world, &got] {
    auto spawned = world.worker(1).spawn(answer());
    got = sync_wait(std::move(spawned).value());
  });
  EXPECT_EQ(report.failure, "");
  EXPECT_EQ(got, 42);
}

TEST(SimWorldDeathTest, a_plain_thread_that_would_block_for_ever_is_told) {
  sim::World world;
  SharedEvent event;
  EXPECT_DEATH(event.wait_blocking(), "a thread with a simulated world would block for ever");
  EXPECT_DEATH((void)world.worker().dump_tasks(), "dump a worker of it in one of its own tasks");
}

Task<void> leaks(std::optional<Pipe>& left) {
  Result<Pipe> pipe = Pipe::create();
  if (pipe) left.emplace(std::move(*pipe));
  co_return;
}

TEST(SimWorld, a_descriptor_that_is_left_open_is_reported) {
  sim::World world;
  std::optional<Pipe> left;
  EXPECT_EQ(world.run(leaks(left)).failure, "2 descriptors are still open\n");
}

TEST(SimWorld, a_descriptor_that_outlives_its_world_is_none_of_the_next_one) {
  std::optional<Pipe> left, other;
  {
    sim::World world;
    EXPECT_NE(world.run(leaks(left)).failure, "");
  }
  sim::World next;
  EXPECT_NE(next.run(leaks(other)).failure, "");
  const std::size_t open = next.open_descriptors();
  left.reset();
  EXPECT_EQ(next.open_descriptors(), open);
  other.reset();
  EXPECT_EQ(next.open_descriptors(), open - 2);
}

#ifdef NDEBUG
TEST(SimWorld, without_its_world_a_descriptor_is_bad) {
  EXPECT_EQ(os::close(os::first_simulated), -1);
  EXPECT_EQ(errno, EBADF);
}
#else
TEST(SimWorldDeathTest, without_its_world_a_descriptor_is_a_mistake) {
  EXPECT_DEATH(os::close(os::first_simulated), "a simulated descriptor is used in its world");
}
#endif

TEST(SimWorldDeathTest, runs_one_program) {
  const auto runs_twice = [] {
    sim::World world;
    (void)world.run(ends_at_once());
    (void)world.run(ends_at_once());
  };
  EXPECT_DEATH(runs_twice(), "a world runs one program");
}

TEST(SimWorldDeathTest, is_destroyed_before_those_that_are_older) {
  const auto in_the_wrong_order = [] {
    auto older = std::make_unique<sim::World>(), newer = std::make_unique<sim::World>();
    older.reset();
    newer.reset();
  };
  EXPECT_DEATH(in_the_wrong_order(), "the newest one first");
}

TEST(SimWorld, without_turns_with_faults_has_none) {
  sim::World world({.faults = sim::Faults::all(1), .turns_with_faults = 0});
  EXPECT_EQ(world.run(ends_at_once()).faults.hits(), 0U);
}

TEST(SimWorldDeathTest, is_not_entered_by_another_thread) {
  const auto posts_from_outside = [] {
    sim::World world;
    std::thread([&world] { (void)world.worker().spawn(ends_at_once()); }).join();
  };
  EXPECT_DEATH(posts_from_outside(), "another thread posts to a worker of a simulated world");
}

// The worker that a thread posts to here is awake, so it has not to be woken.
Task<void> starts_a_thread_that_posts(Worker& worker) {
  std::thread([&worker] { (void)worker.spawn(ends_at_once()); }).join();
  co_return;
}

TEST(SimWorldDeathTest, is_not_entered_by_another_thread_while_its_worker_runs) {
  const auto posts_from_outside = [] {
    // Builds with checks look at each post, and the others at those whose times are kept.
    (void)trace::start({.level = trace::Level::hist, .file = {}});
    sim::World world;
    (void)world.run(starts_a_thread_that_posts(world.worker()));
  };
  EXPECT_DEATH(posts_from_outside(), "another thread posts to a worker of a simulated world");
}

// ---- a real worker on the thread of a world ----

TEST(SimWorld, does_not_answer_what_the_process_remembers_of_its_kernel) {
  const sim::World world;
  Worker worker({.kernel = &emulated_kernel()});
  bool has_socket_options = false;
  const Result<void> ran = worker.run([&has_socket_options](Worker& self) {
    has_socket_options = here::capabilities().has(Feature::socket_options);
    self.request_stop();
  });
  EXPECT_TRUE(ran.has_value());
  EXPECT_TRUE(has_socket_options);
}

// ---- the seed decides ----

Task<void> ping(sim::World& world, std::size_t rounds) {
  for (std::size_t i = 0; i < rounds; ++i) {
    auto there = world.worker(i % world.pool().size()).spawn(answer());
    (void)co_await std::move(there).value();
    (void)co_await async_nop();
    (void)co_await sleep_for(std::chrono::microseconds(i));
  }
}

sim::RunReport run_ping(std::uint64_t seed) {
  sim::World world({.seed = seed, .workers = 3, .faults = sim::Faults::swarm(seed)});
  return world.run(ping(world, 30));
}

TEST(SimWorld, the_same_seed_gives_the_same_run) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const sim::RunReport first = run_ping(seed);
    const sim::RunReport again = run_ping(seed);
    EXPECT_EQ(first.failure, "") << "seed " << seed;
    EXPECT_EQ(first.hash, again.hash) << "seed " << seed;
    EXPECT_EQ(first.operations, again.operations);
  }
}

TEST(SimWorld, another_seed_gives_another_run) { EXPECT_NE(run_ping(1).hash, run_ping(2).hash); }

}  // namespace
}  // namespace corering
