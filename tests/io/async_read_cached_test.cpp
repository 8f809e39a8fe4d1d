/// async_read_cached_test.cpp — reads that are answered from the page cache, and those that are not.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;

/// A kernel whose page cache has everything, or nothing. It counts the requests.
struct CachingKernel : test::FaultyKernel {
  explicit CachingKernel(bool has_everything = true) {
    on_read_now = [this, has_everything](int fd, void* into, std::size_t size, std::int64_t offset) {
      ++asked;
      const ssize_t got = has_everything ? test::sys::pread(fd, into, size, offset) : (errno = EAGAIN, -1);
      return got < 0 ? -errno : static_cast<std::int32_t>(got);
    };
    on_enter = [this](unsigned to_submit) { return submitted += to_submit, 0; };
  }
  unsigned asked = 0;
  unsigned submitted = 0;
};

/// Opens the file of this program, which is larger than a page.
Fd itself() { return Fd(test::sys::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)); }

Task<void> reads_a_header(int fd, unsigned& submitted_before, const CachingKernel& kernel) {
  submitted_before = kernel.submitted;
  std::array<std::byte, 4> magic{};
  const Result<std::size_t> got = co_await async_read_cached(fd, magic, 0);
  EXPECT_EQ(got, 4U);
  EXPECT_EQ(test::text_of(magic),
            "\x7f"
            "ELF");
}

TEST(ReadCached, is_answered_without_an_sqe) {
  const Fd file = itself();
  CachingKernel kernel;
  unsigned before = 0, after = 0;
  const auto read = [](int fd, unsigned& before, unsigned& after, const CachingKernel& kernel) -> Task<void> {
    co_await reads_a_header(fd, before, kernel);
    (void)co_await sleep_for(Duration::zero());  // one turn, which would submit whatever is queued
    after = kernel.submitted;
  };
  run_on_a_worker_here(read(file.get(), before, after, kernel), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 1U);
  EXPECT_EQ(after, before);
}

TEST(ReadCached, goes_through_the_ring_when_it_would_wait) {
  const Fd file = itself();
  CachingKernel kernel(false);
  unsigned before = 0;
  run_on_a_worker_here(reads_a_header(file.get(), before, kernel), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 1U);
  EXPECT_GT(kernel.submitted, before);
}

TEST(ReadCached, is_a_read_like_any_other_for_the_kernel_itself) {
  const Fd file = itself();
  CachingKernel kernel;
  kernel.on_read_now = nullptr;  // works whether this file system has RWF_NOWAIT or not
  unsigned before = 0;
  run_on_a_worker_here(reads_a_header(file.get(), before, kernel), {.kernel = &kernel});
}

Task<void> reads_for_long(int fd, int times) {
  std::array<std::byte, 4096> page;
  for (int i = 0; i < times; ++i) {
    const Result<std::size_t> got = co_await async_read_cached(fd, page, 0);
    EXPECT_EQ(got, page.size());
  }
}
TEST(ReadCached, lets_the_kernel_have_its_turn_after_some) {
  const Fd file = itself();
  CachingKernel kernel;
  run_on_a_worker_here(reads_for_long(file.get(), 1000), {.kernel = &kernel});
  EXPECT_GE(kernel.submitted, 1000U / 17) << "16 pages in a turn, and one more through the ring";
  EXPECT_GE(kernel.asked, 900U) << "most of them come from the cache";
}

Task<void> many_read_for_long(int fd) {
  std::vector<JoinHandle<void>> running;
  for (int i = 0; i < 8; ++i) running.push_back(spawn(reads_for_long(fd, 100)));
  for (auto& one : running) co_await std::move(one);
}
TEST(ReadCached, goes_with_the_others_through_the_ring_when_it_is_not_alone) {
  const Fd file = itself();
  CachingKernel kernel;
  run_on_a_worker_here(many_read_for_long(file.get()), {.kernel = &kernel});
  EXPECT_LE(kernel.asked, 20U);
  EXPECT_GE(kernel.submitted, 780U);
}

Task<void> reads_much_of_a_part(int fd, std::vector<std::byte>& into) {
  const Result<std::size_t> got = co_await async_read_cached(fd, into, 0);
  EXPECT_EQ(got, into.size());
}
TEST(ReadCached, is_not_cut_short_where_the_cache_ends) {
  const Fd file = itself();
  CachingKernel kernel;
  kernel.on_read_now = [&kernel](int fd, void* into, std::size_t size, std::int64_t offset) {
    ++kernel.asked;
    if (offset >= 4096) return -EAGAIN;
    return static_cast<std::int32_t>(
        test::sys::pread(fd, into, std::min<std::size_t>(size, 4096 - offset), offset));
  };
  std::vector<std::byte> got(16384), expected(16384);
  ASSERT_EQ(test::sys::pread(file.get(), expected.data(), expected.size(), 0), 16384);
  run_on_a_worker_here(reads_much_of_a_part(file.get(), got), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 2U);
  EXPECT_EQ(got, expected);
}

