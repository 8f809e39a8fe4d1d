/// crash_test.cpp — crash_test SEEDS: does a log keep what it promised when the power goes off? Tried in
/// simulated worlds, one for each seed.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>

using namespace corering;

/// The program under test: it appends lines, and says of each when it is safe.
static Task<void> keep_log(std::size_t& safe) {
  constexpr OpenOptions writing{.write = true};
  const Result<File> log = co_await File::open("/log", writing);
  if (!log) co_return;
  for (std::size_t i = 0; i < 20; ++i) {
    const Result<void> written = co_await log->write_all_at("line\n", i * 5);
    if (!written) break;
    const Result<void> synced = co_await async_fsync(log->fd());  // try it without this line
    if (!synced) break;
    safe = i + 1;
  }
}

/// Returns true if every line that was called safe is there after a crash.
static bool keeps_its_promise(std::uint64_t seed) {
  sim::Disk disk;
  disk.put("/log", "");
  sim::Faults faults;
  faults[sim::Fault::short_write] = {.one_in = 5, .budget = 100};
  faults[sim::Fault::lost_unsynced] = {.one_in = 2, .budget = 100};
  sim::World world({.seed = seed, .faults = faults, .disk = &disk, .power_cut_after = 1 + seed % 40});
  std::size_t safe = 0;
  const sim::RunReport report = world.run(keep_log(safe));
  (void)disk.crash(seed, faults);
  return report.is_good() && disk.content("/log").size() / 5 >= safe;
}

int main(int count, char** arguments) {
  const std::uint64_t seeds = count == 2 ? std::strtoull(arguments[1], nullptr, 10) : 0;
  if (seeds == 0) return std::fputs("usage: crash_test SEEDS\n", stderr), 2;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    if (keeps_its_promise(seed)) continue;
    std::printf("seed %llu: a line that was promised is gone\n", static_cast<unsigned long long>(seed));
    return 1;
  }
  std::printf("%llu crashes, and every promise was kept\n", static_cast<unsigned long long>(seeds));
}
