/// stress_test.cpp — plans thrown with dice, on three workers that are stopped in the middle of them.
///
/// A seed decides all that is done; only the threads' timing differs from run to run. The amount of work is
/// fixed. CORERING_STRESS_SEED repeats a seed that has failed, and CORERING_STRESS_ROUNDS asks for more.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <poll.h>
#include <stop_token>
#include <string>
#include <sys/eventfd.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

/// SplitMix64: small, copied freely, and the same everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}
  [[nodiscard]] std::uint64_t next() noexcept {
    std::uint64_t mixed = state_ += 0x9e37'79b9'7f4a'7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
    return mixed ^ mixed >> 31;
  }
  [[nodiscard]] std::size_t below(std::size_t count) noexcept { return next() % count; }
  [[nodiscard]] bool one_in(std::size_t count) noexcept { return below(count) == 0; }
  [[nodiscard]] Duration at_most(Duration longest) noexcept {
    return Duration(static_cast<Duration::rep>(below(static_cast<std::size_t>(longest.count()))));
  }
  [[nodiscard]] Dice another() noexcept { return Dice(next()); }

 private:
  std::uint64_t state_;
};

constexpr std::size_t workers_of_a_world = 3;

struct World {
  explicit World(Dice& dice) {
    for (auto& worker : workers) {
      WorkerOptions options;
      options.sq_entries = dice.one_in(3) ? 4 : 256;
      options.spin_before_sleep = dice.one_in(2) ? Duration(50us) : Duration::zero();
      options.stop_patience = 1min;
      worker = std::make_unique<Worker>(std::move(options));
      const Result<void> started = worker->start();
      EXPECT_TRUE(started) << started.error().message();
    }
  }
  [[nodiscard]] Worker& any(Dice& dice) const noexcept { return *workers[dice.below(workers.size())]; }
  [[nodiscard]] std::size_t number_of(const Worker* worker) const noexcept {
    std::size_t number = 0;
    while (workers[number].get() != worker) ++number;
    return number;
  }

  BlockingPool pool{{.max_threads = 2}};
  SharedChannel<int> channel{4};
  Fd never_ready{::eventfd(0, EFD_CLOEXEC)};
  std::stop_source stop;
  std::atomic<long> alive = 0, accepted = 0, ended = 0;  // plans
  std::atomic<long> sent = 0, received = 0;
  std::atomic<int> crowds = 0;  // how often two were inside one mutex
  std::array<Mutex, workers_of_a_world> mutexes;
  std::array<int, workers_of_a_world> inside{};
  std::array<std::unique_ptr<Worker>, workers_of_a_world> workers;  // the last to be made, the first to end
};

/// Counts what is alive, also what is moved.
class Witness {
 public:
  explicit Witness(World& world) noexcept : world_(world) { ++world_.alive; }
  Witness(const Witness& other) noexcept : Witness(other.world_) {}
  ~Witness() { --world_.alive; }

 private:
  World& world_;
};

using Plan = Task<void> (*)(World& world, Dice dice, int depth);
Task<void> act(World& world, Dice dice, int depth);

// ---- plans that wait for one thing ----

Task<void> naps(World&, Dice dice, int) { (void)co_await sleep_for(dice.at_most(600us)); }
Task<void> enters(World&, Dice, int) { (void)co_await async_nop(); }
Task<void> enters_elsewhere(World& world, Dice dice, int) { (void)co_await async_nop().on(world.any(dice)); }
Task<void> naps_elsewhere(World& world, Dice dice, int) {
  Worker& there = world.any(dice);
  (void)co_await sleep_for(dice.at_most(300us)).on(there);
}
Task<void> hops(World& world, Dice dice, int) {
  (void)co_await SwitchToWorker(world.any(dice));
  (void)co_await sleep_for(dice.at_most(300us));
}
Task<void> waits_until_it_is_cancelled(World& world, Dice dice, int) {
  (void)co_await with_timeout(dice.at_most(2ms), async_poll(world.never_ready, POLLIN));
}
Task<void> cannot_be_cancelled(World&, Dice dice, int) {
  (void)co_await shield(sleep_for(dice.at_most(300us)));
}
Task<void> chains(World&, Dice dice, int) {
  (void)co_await chain(async_nop(), async_timeout(dice.at_most(500us)), async_nop());
}
Task<void> leaves_the_worker_free(World& world, Dice, int) {
  const auto yields = [] { std::this_thread::yield(); };
  (void)co_await offload(world.pool, yields);
}
Task<void> sends(World& world, Dice dice, int) {
  const Result<void> sent = co_await with_timeout(dice.at_most(1ms), world.channel.send(1));
  if (sent) ++world.sent;
}
Task<void> receives(World& world, Dice dice, int) {
  const Result<int> received = co_await with_timeout(dice.at_most(1ms), world.channel.receive());
  if (received) ++world.received;
}
Task<void> is_alone(World& world, Dice dice, int) {
  const std::size_t number = world.number_of(Worker::current());
  const Result<Mutex::Guard> mine = co_await world.mutexes[number].lock();
  if (!mine) co_return;
  if (++world.inside[number] > 1) ++world.crowds;
  (void)co_await sleep_for(dice.at_most(100us));
  --world.inside[number];
}

// ---- plans made of plans ----

