/// disk_test.cpp — files in a simulated world, and what is left of them when the power goes off.
#include <algorithm>
#include <array>
#include <bit>
#include <fcntl.h>
#include <span>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

Task<void> writes(std::string path, std::string text, bool syncs) {
  Result<File> file = co_await File::create(path);
  if (!file) co_return;
  (void)co_await file->write_all_at(text, 0);
  if (syncs) (void)co_await async_fsync(file->fd());
  (void)co_await file->close();
}

Task<void> overwrites(std::string path, std::string text, std::uint64_t at) {
  Result<File> file = co_await File::open(path, {.write = true});
  if (!file) co_return;
  (void)co_await file->write_all_at(text, at);
  (void)co_await file->close();
}

Task<void> keeps_a_log(std::size_t& safe, bool forgets_to_sync);

Task<void> reads(std::string path, Result<std::string>& text) { text = co_await read_to_string(path); }

TEST(SimDisk, what_is_written_is_read_in_the_next_world) {
  sim::Disk disk;
  sim::World first({.disk = &disk});
  EXPECT_EQ(first.run(writes("/tmp/a", "hello", false)).failure, "");
  EXPECT_EQ(disk.content("/tmp/a"), "hello");
  sim::World second({.disk = &disk});
  Result<std::string> text;
  EXPECT_EQ(second.run(reads("/tmp/a", text)).failure, "");
  EXPECT_EQ(text, "hello");
}

Task<void> uses_names(std::vector<std::string>& errors) {
  const auto expect = [&errors](const char* what, const Result<void>& result, int error) {
    const bool is_as_told = error == 0 ? result.has_value() : !result && result.error().value() == error;
    if (!is_as_told) errors.emplace_back(what);
  };
  expect("mkdir", co_await async_mkdirat(AT_FDCWD, "/d", 0777), 0);
  expect("mkdir again", co_await async_mkdirat(AT_FDCWD, "/d/", 0777), EEXIST);
  co_await writes("/d/a", "x", false);
  expect("a directory that is not empty", co_await async_unlinkat(AT_FDCWD, "/d", AT_REMOVEDIR), ENOTEMPTY);
  expect("link", co_await async_linkat(AT_FDCWD, "d/a", AT_FDCWD, "/d/b"), 0);
  expect("rename", co_await async_renameat(AT_FDCWD, "/d/../d/a", AT_FDCWD, "/tmp/a"), 0);
  expect("a name that is gone", co_await async_unlinkat(AT_FDCWD, "/d/a", 0), ENOENT);
  expect("unlink", co_await async_unlinkat(AT_FDCWD, "/d/b", 0), 0);
  expect("rmdir", co_await async_unlinkat(AT_FDCWD, "/d", AT_REMOVEDIR), 0);
}

TEST(SimDisk, names_are_made_linked_renamed_and_removed) {
  sim::Disk disk;
  sim::World world({.disk = &disk});
  std::vector<std::string> errors;
  EXPECT_EQ(world.run(uses_names(errors)).failure, "");
  EXPECT_EQ(errors, std::vector<std::string>());
  EXPECT_EQ(disk.content("/tmp/a"), "x");
  EXPECT_FALSE(disk.has("/d"));
}

/// A crash in which this fault always strikes.
sim::Disk::Loss crash(sim::Disk& disk, sim::Fault fault = sim::Fault::lost_unsynced) {
  sim::Faults faults;
  faults[fault] = {.one_in = 1, .budget = 1000};
  return disk.crash(1, faults);
}

TEST(SimDisk, a_crash_loses_what_was_not_synced) {
  sim::Disk disk;
  disk.put("/tmp/synced", "");
  disk.put("/tmp/not", "old");
  sim::World world({.disk = &disk});
  const auto both = []() -> Task<void> {
    co_await writes("/tmp/synced", "new", true);
    co_await writes("/tmp/not", "new", false);
  };
  EXPECT_EQ(world.run(both()).failure, "");
  const sim::Disk::Loss loss = crash(disk);
  EXPECT_EQ(loss.lost, 2U) << "the truncation, and the write";
  EXPECT_EQ(disk.content("/tmp/synced"), "new");
  EXPECT_EQ(disk.content("/tmp/not"), "old");
}

