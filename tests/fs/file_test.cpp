/// file_test.cpp — files: positions, ends, alignment, errors.
#include <algorithm>
#include <fcntl.h>
#include <limits>
#include <new>
#include <sys/mman.h>
#include <sys/resource.h>
#include <thread>

#include "support/story.hpp"

namespace corering {
namespace {

using test::content_of;

using test::bytes_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

Task<void> writes_and_reads(std::string path) {
  Result<File> file = co_await File::create(path);
  EXPECT_TRUE(file) << file.error().message();
  if (!file) co_return;
  const Result<void> written = co_await file->write_all_at(bytes_of("0123456789"), 0);
  EXPECT_TRUE(written);
  const Result<void> appended = co_await file->append(bytes_of("abc"));
  EXPECT_TRUE(appended);
  const Result<std::uint64_t> size = co_await file->size();
  EXPECT_EQ(size, 13U);
  std::array<std::byte, 5> five{};
  const Result<void> exact = co_await file->read_exact_at(five, 8);
  EXPECT_TRUE(exact);
  EXPECT_EQ(text_of(five), "89abc");
  const Result<void> beyond = co_await file->read_exact_at(five, 10);
  EXPECT_EQ(beyond.error(), make_error_code(StreamErrc::unexpected_end));
  const Result<void> end = co_await file->read_exact_at(five, 13);
  EXPECT_TRUE(!end && is_end(end.error()));
  const std::array<iovec, 2> parts = {iovec{five.data(), 2}, iovec{five.data() + 3, 2}};
  const Result<std::size_t> vectored = co_await file->readv_at(parts, 0);
  EXPECT_EQ(vectored, 4U);
  const Result<std::size_t> gathered = co_await file->writev_at(parts, 9);
  EXPECT_EQ(gathered, 4U);
  std::array<std::byte, 4> four{};
  const Result<void> read_back = co_await file->read_exact_at(four, 9);
  EXPECT_TRUE(read_back);
  EXPECT_EQ(text_of(four), "0123");
  const Result<void> cut = co_await file->truncate(3);
  EXPECT_TRUE(cut);
  const Result<void> synced = co_await file->sync();
  EXPECT_TRUE(synced);
  const Result<void> closed = co_await file->close();
  EXPECT_TRUE(closed);
}

TEST(File, writes_and_reads) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(writes_and_reads(directory / "file"));
  EXPECT_EQ(content_of(directory / "file"), "012");
}

Task<void> opens_badly(std::string directory) {
  const Result<File> missing = co_await File::open(directory + "none");
  EXPECT_EQ(missing.error(), std::errc::no_such_file_or_directory);
  const Result<File> nul = co_await File::open(std::string("a\0b", 3));
  EXPECT_EQ(nul.error(), make_error_code(FileErrc::path_has_nul));
  EXPECT_EQ(nul.error().message(), "the path contains a NUL byte");
  const Result<File> empty = co_await File::open("");
  EXPECT_EQ(empty.error(), std::errc::no_such_file_or_directory);
  OpenOptions exclusive;
  exclusive.write = exclusive.create = exclusive.exclusive = true;
  const Result<File> first = co_await File::open(directory + "new", exclusive);
  EXPECT_TRUE(first);
  const Result<File> second = co_await File::open(directory + "new", exclusive);
  EXPECT_EQ(second.error(), std::errc::file_exists);
  std::array<std::byte, 4> buffer{};
  const File closed{Fd()};
  const Result<std::size_t> nothing = co_await closed.read_at(buffer, 0);
  EXPECT_EQ(nothing.error(), std::errc::bad_file_descriptor);
  const Result<std::size_t> into_nothing = co_await first->read_at(std::span<std::byte>(), 0);
  EXPECT_EQ(into_nothing, 0U);
  const Result<void> from_nothing = co_await first->write_all_at(std::span<std::byte>(), 0);
  EXPECT_TRUE(from_nothing);
}

Task<void> writes_and_reads_text(std::string path) {
  const Result<File> file = co_await File::create(path);
  EXPECT_TRUE(file);
  if (!file) co_return;
  const Result<void> written = co_await file->write_all_at("a line\n", 0);
  EXPECT_TRUE(written);
  const Result<void> appended = co_await file->append(std::string("and one more\n"));
  EXPECT_TRUE(appended);
  std::array<char, 4> part{};
  const Result<std::size_t> got = co_await file->read_at(part, 2);
  EXPECT_EQ(got, 4U);
  EXPECT_EQ(std::string_view(part.data(), part.size()), "line");
  const Result<std::string> all = co_await read_to_string(path);
  EXPECT_EQ(all, "a line\nand one more\n");
  const std::string much(1'000'000, 'x');
  const Result<void> large = co_await file->write_all_at(much, 0);
  EXPECT_TRUE(large);
  const Result<std::string> all_of_it = co_await read_to_string(path);
  EXPECT_EQ(all_of_it, much);
  const Result<std::string> of_proc = co_await read_to_string("/proc/self/maps");
  EXPECT_TRUE(of_proc && of_proc->ends_with("\n")) << "a file that says that it is empty";
  const Result<std::string> none = co_await read_to_string(path + "-none");
  EXPECT_EQ(none.error(), std::errc::no_such_file_or_directory);
}

TEST(File, takes_text_for_bytes) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(writes_and_reads_text(directory / "text"));
}