Task<void> in_time(World& world, Dice dice, int depth) {
  const Duration limit = dice.at_most(800us);
  (void)co_await with_timeout(limit, act(world, dice.another(), depth));
}
Task<void> both(World& world, Dice dice, int depth) {
  [[maybe_unused]] const auto ends =
      co_await when_all(act(world, dice.another(), depth), act(world, dice.another(), depth));
}
Task<void> the_first(World& world, Dice dice, int depth) {
  [[maybe_unused]] const auto first =
      co_await when_any(act(world, dice.another(), depth), act(world, dice.another(), depth));
}
Task<void> a_group(World& world, Dice dice, int depth) {
  auto body = [&world, dice, depth](TaskGroup& group) mutable -> Task<void> {
    for (int i = 0; i < 3; ++i) group.spawn(act(world, dice.another(), depth));
    if (dice.one_in(3)) group.cancel();
    if (dice.one_in(2)) (void)co_await SwitchToWorker(world.any(dice));
  };
  (void)co_await with_group(std::move(body));
}
Task<void> until_the_stop(World& world, Dice dice, int depth) {
  co_await with_stop_token(world.stop.get_token(), act(world, dice.another(), depth));
}
Task<void> a_child(World& world, Dice dice, int depth) {
  JoinHandle<void> child = spawn(act(world, dice.another(), depth));
  if (dice.one_in(3)) child.request_cancel();
  if (dice.one_in(4)) {
    child.detach();
    co_return;
  }
  co_await std::move(child);
}
Task<void> on_another_worker(World& world, Dice dice, int depth) {
  (void)co_await SwitchToWorker(world.any(dice));
  co_await act(world, dice.another(), depth);
}

constexpr Plan leaves[] = {naps,
                           enters,
                           enters_elsewhere,
                           naps_elsewhere,
                           hops,
                           waits_until_it_is_cancelled,
                           cannot_be_cancelled,
                           chains,
                           leaves_the_worker_free,
                           sends,
                           receives,
                           is_alone};
constexpr Plan branches[] = {in_time, both, the_first, a_group, until_the_stop, a_child, on_another_worker};

Task<void> act(World& world, Dice dice, int depth) {
  const Witness witness(world);
  const Plan plan =
      depth == 0 ? leaves[dice.below(std::size(leaves))] : branches[dice.below(std::size(branches))];
  co_await plan(world, dice.another(), depth - 1);
}

// ---- who throws the dice ----

Task<void> whole_plan(World& world, Witness, Dice dice) {
  co_await act(world, dice, 1 + static_cast<int>(dice.one_in(2)));
  ++world.ended;
}
Task<void> collects(std::vector<JoinHandle<void>> handles, Dice dice) {
  for (JoinHandle<void>& handle : handles) {
    if (dice.one_in(3)) handle.request_cancel();
    if (dice.one_in(4)) {
      handle.detach();
    } else {
      co_await std::move(handle);
    }
  }
}

void spawn_plans(World& world, Dice dice, int plans, bool stops_one) {
  std::vector<JoinHandle<void>> kept;
  for (int i = 0; i < plans; ++i) {
    if (stops_one && i == plans / 2) world.any(dice).request_stop();
    auto handle = world.any(dice).spawn(whole_plan(world, Witness(world), dice.another()));
    if (!handle) continue;
    ++world.accepted;
    if (dice.one_in(5)) handle->request_cancel();
    if (dice.one_in(7)) {
      handle->detach();
    } else if (dice.one_in(9)) {
      sync_wait(std::move(*handle));
    } else {
      kept.push_back(std::move(*handle));
    }
  }
  auto collector = world.any(dice).spawn(collects(std::move(kept), dice.another()));
  if (collector) collector->detach();
}

void run_a_world(Dice dice, int plans) {
  World world(dice);
  const bool stops_one = dice.one_in(2);
  {
    std::vector<std::jthread> spawners;
    for (int i = 0; i < 3; ++i) {
      spawners.emplace_back([&world, own = dice.another(), plans, stops_one, i] {
        spawn_plans(world, own, plans, stops_one && i == 0);
      });
    }
  }
  world.stop.request_stop();
  for (auto& worker : world.workers) worker->request_stop();
  for (auto& worker : world.workers) worker->join();
  EXPECT_EQ(world.alive, 0);
  EXPECT_EQ(world.ended, world.accepted);
  EXPECT_EQ(world.crowds, 0);
  while (world.channel.try_receive()) ++world.received;
  EXPECT_EQ(world.received, world.sent);
}

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

TEST(Stress, plans_thrown_with_dice_all_end_and_leave_nothing) {
  const int descriptors = test::open_descriptors();
  const std::uint64_t seed = number_from("CORERING_STRESS_SEED", 2026);
  const std::uint64_t rounds = number_from("CORERING_STRESS_ROUNDS", test::under_sanitizer ? 40 : 150);
  std::printf("seeds %llu and the next, %llu rounds\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(rounds));
  std::fflush(stdout);  // also if the program ends in the middle
  for (std::uint64_t round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("CORERING_STRESS_SEED=" + std::to_string(seed + round) + " CORERING_STRESS_ROUNDS=1");
    run_a_world(Dice(seed + round), 60);
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

}  // namespace
}  // namespace corering