TEST(SimDisk, a_new_name_is_lost_with_its_directory) {
  sim::Disk disk;
  sim::World world({.disk = &disk});
  EXPECT_EQ(world.run(writes("/tmp/new", "content", true)).failure, "");
  EXPECT_EQ(crash(disk).directories, 1U);
  EXPECT_FALSE(disk.has("/tmp/new"));
}

Task<void> syncs_directory(std::string path) {
  Result<Fd> directory = co_await async_openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
  if (!directory) co_return;
  (void)co_await async_fsync(*directory);
  (void)co_await async_close(std::move(*directory));
}

Task<void> makes_directory(std::string path) {
  const Result<void> made = co_await async_mkdirat(AT_FDCWD, path.c_str(), 0777);
  EXPECT_TRUE(made.has_value());
}

Task<void> removes(std::string path, int flags) {
  const Result<void> removed = co_await async_unlinkat(AT_FDCWD, path.c_str(), flags);
  EXPECT_TRUE(removed.has_value());
}

TEST(SimDisk, a_lost_directory_takes_along_what_was_synced_in_it) {
  sim::Disk disk;
  sim::World world({.disk = &disk});
  const auto program = []() -> Task<void> {
    co_await makes_directory("/d");
    co_await writes("/d/f", "content", true);
    co_await syncs_directory("/d");
  };
  EXPECT_EQ(world.run(program()).failure, "");
  EXPECT_EQ(crash(disk).directories, 1U);
  EXPECT_FALSE(disk.has("/d"));
  EXPECT_FALSE(disk.has("/d/f"));
}

TEST(SimDisk, names_are_kept_in_whatever_order_their_directories_were_synced) {
  sim::Disk disk;
  sim::World world({.disk = &disk});
  const auto program = []() -> Task<void> {
    co_await makes_directory("/d");
    co_await writes("/d/f", "content", true);
    co_await syncs_directory("/d");
    co_await syncs_directory("/");
  };
  EXPECT_EQ(world.run(program()).failure, "");
  EXPECT_EQ(crash(disk).directories, 0U);
  EXPECT_EQ(disk.content("/d/f"), "content");
}

/// Makes /d/f, and removes both. Then it makes a new /d, which is empty.
Task<void> makes_directory_anew(bool syncs_first) {
  co_await makes_directory("/d");
  co_await writes("/d/f", "content", true);
  co_await syncs_directory("/d");
  if (syncs_first) co_await syncs_directory("/");
  co_await removes("/d/f", 0);
  co_await removes("/d", AT_REMOVEDIR);
  if (syncs_first) co_await syncs_directory("/");
  co_await makes_directory("/d");
  co_await syncs_directory("/");
}

TEST(SimDisk, a_crash_brings_nothing_back_from_a_removed_directory) {
  for (const bool syncs_first : {false, true}) {
    sim::Disk disk;
    sim::World world({.disk = &disk});
    EXPECT_EQ(world.run(makes_directory_anew(syncs_first)).failure, "");
    EXPECT_EQ(crash(disk).directories, 0U);
    EXPECT_TRUE(disk.has("/d"));
    EXPECT_FALSE(disk.has("/d/f")) << syncs_first;
  }
}

TEST(SimDisk, torn_and_misdirected_writes_are_told) {
  sim::Disk disk;
  disk.put("/tmp/f", std::string(4096, 'o'));
  sim::World world({.disk = &disk});
  const std::string text(2000, 'n');
  EXPECT_EQ(world.run(writes("/tmp/f", text, false)).failure, "");
  EXPECT_EQ(crash(disk, sim::Fault::torn_write).torn, 1U);
  EXPECT_LT(disk.content("/tmp/f").size(), text.size());
  EXPECT_EQ(disk.content("/tmp/f").size() % 512, 0U);
}

