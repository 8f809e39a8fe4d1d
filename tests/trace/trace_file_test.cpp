/// trace_file_test.cpp — what is in a trace file when its process lives, has ended, was killed; and what the
/// reader says to files that are none.
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <corering/trace/attachment.hpp>
#include <gtest/gtest.h>

#include "support/story.hpp"
#include "trace/layout.hpp"
#include "trace/read_recording.hpp"
#include "trace/stopped.hpp"

namespace corering::trace {
namespace {

std::uint64_t events_in(const Recording& recording) {
  std::uint64_t events = 0;
  for (const ThreadRecording& thread : recording.threads) events += thread.events.size();
  return events;
}

void record_numbers(std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) record(Kind::remark, no_opcode, nullptr, i, i);
}

/// Runs `child` in a process of its own, which must end well.
template <class Child>
void in_a_child(const Child& child) {
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) ::_exit(child() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST(TraceFile, is_read_while_the_process_writes_it) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  ASSERT_TRUE(start({.events_per_thread = 64, .file = path}));
  EXPECT_EQ(file(), path);
  record_numbers(10);
  const Result<Recording> read = open_recording(path);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->pid, ::getpid());
  EXPECT_EQ(read->incomplete, "");
  ASSERT_EQ(read->threads.size(), 1U);
  EXPECT_EQ(read->threads[0].tid, ::gettid());
  ASSERT_EQ(read->threads[0].events.size(), 10U);
  EXPECT_EQ(read->threads[0].events[9].a, 9U);
}

TEST(TraceFile, stays_when_the_recording_has_ended) {
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(start({.file = directory / "t.crt"}));
  record_numbers(3);
  stop();
  ASSERT_TRUE(start(16));  // elsewhere
  stop();
  EXPECT_EQ(events_in(open_recording(directory / "t.crt").value()), 3U);
}

TEST(TraceFile, resolves_places_without_the_process) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(start({.file = directory / "t.crt"}));
  const std::source_location here = std::source_location::current();
  const std::uint64_t key = key_of(here);
  EXPECT_EQ(key_of(here), key);
  const std::uint64_t named = key_of("my task");
  const Recording read = open_recording(directory / "t.crt").value();
  const Place* const place = read.place(key);
  ASSERT_NE(place, nullptr);
  EXPECT_EQ(place->file, here.file_name());
  EXPECT_EQ(place->line, here.line());
  EXPECT_NE(place->function.find("TestBody"), std::string::npos) << place->function;
  ASSERT_NE(read.place(named), nullptr);
  EXPECT_EQ(read.place(named)->function, "my task");
  EXPECT_EQ(read.place(key + 2), nullptr);
}

#line 70000 "a_long_file.cpp"
std::source_location far_down() { return std::source_location::current(); }
std::source_location one_further() { return std::source_location::current(); }
#line 97 "trace_file_test.cpp"

TEST(TraceFile, knows_lines_that_need_more_than_sixteen_bits) {
  const Stopped at_end;
  ASSERT_TRUE(start(16));
  const std::uint64_t key = key_of(far_down());
  const std::uint64_t next = key_of(one_further());
  EXPECT_NE(key, next);
  EXPECT_EQ(recording().place(key)->line, 70000U);
  EXPECT_EQ(recording().place(next)->line, 70001U);
}

TEST(TraceFile, tells_more_events_than_there_can_be) {
  EXPECT_EQ(start(std::size_t{1} << 40).error(), std::errc::invalid_argument);
  EXPECT_EQ(start(SIZE_MAX).error(), std::errc::invalid_argument);
  EXPECT_FALSE(enabled());
}

TEST(TraceFile, tells_that_it_cannot_be_made) {
  const bool before = enabled();
  EXPECT_EQ(start({.file = "/no/such/directory/t.crt"}).error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(enabled(), before);
}

// ---- other processes ----

/// Returns how many events the process has recorded there so far, if the file is its own already.
std::uint64_t recorded_by(pid_t process, const std::string& path) {
  const Result<Recording> read = open_recording(path);
  if (!read || read->pid != process || read->threads.empty()) return 0;
  return read->threads[0].lost + read->threads[0].events.size();
}

// The child writes for ever, and is killed somewhere. What it had written is there.
TEST(TraceFile, survives_a_process_that_is_killed_at_any_moment) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      if (!start({.events_per_thread = 256, .file = path})) ::_exit(1);
      for (std::uint64_t i = 0;; ++i) record(Kind::remark, no_opcode, nullptr, i, i);
    }
    const std::uint64_t enough = std::uniform_int_distribution<std::uint64_t>(100, 100'000)(random);
    while (recorded_by(child, path) < enough) std::this_thread::yield();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Recording read = open_recording(path).value();
    ASSERT_EQ(read.threads.size(), 1U);
    const auto& events = read.threads[0].events;
    ASSERT_GE(events.size(), 100U);
    for (std::size_t i = 0; i < events.size(); ++i) {
      ASSERT_EQ(events[i].a, events[i].b) << "torn";
      ASSERT_EQ(events[i].a, read.threads[0].lost + i) << "in order, and the lost ones are counted";
    }
  }
}