Task<void> reads_in_other_ways(int fd) {
  std::array<std::byte, 4> four{};
  const Result<std::size_t> here = co_await async_read_cached(fd, four, current_position);
  EXPECT_EQ(here, 4U);
  const Result<std::size_t> next = co_await async_read_cached(fd, four, current_position);
  EXPECT_EQ(next, 4U);
  EXPECT_EQ(test::sys::lseek(fd, 0, SEEK_CUR), 8);
  const Result<std::size_t> by_a_helper = co_await async_read_cached(fd, four, 0).forced_async();
  EXPECT_EQ(by_a_helper, 4U);
  const Result<std::size_t> nothing = co_await async_read_cached(fd, {}, 0);
  EXPECT_EQ(nothing, 0U);
}
TEST(ReadCached, leaves_to_the_ring_what_is_no_plain_read) {
  const Fd file = itself();
  CachingKernel kernel;
  run_on_a_worker_here(reads_in_other_ways(file.get()), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 0U);
}

Task<void> reads_much(int fd) {
  std::vector<std::byte> much(1 << 20);
  const Result<std::size_t> got = co_await async_read_cached(fd, much, 0);
  EXPECT_TRUE(got && *got > 0);
}
TEST(ReadCached, leaves_large_reads_to_the_ring) {
  const Fd file = itself();
  CachingKernel kernel;
  run_on_a_worker_here(reads_much(file.get()), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 0U);
}

// The number of a slot may also be the number of a descriptor.
Task<void> reads_a_slot(int fd) {
  Result<FileTable> table = FileTable::create(1);
  EXPECT_TRUE(table);
  if (!table) co_return;
  const Result<FixedFile> file = co_await async_install(*table, fd);
  EXPECT_TRUE(file);
  if (!file) co_return;
  std::array<std::byte, 4> magic{};
  const Result<std::size_t> got = co_await async_read_cached(*file, magic, 0);
  EXPECT_EQ(got, 4U);
  EXPECT_EQ(test::text_of(magic),
            "\x7f"
            "ELF");
}
TEST(ReadCached, leaves_slots_of_a_file_table_to_the_ring) {
  const Fd file = itself();
  CachingKernel kernel;
  run_on_a_worker_here(reads_a_slot(file.get()), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 0U);
}

Task<void> reads_to_the_end(int fd) {
  struct stat status{};
  EXPECT_EQ(::fstat(fd, &status), 0);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::array<std::byte, 64> buffer;
  const Result<std::size_t> last = co_await async_read_cached(fd, buffer, size - 10);
  EXPECT_EQ(last, 10U);
  const Result<std::size_t> end = co_await async_read_cached(fd, buffer, size);
  EXPECT_EQ(end, 0U);
}
TEST(ReadCached, ends_where_the_file_ends) {
  const Fd file = itself();
  CachingKernel kernel;
  run_on_a_worker_here(reads_to_the_end(file.get()), {.kernel = &kernel});
  EXPECT_EQ(kernel.asked, 3U) << "the rest, then that it is the last, and the end";
}

Task<void> fails(int directory) {
  std::array<std::byte, 16> buffer;
  const Result<std::size_t> none = co_await async_read_cached(-1, buffer, 0);
  EXPECT_EQ(none.error(), std::errc::bad_file_descriptor);
  const Result<std::size_t> no_file = co_await async_read_cached(directory, buffer, 0);
  EXPECT_EQ(no_file.error(), std::errc::is_a_directory);
}
TEST(ReadCached, reports_errors_as_a_read_does) {
  const Fd directory(test::sys::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  run_on_a_worker_here(fails(directory.get()));
}

Task<void> reads_when_cancelled(int fd, Result<std::size_t>& got) {
  std::array<std::byte, 16> buffer;
  (void)co_await sleep_for(std::chrono::hours(1));
  got = co_await async_read_cached(fd, buffer, 0);
}
Task<void> cancels(int fd, Result<std::size_t>& got) {
  auto reading = spawn(reads_when_cancelled(fd, got));
  (void)co_await sleep_for(Duration::zero());
  reading.request_cancel();
  co_await std::move(reading);
}
TEST(ReadCached, fails_in_a_cancelled_scope_although_it_is_cached) {
  const Fd file = itself();
  CachingKernel kernel;
  Result<std::size_t> got = 1;
  run_on_a_worker_here(cancels(file.get(), got), {.kernel = &kernel});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error(), std::errc::operation_canceled);
  EXPECT_EQ(kernel.asked, 0U);
}

TEST(ReadCached, is_seen_in_a_trace) {
  const Fd file = itself();
  CachingKernel kernel;
  unsigned before = 0;
  ASSERT_TRUE(trace::start(1024));
  run_on_a_worker_here(reads_a_header(file.get(), before, kernel), {.kernel = &kernel});
  trace::stop();
  std::vector<trace::Kind> life;
  std::uint64_t id = 0;
  for (const trace::ThreadRecording& thread : trace::snapshot()) {
    for (const trace::TimedEvent& event : thread.events) {
      if (event.kind != trace::Kind::read_now) continue;
      id = event.id;
      EXPECT_EQ(event.a & 0xffff'ffff, 4U);
    }
    for (const trace::TimedEvent& event : thread.events) {
      if (id != 0 && event.id == id) life.push_back(event.kind);
    }
  }
  EXPECT_EQ(life, (std::vector{trace::Kind::read_now, trace::Kind::resumed}));
}

}  // namespace
}  // namespace corering