TEST(File, says_why_it_cannot_be_opened) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(opens_badly(directory / ""));
}

// /dev/null takes everything without reading it, so this touches no page.
Task<void> writes_five_gigabytes(std::span<const std::byte> much) {
  OpenOptions options;
  options.read = false;
  options.write = true;
  const Result<File> null = co_await File::open("/dev/null", options);
  EXPECT_TRUE(null);
  if (!null) co_return;
  const Result<std::size_t> some = co_await null->write_at(much, 0);
  EXPECT_EQ(some, 0x7ffff000U) << "as much as one call moves, not the length modulo 4 GiB";
  const Result<void> all = co_await null->write_all_at(much, 0);
  EXPECT_TRUE(all);
  const Result<void> appended = co_await null->append(much);
  EXPECT_TRUE(appended);
}

TEST(File, writes_more_than_four_gigabytes) {
  constexpr std::size_t length = (std::size_t{5} << 30) + 1;
  void* const pages = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  run_on_a_worker_here(writes_five_gigabytes(std::span(static_cast<const std::byte*>(pages), length)));
  ::munmap(pages, length);
}

Task<void> directly(std::string path) {
  OpenOptions options;
  options.write = options.create = options.direct = true;
  const Result<File> file = co_await File::open(path, options);
  EXPECT_TRUE(file) << file.error().message();
  if (!file) co_return;
  EXPECT_GT(file->alignment(), 1U);
  const AlignedBuffer buffer(8192);
  std::ranges::fill(buffer.bytes(), std::byte{7});
  const Result<void> written = co_await file->write_all_at(buffer.bytes(), 0);
  EXPECT_TRUE(written) << written.error().message();
  const Result<void> read = co_await file->read_exact_at(buffer.bytes(), 0);
  EXPECT_TRUE(read);
  const Result<std::size_t> odd_offset = co_await file->read_at(buffer.bytes(), 1);
  EXPECT_EQ(odd_offset.error(), make_error_code(FileErrc::misaligned));
  const Result<std::size_t> odd_length = co_await file->write_at(buffer.bytes().first(100), 0);
  EXPECT_EQ(odd_length.error(), make_error_code(FileErrc::misaligned));
  const Result<void> cut = co_await file->truncate(5000);
  EXPECT_TRUE(cut);
  const Result<void> beyond = co_await file->read_exact_at(buffer.bytes(), 0);
  EXPECT_EQ(beyond.error(), make_error_code(StreamErrc::unexpected_end)) << beyond.error().message();
  const Result<std::size_t> end = co_await file->read_at(buffer.bytes(), 5000);
  EXPECT_EQ(end, 0U) << "behind the last block is the end";
  const Result<std::size_t> at_position = co_await file->read(buffer.bytes());
  EXPECT_EQ(at_position.error(), make_error_code(FileErrc::no_position));
  const Result<std::size_t> odd_memory = co_await file->read_at(buffer.bytes().subspan(1, 4096), 0);
  EXPECT_EQ(odd_memory.error(), make_error_code(FileErrc::misaligned));
}