TEST(TraceFile, is_not_written_by_a_child) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(start({.file = directory / "t.crt"}));
  record_numbers(1);
  in_a_child([] {
    const bool was_on = enabled();
    record_numbers(5);
    return !was_on;
  });
  record_numbers(1);
  EXPECT_EQ(events_in(open_recording(directory / "t.crt").value()), 2U);
}

TEST(TraceFile, may_be_made_anew_by_a_child) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(start({.file = directory / "parent.crt"}));
  record_numbers(1);
  in_a_child([&directory] {
    if (!start({.file = directory / "child.crt"})) return false;
    record_numbers(5);
    return events_in(recording()) == 5;
  });
  EXPECT_EQ(events_in(open_recording(directory / "parent.crt").value()), 1U);
  EXPECT_EQ(events_in(open_recording(directory / "child.crt").value()), 5U);
}

TEST(TraceFile, is_not_taken_from_a_process_that_runs) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  ASSERT_TRUE(start({.file = path}));
  record_numbers(1);
  in_a_child([&path] {
    if (!start({.file = path})) return false;
    record_numbers(5);
    return file() == path + "." + std::to_string(::getpid());
  });
  EXPECT_EQ(events_in(open_recording(path).value()), 1U);
}

TEST(TraceFile, replaces_recordings_and_nothing_else) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  const std::string notes = directory / "notes", fifo = directory / "fifo", empty = directory / "empty";
  std::ofstream(notes) << "precious";
  std::ofstream(empty).close();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(start({.file = notes}).error(), std::errc::file_exists);
  EXPECT_EQ(std::filesystem::file_size(notes), 8U);
  EXPECT_EQ(start({.file = fifo}).error(), std::errc::file_exists);
  EXPECT_TRUE(std::filesystem::is_fifo(fifo));
  EXPECT_TRUE(start({.file = empty}));
  EXPECT_TRUE(start({.file = empty})) << "an older recording of ours";
}

TEST(TraceFile, is_what_the_environment_asks_for) {
  const test::TemporaryDirectory directory;
  const auto asks_for = [](const std::string& text) {
    ::setenv("CORERING_TRACE", text.c_str(), 1);
    return start_as_environment_says();
  };
  in_a_child([&] { return asks_for("full,file=" + (directory / "t.crt")) && enabled(); });
  EXPECT_TRUE(open_recording(directory / "t.crt"));
  in_a_child([&] { return asks_for("hist,file=memory") && counts() && !enabled() && file().empty(); });
  in_a_child([&] { return asks_for("off") && !counts(); });
  for (const char* wrong : {"loud", "full,events=0", "full,events=1x", "full,file=", "full,",
                            "full,file=memory,events=576460752303423488"})
    in_a_child([&] { return asks_for(wrong).error() == std::errc::invalid_argument && !counts(); });
}

TEST(TraceFile, that_the_program_has_begun_goes_on_whatever_the_environment_asks_for) {
  in_a_child([] {
    if (!start(64)) return false;
    record_numbers(3);
    ::setenv("CORERING_TRACE", "hist,file=memory", 1);
    return start_as_environment_says() && enabled() && events_in(recording()) == 3;
  });
}

// A file beyond this limit would end the process with SIGXFSZ.
TEST(TraceFile, respects_the_limit_of_a_files_size) {
  in_a_child([] {
    const rlimit small{.rlim_cur = 64 << 10, .rlim_max = RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &small) != 0) return false;
    if (start(64).error() != std::errc::file_too_large) return false;
    test::RunningWorker running;
    return sync_wait(async_nop().on(running.worker)).has_value();
  });
  in_a_child([] {
    const rlimit for_the_head_only{.rlim_cur = layout::first_ring_offset, .rlim_max = RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &for_the_head_only) != 0 || !start(64)) return false;
    record_numbers(3);
    return recording().unrecorded == 3;
  });
}