TEST(SimDisk, a_corrupted_write_has_one_other_bit_and_is_told) {
  const std::string text(700, 'n');
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::Disk disk;
    disk.put("/tmp/f", "");
    sim::World world({.disk = &disk});
    EXPECT_EQ(world.run(writes("/tmp/f", text, false)).failure, "");
    sim::Faults faults;
    faults[sim::Fault::corrupted_write] = {.one_in = 1, .budget = 1};
    EXPECT_EQ(disk.crash(seed, faults).corrupted, 1U);
    const std::string left = disk.content("/tmp/f");
    ASSERT_EQ(left.size(), text.size());
    int bits = 0;
    for (std::size_t i = 0; i < left.size(); ++i)
      bits += std::popcount(static_cast<unsigned>(left[i] ^ text[i]));
    EXPECT_EQ(bits, 1) << "seed " << seed;
  }
}

TEST(SimDisk, a_misdirected_write_hits_another_sector) {
  const std::string old(4096, 'o'), text(512, 'n');
  std::size_t moved = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::Disk disk;
    disk.put("/tmp/f", old);
    sim::World world({.disk = &disk});
    EXPECT_EQ(world.run(overwrites("/tmp/f", text, 2048)).failure, "");
    sim::Faults faults;
    faults[sim::Fault::misdirected_write] = {.one_in = 1, .budget = 1000};
    EXPECT_EQ(disk.crash(seed, faults).misdirected, 1U);
    EXPECT_EQ(faults[sim::Fault::misdirected_write].hits, 1U);
    const std::string left = disk.content("/tmp/f");
    const std::size_t at = left.find(text);
    EXPECT_EQ(at % 512, 0U) << "seed " << seed;
    EXPECT_EQ(std::ranges::count(left, 'n'), 512) << "seed " << seed;
    if (at != 2048) ++moved;
  }
  EXPECT_GT(moved, 25U);
}

TEST(SimDisk, after_a_power_cut_nothing_reaches_the_disk) {
  sim::Disk disk;
  disk.put("/tmp/log", "");
  sim::World world({.disk = &disk, .power_cut_after = 4});
  std::size_t safe = 0;
  const sim::RunReport report = world.run(keeps_a_log(safe, false));
  EXPECT_TRUE(report.power_was_cut);
  EXPECT_EQ(safe, 1U) << "the write and the sync of the second record were the third and the fourth change";
  EXPECT_EQ(disk.content("/tmp/log"), "1000000\n1000001\n");
}

// ---- a log that promises something ----

constexpr std::size_t record_size = 8;

/// Appends records, and says of each when it is safe.
Task<void> keeps_a_log(std::size_t& safe, bool forgets_to_sync) {
  Result<File> log = co_await File::open("/tmp/log", {.write = true});
  if (!log) co_return;
  for (std::size_t i = 0; i < 50; ++i) {
    std::string record = std::to_string(1'000'000 + i) + "\n";
    const Result<void> written = co_await log->write_all_at(record, i * record_size);
    if (!written) break;
    Result<void> synced;
    if (!forgets_to_sync) synced = co_await async_fsync(log->fd());
    if (!synced) break;
    safe = i + 1;
  }
  (void)co_await log->close();
}

std::size_t whole_records(const std::string& log) {
  std::size_t count = 0;
  while (log.substr(count * record_size, record_size) == std::to_string(1'000'000 + count) + "\n") ++count;
  return count;
}

/// How the operations end that come after four changes: a creation, a size, room, and a truncation.
Task<void> changes_sizes(std::vector<int>& errors) {
  const auto note = [&errors](const auto& result) { errors.push_back(result ? 0 : result.error().value()); };
  Result<Fd> file = co_await async_openat(AT_FDCWD, "/tmp/f", O_RDWR | O_CREAT, 0666);
  note(file);
  if (!file) co_return;
  note(co_await async_ftruncate(*file, 100));
  note(co_await async_fallocate(*file, 0, 0, 200));
  Result<Fd> again = co_await async_openat(AT_FDCWD, "/tmp/f", O_RDWR | O_TRUNC);
  note(again);
  struct statx status{};
  note(co_await async_statx(AT_FDCWD, "/tmp/f", 0, STATX_SIZE, status));
  note(co_await async_fadvise(*file, 0, 10, POSIX_FADV_NORMAL));
}

TEST(SimDisk, creation_and_sizes_count_as_changes_and_nothing_works_after_the_cut) {
  sim::Disk disk;
  sim::World world({.disk = &disk, .power_cut_after = 4});
  std::vector<int> errors;
  const auto program = [&errors]() -> Task<void> { co_await shield(changes_sizes(errors)); };
  EXPECT_TRUE(world.run(program()).power_was_cut);
  EXPECT_EQ(errors, (std::vector<int>{0, 0, 0, EIO, EIO, EIO}));
  EXPECT_EQ(disk.content("/tmp/f").size(), 200U);
}

