/// sim.cpp — who has the next turn, when time jumps, and how a run ends.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/core/task_dump.hpp>
#include <corering/sim/sim.hpp>

#include "engine/frame_memory.hpp"
#include "engine/loop.hpp"
#include "sim/file_system.hpp"
#include "sim/sim_kernel.hpp"

namespace corering::sim {
namespace {

struct NoWorld {};  // thrown where the world cannot go on

WorkerPoolOptions pool_options(const WorldOptions& wanted, SimKernel& kernel) {
  WorkerPoolOptions options{.workers = std::max<std::size_t>(wanted.workers, 1), .worker = wanted.worker};
  options.worker.kernel = &kernel;
  options.worker.sq_entries = 32;
  options.worker.cq_entries = 128;
  options.worker.name = "sim";
  return options;
}

}  // namespace

struct World::Parts final : System::Driver, ReadyOrder, FrameMemory {
  explicit Parts(const WorldOptions& wanted)
      : options(wanted),
        disk(wanted.disk != nullptr ? *wanted.disk : own_disk),
        system(wanted.seed, wanted.faults, disk.files()),
        kernel(system),
        before(enter()),
        pool(pool_options(wanted, kernel)) {}

  /// From now on the library asks the simulated system.
  Outside* enter() noexcept {
    if (options.turns_with_faults == 0) system.end_faults();
    (void)kernel.known_capabilities();
    system.set_kernel(kernel);
    return os::set_outside(&system);
  }

  void start();
  void begin_run();
  void wait_for(bool (*has_come)(const void*), const void* what) noexcept override;
  void go_on_until(bool (*has_come)(const void*), const void* what);
  [[noreturn]] void give_up() noexcept;
  void step();
  void turn(std::size_t index);
  void arrange(std::span<std::coroutine_handle<>> ready) noexcept override;
  [[nodiscard]] bool is_there() noexcept override { return !system.strikes(Fault::no_memory); }
  [[nodiscard]] bool wants_turn(std::size_t index) const noexcept;
  void let_time_pass();
  void stop();
  [[nodiscard]] std::string state_of_workers();
  [[nodiscard]] RunReport report() const;
  [[nodiscard]] RunReport end_of_run();
  void run_outside(std::move_only_function<void()>& function);

  WorldOptions options;
  Disk own_disk;
  Disk& disk;
  System system;
  SimKernel kernel;
  Outside* before;
  WorkerPool pool;
  std::vector<bool> has_ended;
  std::vector<std::size_t> runnable;
  std::uint64_t turns = 0;
  std::uint64_t most_turns = options.most_turns;
  bool has_run = false;
  bool main_has_ended = false;
  bool power_is_off = false;
  std::exception_ptr thrown;  // the first one of main, or of a function of after()
  std::size_t own_descriptors = 0;
  std::size_t first_own = 0;  // so many they were at the start
  std::string failure;
};

void World::Parts::start() {
  has_ended.resize(pool.size());
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const Result<int> opened = pool[i].descriptor();
    CORERING_ASSERT(opened.has_value(), "a simulated worker starts");
    // Without the fault the loops take their usual way, on which they do not look outside before each round.
    if (system.faults()[Fault::shuffled_ready].one_in != 0) pool[i].loop().set_order(*this);
  }
  first_own = own_descriptors = system.open_descriptors();
  system.set_driver(this);
  system.cut_power_after(options.power_cut_after);
}

void World::Parts::begin_run() {
  CORERING_ASSERT(!std::exchange(has_run, true), "a world runs one program: make a new one for the next");
}

// ---- turns ----

bool World::Parts::wants_turn(std::size_t index) const noexcept {
  if (has_ended[index]) return false;
  const SimDoorbell& bell = *kernel.doorbells()[index];
  if (bell.rings_at().value_or(INT64_MAX) <= system.since_begin()) return true;
  return static_cast<const RingFile&>(**system.find(bell.descriptor())).world->has_something();
}