// Each attempt would make system calls while it holds the lock of all threads.
TEST(TraceFile, has_no_room_for_captures_and_is_not_asked_again) {
  in_a_child([] {
    const auto limit_to = [](rlim_t bytes) {
      const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
      return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
    };
    if (!limit_to(layout::first_ring_offset + layout::bytes_of_ring(64)) || !start(64)) return false;
    record_numbers(3);
    for (int i = 0; i < 3; ++i) keep_since(stamp());
    if (!limit_to(RLIM_INFINITY)) return false;
    keep_since(stamp());
    const Recording read = recording();
    if (read.threads.size() != 1 || read.unrecorded != 0) return false;
    if (read.threads[0].captured != 0 || read.threads[0].suppressed != 4) return false;
    std::thread([] { record_numbers(1), keep_since(0); }).join();  // another one asks
    return recording().threads[1].captured == 1;
  });
}

// ---- threads ----

TEST(TraceFile, holds_no_more_than_a_few_rings_of_threads_that_have_ended) {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(start({.file = directory / "t.crt"}));
  for (int i = 0; i < 300; ++i) std::thread([] { record_numbers(1); }).join();
  EXPECT_LE(std::filesystem::file_size(directory / "t.crt"), 48U << 20);
  std::uint64_t events = 0;
  for (const ThreadRecording& thread : recording().threads) events += thread.events.size() + thread.lost;
  EXPECT_EQ(events, 300U);
}

TEST(TraceFile, counts_what_threads_without_a_ring_would_have_recorded) {
  const Stopped at_end;
  ASSERT_TRUE(start(64));
  constexpr int more_than_there_are_rings = layout::most_threads + 10;
  OneShot all_have_recorded, may_end;
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < more_than_there_are_rings; ++i) {
    threads.emplace_back([&] {
      record_numbers(2);
      keep_since(0);
      const Histogram turns;
      show_times({{{.kind = "worker", .stage = "turn", .ticks = &turns}}});
      if (done.fetch_add(1) + 1 == more_than_there_are_rings) all_have_recorded.set();
      while (!may_end.is_set()) std::this_thread::yield();
    });
  }
  all_have_recorded.wait();
  const Recording read = recording();
  may_end.set();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(read.threads.size(), layout::most_threads);
  EXPECT_EQ(read.times.size(), layout::most_threads);
  for (const ThreadRecording& thread : read.threads) EXPECT_EQ(thread.captured, 1U);
  EXPECT_EQ(read.unrecorded, 30U) << "two events each, and what was to be kept";
}

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* const first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

// ---- other hands ----