Task<void> writes_in_sync(int flags) {
  const Result<Fd> file = co_await async_openat(AT_FDCWD, "/tmp/f", O_WRONLY | flags);
  if (!file) co_return;
  (void)co_await async_write(*file, std::as_bytes(std::span("safe", 4)), 0);
}

TEST(SimDisk, a_file_that_was_opened_for_it_syncs_each_write) {
  for (const int flags : {O_DSYNC, O_SYNC, 0}) {
    sim::Disk disk;
    disk.put("/tmp/f", "");
    sim::World world({.disk = &disk});
    EXPECT_EQ(world.run(writes_in_sync(flags)).failure, "");
    (void)crash(disk);
    EXPECT_EQ(disk.content("/tmp/f"), flags != 0 ? "safe" : "");
  }
}

Task<void> moves_to_another_directory(bool syncs) {
  (void)co_await async_mkdirat(AT_FDCWD, "/done", 0700);
  const Result<Fd> root = co_await async_openat(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
  if (root) (void)co_await async_fsync(*root);
  (void)co_await async_renameat(AT_FDCWD, "/tmp/f", AT_FDCWD, "/done/f");
  const Result<Fd> from = co_await async_openat(AT_FDCWD, "/tmp", O_RDONLY | O_DIRECTORY);
  if (from && syncs) (void)co_await async_fsync(*from);
}

// A journal has both halves of a rename, or none.
TEST(SimDisk, a_rename_across_directories_is_one_change) {
  int moved = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    sim::Disk disk;
    disk.put("/tmp/f", "text");
    sim::World world({.seed = seed, .disk = &disk});
    EXPECT_EQ(world.run(moves_to_another_directory(seed % 4 == 0)).failure, "");
    sim::Faults faults;
    faults[sim::Fault::lost_unsynced] = {.one_in = 2, .budget = 1000};
    (void)disk.crash(seed, faults);
    EXPECT_NE(disk.has("/tmp/f"), disk.has("/done/f")) << "seed " << seed;
    EXPECT_TRUE(seed % 4 != 0 || disk.has("/done/f")) << "it was synced in one of them";
    moved += disk.has("/done/f") ? 1 : 0;
  }
  EXPECT_GT(moved, 10);
  EXPECT_LT(moved, 40);
}

struct Outcome {
  std::size_t broken = 0;  ///< so many seeds have lost a record that was called safe
  std::size_t cut = 0;     ///< in so many the power went off
};

Outcome outcome_of(std::uint64_t seeds, bool forgets_to_sync) {
  Outcome outcome;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    sim::Faults faults = sim::Faults::swarm(seed);
    faults[sim::Fault::lost_unsynced] = {.one_in = 2, .budget = 1000};
    faults.forget(sim::Fault::misdirected_write);  // it hits old records, which only a checksum would notice
    sim::Disk disk;
    disk.put("/tmp/log", "");
    sim::World world({.seed = seed, .faults = faults, .disk = &disk, .power_cut_after = 1 + seed % 90});
    std::size_t safe = 0;
    const sim::RunReport report = world.run(keeps_a_log(safe, forgets_to_sync));
    EXPECT_EQ(report.failure, "") << "seed " << seed;
    if (report.power_was_cut) ++outcome.cut;
    (void)disk.crash(seed, faults);
    if (whole_records(disk.content("/tmp/log")) < safe) ++outcome.broken;
  }
  return outcome;
}

TEST(SimDisk, a_log_that_syncs_keeps_what_it_promised) {
  const Outcome outcome = outcome_of(300, false);
  EXPECT_EQ(outcome.broken, 0U);
  EXPECT_GT(outcome.cut, 150U);
}

TEST(SimDisk, a_log_that_forgets_to_sync_is_caught) {
  const Outcome outcome = outcome_of(100, true);
  EXPECT_GT(outcome.broken, 50U);
  EXPECT_GT(outcome.cut, 30U);
}

}  // namespace
}  // namespace corering