void World::Parts::turn(std::size_t index) {
  CORERING_ASSERT(!has_ended[index], "a worker that has ended has no turn");
  if (++turns == options.turns_with_faults) system.end_faults();
  system.set_worker(index);
  system.note(Happening::Kind::turn);
  system.pass(static_cast<std::int64_t>(200 + system.random().below(2'000)));
  if (system.strikes(Fault::clock_step)) {
    constexpr std::int64_t most = 3600LL * 1'000'000'000;  // an hour, to either side
    system.step_wall_clock(static_cast<std::int64_t>(system.draw(Fault::clock_step, 2 * most)) - most);
  }
  std::optional<FrameMemory::Asked> asked;
  if (system.faults()[Fault::no_memory].one_in != 0) asked.emplace(*this);
  const Result<bool> goes_on = pool[index].turn();
  has_ended[index] = !goes_on.value_or(false);
  if (disk.files().is_off() && !std::exchange(power_is_off, true)) pool.request_stop();
}

// One that has been ready for long may be the last, and one that has just become ready the first.
void World::Parts::arrange(std::span<std::coroutine_handle<>> ready) noexcept {
  if (ready.size() < 2 || !system.strikes(Fault::shuffled_ready)) return;
  for (std::size_t i = ready.size() - 1; i > 0; --i)
    std::swap(ready[i], ready[system.draw(Fault::shuffled_ready, i + 1)]);
}

// Which of those that can run does run is the seed's choice. One that has nothing to do may be woken, and one
// that has may be kept waiting.
void World::Parts::step() {
  (void)system.happen();
  runnable.clear();
  for (std::size_t i = 0; i < pool.size(); ++i) {
    const bool spurious = !has_ended[i] && system.strikes(Fault::spurious_wakeup);
    if (spurious || wants_turn(i)) runnable.push_back(i);
  }
  if (runnable.empty()) return let_time_pass();
  if (system.strikes(Fault::late_wakeup))
    system.pass(static_cast<std::int64_t>(system.draw(Fault::late_wakeup, 10'000'000)));
  turn(runnable[runnable.size() == 1 ? 0 : system.random().below(runnable.size())]);
}

void World::Parts::let_time_pass() {
  std::int64_t next = system.next_plan().value_or(INT64_MAX);
  for (std::size_t i = 0; i < pool.size(); ++i) {
    if (!has_ended[i]) next = std::min(next, kernel.doorbells()[i]->rings_at().value_or(INT64_MAX));
  }
  if (next == INT64_MAX) {
    failure = "deadlock: nothing can run, and no time will change that\n" + state_of_workers();
    throw NoWorld();
  }
  system.jump_to(std::max(next, system.since_begin()));
}

// Whoever waits has frames that refer to each other, so nothing can be thrown through it.
void World::Parts::wait_for(bool (*has_come)(const void*), const void* what) noexcept {
  try {
    go_on_until(has_come, what);
  } catch (const NoWorld&) {
    give_up();
  }
}

void World::Parts::give_up() noexcept {
  std::fprintf(stderr, "corering: a simulated world (seed %llu) cannot go on: %s",
               static_cast<unsigned long long>(options.seed), failure.c_str());
  std::abort();
}

void World::Parts::go_on_until(bool (*has_come)(const void*), const void* what) {
  while (!has_come(what)) {
    if (turns >= most_turns) {
      failure = "no end after " + std::to_string(turns) + " turns\n" + state_of_workers();
      throw NoWorld();
    }
    step();
  }
}

std::string World::Parts::state_of_workers() {
  std::string text;
  for (std::size_t i = 0; i < pool.size(); ++i) text += dump_of(pool[i].loop(), pool[i].name()).to_string();
  return text;
}

void World::Parts::run_outside(std::move_only_function<void()>& function) {
  try {
    function();
  } catch (...) {
    if (thrown == nullptr) thrown = std::current_exception();
    pool.request_stop();
  }
}

RunReport World::Parts::end_of_run() {
  if (thrown != nullptr) std::rethrow_exception(std::exchange(thrown, nullptr));
  return report();
}

// ---- the end ----

void World::Parts::stop() {
  system.end_faults();
  most_turns = turns + options.most_turns;
  pool.request_stop();
  const auto all_ended = [](const void* self) {
    return std::ranges::all_of(static_cast<const Parts*>(self)->has_ended, [](bool ended) { return ended; });
  };
  go_on_until(all_ended, this);
  own_descriptors = 0;  // the workers have closed theirs
  system.machine().forget_calls();
  const std::size_t left = system.open_descriptors();
  if (left > 0 && failure.empty()) failure = std::to_string(left) + " descriptors are still open\n";
}

RunReport World::Parts::report() const {
  RunReport told{.failure = failure, .seed = options.seed, .hash = system.log().hash(), .turns = turns};
  told.operations = system.operations();
  told.power_was_cut = power_is_off;
  told.faults = system.faults();
  told.descriptors_of_workers = static_cast<std::int32_t>(first_own);
  told.newest = system.log().newest();
  return told;
}

// ---- the world ----

World::World(const WorldOptions& options) : parts_(std::make_unique<Parts>(options)) { parts_->start(); }

World::~World() {
  try {
    parts_->stop();
  } catch (const NoWorld&) {
    parts_->give_up();
  }
  Outside* const before = parts_->before;
  CORERING_ASSERT(os::outside() == &parts_->system,
                  "worlds are destroyed on their thread, and the newest one first");
  parts_.reset();
  os::set_outside(before);
}

WorkerPool& World::pool() noexcept { return parts_->pool; }

namespace {

Task<void> run_main(Task<void> main, bool& has_ended, std::exception_ptr& thrown) {
  try {
    co_await std::move(main);
  } catch (...) {
    if (thrown == nullptr) thrown = std::current_exception();
  }
  has_ended = true;
}

}  // namespace

RunReport World::run(Task<void> main) {
  parts_->begin_run();
  auto spawned = worker(0).spawn(run_main(std::move(main), parts_->main_has_ended, parts_->thrown));
  CORERING_ASSERT(spawned.has_value(),
                  "the workers of a world take its program, unless they were stopped before");
  spawned->detach();
  const auto has_ended = [](const void* what) { return *static_cast<const bool*>(what); };
  try {
    parts_->go_on_until(has_ended, &parts_->main_has_ended);
  } catch (const NoWorld&) {
  }
  try {
    parts_->stop();
  } catch (const NoWorld&) {
    parts_->give_up();  // the frames of who still waits cannot be taken down
  }
  return parts_->end_of_run();
}

RunReport World::run(const std::function<void()>& main) {
  parts_->begin_run();
  try {
    main();
    parts_->stop();
  } catch (const NoWorld&) {
  }
  return parts_->end_of_run();
}

void World::after(AnyDuration delay, std::move_only_function<void()> function) {
  Parts& parts = *parts_;
  parts.system.machine().call_after(
      Duration(delay).count(),
      [&parts, function = std::move(function)]() mutable { parts.run_outside(function); });
}

void World::name_host(const std::string& host, std::vector<std::string> addresses) {
  parts_->system.machine().name_host(host, std::move(addresses));
}
void World::send_signal(int signal) { parts_->system.machine().send_signal(signal); }
void World::on_spawn(std::function<std::optional<ChildPlan>(const std::vector<std::string>&)> plan) {
  parts_->system.machine().on_spawn(std::move(plan));
}

RunReport World::report() const { return parts_->report(); }
void World::end_faults() noexcept { parts_->system.end_faults(); }
void World::note(std::int32_t number) noexcept { parts_->system.note(Happening::Kind::note, number); }
std::uint64_t World::operations() const noexcept { return parts_->system.operations(); }
std::chrono::nanoseconds World::elapsed() const noexcept {
  return std::chrono::nanoseconds(parts_->system.since_begin());
}
std::uint64_t World::draw(std::uint64_t end) noexcept { return parts_->system.random().below(end); }
std::size_t World::open_descriptors() const noexcept {
  return parts_->system.open_descriptors() - parts_->own_descriptors;
}

}  // namespace corering::sim