TEST(TraceFile, may_be_written_by_a_tool) {
  const test::TemporaryDirectory directory;
  Recording made{.pid = 17, .program = "fio", .boot_id = "b", .kernel = "io_uring", .started_ns = 5};
  made.places[77] = {.file = "a.cpp", .function = "f", .line = 3};
  ThreadRecording thread{.tid = 4, .name = "kernel, cpu 0", .lost = 9};
  for (int i = 0; i < 10'000; ++i)
    thread.events.push_back({.ns = i, .id = 1, .a = 2, .b = 3, .kind = Kind::kernel_began, .opcode = 4});
  made.threads = {thread, thread};
  ASSERT_TRUE(write_recording(directory / "t.crt", made));
  const std::vector<ThreadRecording> more = {{.tid = 5, .name = "added", .events = {{.ns = 8}}}};
  ASSERT_TRUE(add_threads(directory / "t.crt", more));
  const Recording read = open_recording(directory / "t.crt").value();
  EXPECT_EQ(read.pid, 17);
  EXPECT_EQ(read.program, "fio");
  EXPECT_EQ(read.place(77)->function, "f");
  ASSERT_EQ(read.threads.size(), 3U);
  EXPECT_EQ(read.threads[0].lost, 9U);
  ASSERT_EQ(read.threads[1].events.size(), 10'000U);
  EXPECT_EQ(read.threads[1].events[9'999].ns, 9'999);
  EXPECT_EQ(read.threads[1].events[9'999].kind, Kind::kernel_began);
  EXPECT_EQ(read.threads[2].name, "added");
}

TEST(TraceFile, is_switched_from_outside) {
  ASSERT_TRUE(start({.level = Level::off}));
  const pid_t me = ::getpid();
  EXPECT_FALSE(enabled());
  {
    const Result<Attachment> full = Attachment::to(me, Level::full);
    ASSERT_TRUE(full) << full.error().message();
    EXPECT_TRUE(enabled());
    {
      const Result<Attachment> hist = Attachment::to(me, Level::hist);
      ASSERT_TRUE(hist);
      EXPECT_TRUE(enabled()) << "another one still wants it";
    }
    record_numbers(4);
    EXPECT_EQ(events_in(full->recording().value()), 4U);
    ASSERT_TRUE(start(64));
    stop();
    EXPECT_TRUE(enabled()) << "stop() is about what start() began";
  }
  EXPECT_FALSE(enabled());
  EXPECT_FALSE(counts());
}

TEST(TraceFile, is_let_go_by_who_attached_and_died) {
  ASSERT_TRUE(start({.level = Level::off}));
  const pid_t me = ::getpid();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Result<Attachment> attached = Attachment::to(me, Level::full);
    ::_exit(attached ? 0 : 1);  // no destructor runs
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(enabled());
  {
    const Result<Attachment> next = Attachment::to(me, Level::hist);
  }
  EXPECT_FALSE(counts());
}

TEST(TraceFile, leaves_nothing_of_those_who_came_and_went) {
  ASSERT_TRUE(start({.level = Level::off}));
  const int descriptors = test::open_descriptors();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Attachment::to(::getpid(), Level::full));
  EXPECT_EQ(test::open_descriptors(), descriptors);
  EXPECT_FALSE(counts());
}

/// Returns how many mappings of trace files the process has. A sanitizer has many of its own.
std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t found = 0;
  for (std::string line; std::getline(maps, line);) found += line.contains("corering-trace") ? 1 : 0;
  return found;
}

std::size_t pages_of_memory() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

std::uint64_t ever_recorded() {
  std::uint64_t events = 0;
  for (const ThreadRecording& thread : snapshot()) events += thread.lost + thread.events.size();
  return events;
}

Task<void> works_until(const std::atomic<bool>& done) {
  while (!done.load()) (void)co_await async_nop();
}

// The first one makes the worker's ring, which stays.
TEST(TraceFile, leaves_nothing_of_those_who_came_and_went_while_a_worker_worked) {
  ASSERT_TRUE(start({.level = Level::off, .events_per_thread = 64}));
  test::RunningWorker running;
  std::atomic<bool> done = false;
  JoinHandle<void> work = running.worker.spawn(works_until(done)).value();
  const auto attach_until_it_records = [] {
    const Result<Attachment> attached = Attachment::to(::getpid(), Level::full);
    ASSERT_TRUE(attached);
    const std::uint64_t before = ever_recorded();
    while (ever_recorded() == before) std::this_thread::yield();
  };
  attach_until_it_records();
  const int descriptors = test::open_descriptors();
  const std::size_t maps = mappings();
  const std::size_t memory = pages_of_memory();
  for (int i = 0; i < 100; ++i) attach_until_it_records();
  EXPECT_EQ(test::open_descriptors(), descriptors);
  EXPECT_GT(maps, 0U);
  EXPECT_LE(mappings(), maps + 2) << "the worker's times may come later, and stay";
  EXPECT_LE(pages_of_memory(), test::under_sanitizer ? SIZE_MAX : memory + 1024);
  EXPECT_FALSE(counts());
  done = true;
  sync_wait(std::move(work));
}

TEST(TraceFile, is_not_found_where_there_is_none) {
  EXPECT_EQ(Attachment::to(0x7fff'fff0, Level::full).error(), std::errc::no_such_process);
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_EQ(Attachment::to(child, Level::full).error(), std::errc::no_such_file_or_directory);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

// ---- files that are none ----

class DamagedFile : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(start({.events_per_thread = 64, .file = directory_ / "t.crt"}));
    record_numbers(20);
    (void)key_of(std::source_location::current());
    stop();
    bytes_ = bytes_of(directory_ / "t.crt");
  }
  template <class T>
  void put(std::size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }
  [[nodiscard]] Result<Recording> read() const { return read_recording(MemorySource(bytes_)); }

  test::TemporaryDirectory directory_;
  std::vector<std::byte> bytes_;
};

TEST_F(DamagedFile, is_whole_before) {
  EXPECT_EQ(events_in(read().value()), 20U);
  EXPECT_EQ(read()->incomplete, "");
}

TEST_F(DamagedFile, that_ends_anywhere_gives_what_there_is_or_an_error) {
  const std::vector<std::byte> whole = bytes_;
  for (std::size_t size = 0; size < whole.size(); size += size < 4096 ? 61 : 30'001) {
    bytes_.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const Result<Recording> cut = read();
    if (size < sizeof(layout::FileHead)) {
      EXPECT_EQ(cut.error(), std::errc::bad_message);
    } else if (cut && events_in(*cut) < 20) {
      EXPECT_NE(cut->incomplete, "") << size;
    }
  }
}

TEST_F(DamagedFile, of_another_kind_is_refused) {
  put(0, 'X');
  EXPECT_EQ(read().error(), std::errc::bad_message);
}

TEST_F(DamagedFile, of_a_later_version_is_refused) {
  put(offsetof(layout::FileHead, version), layout::version + 1);
  EXPECT_EQ(read().error(), std::errc::protocol_not_supported);
}

TEST_F(DamagedFile, of_an_earlier_version_is_opened) {
  put(offsetof(layout::FileHead, version), std::uint32_t{1});
  ASSERT_TRUE(read());
  EXPECT_EQ(events_in(*read()), 20U);
  EXPECT_EQ(read()->incomplete, "");
}

// A later version may have other numbers for the kinds: their names say what they are.
TEST(TraceFile, knows_a_capture_by_its_name_in_the_file) {
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(start({.events_per_thread = 64, .file = directory / "t.crt"}));
  const std::uint64_t now = stamp();
  record_at(now, Kind::remark, no_opcode, nullptr, 1, now << 1);
  record_at(now, Kind::kept, no_opcode, nullptr, 2, now << 1);
  stop();
  std::vector<std::byte> bytes = bytes_of(directory / "t.crt");
  const auto name_of = [&bytes](Kind kind) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(layout::kinds_offset) +
           static_cast<std::ptrdiff_t>(kind) * static_cast<std::ptrdiff_t>(layout::kind_name_bytes);
  };
  std::swap_ranges(name_of(Kind::remark), name_of(Kind::remark) + layout::kind_name_bytes,
                   name_of(Kind::kept));
  const Recording read = read_recording(MemorySource(bytes)).value();
  ASSERT_EQ(read.threads.size(), 1U);
  ASSERT_EQ(read.threads[0].events.size(), 2U);
  const TimedEvent& kept = read.threads[0].events[0];
  const TimedEvent& remark = read.threads[0].events[1];
  EXPECT_EQ(kept.kind, Kind::kept);
  EXPECT_EQ(kept.b, static_cast<std::uint64_t>(kept.ns) << 1);
  EXPECT_EQ(remark.kind, Kind::remark);
  EXPECT_EQ(remark.b, now << 1) << "a number of the program's own";
}

TEST_F(DamagedFile, with_numbers_that_cannot_be_is_read_as_far_as_it_goes) {
  put(layout::rings_offset, std::uint64_t{1} << 60);
  EXPECT_EQ(events_in(read().value()), 0U);
  EXPECT_NE(read()->incomplete, "");
  put(layout::rings_offset, std::uint64_t{layout::first_ring_offset});
  put(layout::rings_offset + sizeof(std::uint64_t), std::uint64_t{0});
  EXPECT_NE(read()->incomplete, "");
  put(layout::rings_offset + sizeof(std::uint64_t), UINT64_MAX);
  put(layout::first_ring_offset + offsetof(layout::RingHead, written), UINT64_MAX / 2);
  EXPECT_NE(read()->incomplete, "");
}

TEST_F(DamagedFile, with_any_byte_changed_is_read_or_refused) {
  std::mt19937 random(11);
  const std::vector<std::byte> whole(bytes_.begin(), bytes_.begin() + 40'000);
  int read_well = 0;
  for (int i = 0; i < 500; ++i) {
    std::ranges::copy(whole, bytes_.begin());
    for (int change = 0; change < 4; ++change)
      bytes_[random() % whole.size()] = static_cast<std::byte>(random());
    put(offsetof(layout::FileHead, ring_count), static_cast<std::uint32_t>(random() % 300));
    if (read()) ++read_well;
  }
  EXPECT_GT(read_well, 250) << "most damage is not in the head";
}

}  // namespace
}  // namespace corering::trace