TEST(File, past_the_page_cache_wants_aligned_buffers) {
  test::TemporaryDirectory directory;
  const std::string path = directory / "file";
  const Fd probe(test::sys::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
  if (!probe.is_open() && errno == EINVAL)
    GTEST_SKIP() << "the temporary directory's file system has no O_DIRECT";
  run_on_a_worker_here(directly(path));
}

Task<void> appends_directly(std::string path) {
  OpenOptions options;
  options.write = options.create = options.direct = true;
  const Result<File> file = co_await File::open(path, options);
  const AlignedBuffer block(4096);
  const Result<void> first = co_await file->append(block.bytes());
  EXPECT_TRUE(first) << first.error().message();
  const Result<void> second = co_await file->append(block.bytes());
  EXPECT_TRUE(second) << second.error().message();
  const Result<void> cut = co_await file->truncate(5000);
  EXPECT_TRUE(cut);
  const Result<void> third = co_await file->append(block.bytes());
  EXPECT_EQ(third.error(), make_error_code(FileErrc::misaligned_end)) << third.error().message();
  OpenOptions appending;
  appending.write = appending.append = appending.direct = true;
  const Result<File> at_the_end = co_await File::open(path, appending);
  const Result<std::size_t> written = co_await at_the_end->write_at(block.bytes(), 0);
  EXPECT_EQ(written.error(), make_error_code(FileErrc::misaligned_end)) << written.error().message();
}

TEST(File, past_the_page_cache_says_why_it_cannot_append) {
  test::TemporaryDirectory directory;
  const std::string path = directory / "file";
  const Fd probe(test::sys::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
  if (!probe.is_open() && errno == EINVAL)
    GTEST_SKIP() << "the temporary directory's file system has no O_DIRECT";
  run_on_a_worker_here(appends_directly(path));
}

TEST(AlignedBuffer, of_no_size_that_exists_throws) {
  constexpr std::size_t most = std::numeric_limits<std::size_t>::max();
  EXPECT_THROW(static_cast<void>(AlignedBuffer(most)), std::bad_alloc);
  EXPECT_EQ(AlignedBuffer(1).size(), 4096U);
  EXPECT_EQ(AlignedBuffer(0).size(), 0U);
}

Task<void> writes_into_a_fifo(std::string path, std::atomic<bool>& reads) {
  OpenOptions options;
  options.read = false;
  options.write = true;
  const Result<File> early = co_await with_timeout(5ms, File::open(path, options));
  EXPECT_EQ(early.error(), std::errc::timed_out) << early.error().message();
  std::thread reader([&path, &reads] {
    const Fd fd(test::sys::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 8> text{};
    reads = test::sys::read(fd.get(), text.data(), text.size()) == 5;
  });
  const Result<File> file = co_await File::open(path, options);
  EXPECT_TRUE(file) << file.error().message();
  if (file) {
    const Result<std::size_t> put = co_await file->write(test::bytes_of("hello"));
    EXPECT_EQ(put, 5U);
  }
  reader.join();
}

TEST(File, that_is_a_fifo_is_open_when_somebody_reads) {
  test::TemporaryDirectory directory;
  const std::string path = directory / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::atomic<bool> reads = false;
  run_on_a_worker_here(writes_into_a_fifo(path, reads));
  EXPECT_TRUE(reads);
}

/// Opens a file as a user who may start no threads, not even the kernel for us.
bool opens_without_helper_threads() {
  const std::string path = "/dev/shm/corering-test-" + std::to_string(::getpid());
  if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return false;
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  if (::setrlimit(RLIMIT_NPROC, &none) != 0) return false;
  const auto story = [](std::string its) -> Task<void> {
    const Result<File> plain = co_await File::create(its);
    const Result<File> timed = co_await with_timeout(1h, File::create(its));
    for (const Result<File>* const file : {&plain, &timed}) {
      if (*file) continue;  // this kernel had no need of a helper
      EXPECT_FALSE(is_cancellation(file->error())) << "nobody has cancelled anything";
      EXPECT_EQ(file->error(), std::errc::resource_unavailable_try_again) << file->error().message();
      EXPECT_NE(file->error().message().find("RLIMIT_NPROC"), std::string::npos) << file->error().message();
    }
    const Result<void> forced = co_await async_fsync(0).forced_async();
    EXPECT_EQ(forced.error(), std::errc::resource_unavailable_try_again) << forced.error().message();
  };
  run_on_a_worker_here(story(path));
  ::unlink(path.c_str());
  return !testing::Test::HasFailure();
}

TEST(FileDeathTest, says_when_the_kernel_can_start_no_helper_thread) {
  EXPECT_EXIT(::_exit(opens_without_helper_threads() ? 0 : 1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace corering
