/// fs_test.cpp — files, directories, copies, watching; pipes and child processes.
#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// ---- File ----

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
  EXPECT_EQ(nul.error().message(), "the path has a NUL byte in it");
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
  const Result<std::size_t> into_nothing = co_await first->read_at({}, 0);
  EXPECT_EQ(into_nothing, 0U);
  const Result<void> from_nothing = co_await first->write_all_at({}, 0);
  EXPECT_TRUE(from_nothing);
}
TEST(File, says_why_it_cannot_be_opened) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(opens_badly(directory / ""));
}

// /dev/null takes everything without reading it; so this touches no page.
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
  const Fd probe(::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
  if (!probe.is_open() && errno == EINVAL)
    GTEST_SKIP() << "the temporary directory's file system has no O_DIRECT";
  run_on_a_worker_here(directly(path));
}

// ---- Reader and Writer ----

/// Gives a text in pieces of a few bytes; then the end, or an error.
class Pieces {
 public:
  Pieces(std::string text, std::size_t piece, int error = 0)
      : text_(std::move(text)), piece_(piece), error_(error) {}
  Task<Result<std::size_t>> read(std::span<std::byte> into) {
    const std::size_t count = std::min({piece_, into.size(), text_.size() - at_});
    if (count == 0 && error_ != 0) co_return failure(error_);
    std::memcpy(into.data(), text_.data() + at_, count);
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  std::size_t piece_;
  int error_;
  std::size_t at_ = 0;
};

Task<void> reads_lines(std::size_t piece, std::size_t buffer_size) {
  Pieces source("one\ntwo\r\n\n" + std::string(1000, 'x') + "\nlast", piece);
  Reader reader(source, buffer_size);
  const std::vector<std::string> all = {"one", "two", "", std::string(1000, 'x'), "last"};
  for (const std::string& expected : all) {
    const Result<std::string_view> line = co_await reader.read_line();
    EXPECT_TRUE(line && *line == expected) << expected;
  }
  const Result<std::string_view> end = co_await reader.read_line();
  EXPECT_TRUE(!end && is_end(end.error()));
}
TEST(Reader, reads_lines_however_they_come) {
  for (const std::size_t piece : {1U, 2U, 3U, 7U, 5000U}) {
    for (const std::size_t buffer : {1U, 4U, 16U, 4096U}) run_on_a_worker_here(reads_lines(piece, buffer));
  }
}

Task<void> reads_until(std::size_t piece) {
  Pieces source("GET / HTTP/1.1\r\nHost: x\r\n\r\nbody\r\n\r", piece);
  Reader reader(source, 8);
  const Result<std::string_view> head = co_await reader.read_until("\r\n\r\n");
  EXPECT_TRUE(head && *head == "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::array<std::byte, 4> body{};
  const Result<void> exact = co_await reader.read_exact(body);
  EXPECT_TRUE(exact && text_of(body) == "body");
  const Result<std::string_view> cut = co_await reader.read_until("\r\n\r\n");
  EXPECT_EQ(cut.error(), make_error_code(StreamErrc::unexpected_end));
  EXPECT_EQ(reader.buffered(), "\r\n\r") << "nothing is lost";
}
TEST(Reader, finds_a_delimiter_across_pieces) {
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 100U}) run_on_a_worker_here(reads_until(piece));
}

Task<void> limits() {
  Pieces source(std::string(100, 'x') + "\n", 10);
  Reader reader(source, 16);
  const Result<std::string_view> long_line = co_await reader.read_line(50);
  EXPECT_EQ(long_line.error(), make_error_code(StreamErrc::too_long));
  const Result<std::string_view> line = co_await reader.read_line(101);
  EXPECT_TRUE(line && line->size() == 100);
  Pieces failing("abc", 3, EIO);
  Reader broken(failing, 16);
  std::array<std::byte, 4> four{};
  const Result<std::string_view> error = co_await broken.read_line();
  EXPECT_EQ(error.error(), std::errc::io_error);
  EXPECT_EQ(broken.buffered(), "abc");
  const Result<void> exact = co_await broken.read_exact(four);
  EXPECT_EQ(exact.error(), std::errc::io_error);
}
TEST(Reader, has_limits_and_keeps_what_came_before_an_error) { run_on_a_worker_here(limits()); }

/// Takes a few bytes at a time.
class Slow {
 public:
  explicit Slow(std::size_t most) : most_(most) {}
  Task<Result<std::size_t>> write(std::span<const std::byte> from) {
    ++calls;
    const std::size_t count = std::min(most_, from.size());
    text += text_of(from.first(count));
    if (count == 0) co_return failure(ENOSPC);
    co_return count;
  }
  std::string text;
  int calls = 0;

 private:
  std::size_t most_;
};
Task<void> writes(std::size_t most) {
  Slow sink(most);
  Writer writer(sink, 8);
  std::string expected;
  for (const char* const text : {"a", "bcd", "efghijklmnop", "", "qrstuvwx", "yz"}) {
    const Result<void> put = co_await writer.write_all(std::string_view(text));
    EXPECT_TRUE(put);
    expected += text;
  }
  EXPECT_EQ(writer.buffered(), 2U);
  const Result<void> flushed = co_await writer.flush();
  EXPECT_TRUE(flushed);
  EXPECT_EQ(sink.text, expected);
}
TEST(Writer, writes_everything_in_order) {
  for (const std::size_t most : {1U, 3U, 100U}) run_on_a_worker_here(writes(most));
}
Task<void> writes_in_vain() {
  Slow full(0);
  Writer writer(full, 8);
  const Result<void> put = co_await writer.write_all(std::string_view("short"));
  EXPECT_TRUE(put) << "it is in the buffer";
  const Result<void> flushed = co_await writer.flush();
  EXPECT_EQ(flushed.error(), std::errc::no_space_on_device);
}
TEST(Writer, reports_when_flushing_fails) { run_on_a_worker_here(writes_in_vain()); }

// ---- directories ----

Task<void> walks(BlockingPool& pool, std::string top, std::vector<std::string>& found) {
  const Directory directory(top);
  AsyncGenerator<WalkEntry> entries = directory.walk(pool);
  for (;;) {
    const std::optional<WalkEntry> entry = co_await entries.next();
    if (!entry) break;
    EXPECT_FALSE(entry->error) << entry->error.message();
    found.push_back(entry->path + (entry->type == DT_DIR ? "/" : entry->type == DT_LNK ? "@" : ""));
  }
}
TEST(Directory, is_walked_in_order_without_following_links) {
  test::TemporaryDirectory directory;
  namespace fs = std::filesystem;
  fs::create_directories(directory / "a/b/c");
  fs::create_directories(directory / "empty");
  std::ofstream(directory / "a/file") << "x";
  std::ofstream(directory / "a/b/deep") << "x";
  fs::create_symlink("..", directory / "a/loop");
  BlockingPool pool;
  std::vector<std::string> found;
  run_on_a_worker_here(walks(pool, directory / "", found));
  EXPECT_EQ(found,
            (std::vector<std::string>{"a/", "a/b/", "a/b/c/", "a/b/deep", "a/file", "a/loop@", "empty/"}));
}
Task<void> walks_nothing(BlockingPool& pool) {
  const Directory none("/no/such/directory");
  AsyncGenerator<WalkEntry> entries = none.walk(pool);
  const std::optional<WalkEntry> first = co_await entries.next();
  EXPECT_TRUE(first && first->error == std::errc::no_such_file_or_directory);
  const std::optional<WalkEntry> second = co_await entries.next();
  EXPECT_FALSE(second);
}
TEST(Directory, that_is_not_there_is_one_entry_with_the_error) {
  BlockingPool pool;
  run_on_a_worker_here(walks_nothing(pool));
}

Task<void> makes_and_removes(BlockingPool& pool, std::string top) {
  Directory deep(top + "x/y/z");
  const Result<void> shallow = co_await deep.create();
  EXPECT_EQ(shallow.error(), std::errc::no_such_file_or_directory);
  const Result<void> made = co_await deep.create_all();
  EXPECT_TRUE(made);
  const Result<void> again = co_await deep.create_all();
  EXPECT_TRUE(again);
  std::ofstream(deep / "file") << "x";
  const Directory over_a_file(deep / "file");
  const Result<void> blocked = co_await over_a_file.create_all();
  EXPECT_EQ(blocked.error(), std::errc::not_a_directory);
  const Result<void> full = co_await deep.remove();
  EXPECT_EQ(full.error(), std::errc::directory_not_empty);
  const Result<void> renamed = co_await deep.rename(top + "x/y/w");
  EXPECT_TRUE(renamed);
  EXPECT_EQ(deep.path(), top + "x/y/w");
  std::filesystem::create_symlink("/", top + "x/root");
  const Directory all(top + "x");
  const Result<void> gone = co_await all.remove_all(pool);
  EXPECT_TRUE(gone) << gone.error().message();
  EXPECT_FALSE(std::filesystem::exists(top + "x"));
  const Result<void> nul = co_await unlink(std::string("a\0b", 3));
  EXPECT_EQ(nul.error(), make_error_code(FileErrc::path_has_nul));
}
TEST(Directory, is_made_renamed_and_removed) {
  test::TemporaryDirectory directory;
  BlockingPool pool;
  run_on_a_worker_here(makes_and_removes(pool, directory / ""));
}

Task<void> removes_a_link(BlockingPool& pool, std::string path, std::error_code& outcome) {
  const Directory directory(path);
  const Result<void> removed = co_await directory.remove_all(pool);
  outcome = removed ? std::error_code() : removed.error();
}
TEST(Directory, that_is_a_link_is_not_followed_to_be_emptied) {
  test::TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "precious");
  std::ofstream(directory / "precious/data") << "x";
  std::filesystem::create_symlink("precious", directory / "link");
  BlockingPool pool;
  std::error_code outcome;
  run_on_a_worker_here(removes_a_link(pool, directory / "link", outcome));
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(std::filesystem::exists(directory / "precious/data"));
}

// ---- copying ----

Task<void> copies(std::string from, std::string to, CopyOptions options, Result<std::uint64_t>& copied) {
  copied = co_await copy_file(std::move(from), std::move(to), std::move(options));
}
TEST(CopyFile, copies_content_and_permissions_of_every_size) {
  test::TemporaryDirectory directory;
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 12'288U, 100'001U}) {
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 7 + i / 256);
    std::ofstream(directory / "from", std::ios::binary | std::ios::trunc) << content;
    ASSERT_EQ(::chmod((directory / "from").c_str(), 0754), 0);
    std::ofstream(directory / "to", std::ios::trunc) << std::string(200'000, 'z');  // longer than any
    Result<std::uint64_t> copied = 0;
    std::uint64_t last = 0;
    CopyOptions options;
    options.chunk_size = 4096;
    options.progress = [&last](std::uint64_t so_far) {
      EXPECT_GT(so_far, last);
      last = so_far;
    };
    run_on_a_worker_here(copies(directory / "from", directory / "to", options, copied));
    ASSERT_TRUE(copied) << copied.error().message();
    EXPECT_EQ(*copied, size);
    EXPECT_EQ(last, size);
    EXPECT_EQ(content_of(directory / "to"), content);
    struct stat status{};
    ASSERT_EQ(::stat((directory / "to").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0754U);
  }
}
TEST(CopyFile, refuses_what_would_lose_data) {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "file") << "precious";
  Result<std::uint64_t> copied = 0;
  run_on_a_worker_here(copies(directory / "file", directory / "file", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::invalid_argument) << "onto itself";
  EXPECT_EQ(content_of(directory / "file"), "precious");
  run_on_a_worker_here(copies(directory / "", directory / "x", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::is_a_directory);
  run_on_a_worker_here(copies("/dev/zero", directory / "x", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::invalid_argument) << "it would never end";
  std::ofstream(directory / "other") << "also precious";
  CopyOptions keep;
  keep.overwrite = false;
  run_on_a_worker_here(copies(directory / "file", directory / "other", keep, copied));
  EXPECT_EQ(copied.error(), std::errc::file_exists);
  EXPECT_EQ(content_of(directory / "other"), "also precious");
}
TEST(CopyFile, leaves_devices_and_privileges_alone) {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "from") << "x";
  ASSERT_EQ(::chmod((directory / "from").c_str(), 04755), 0);
  Result<std::uint64_t> copied = 0;
  run_on_a_worker_here(copies(directory / "from", directory / "to", {}, copied));
  struct stat status{};
  ASSERT_EQ(::stat((directory / "to").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755U) << "not set-user-ID";
  if (::mknod((directory / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)) != 0) {
    GTEST_SKIP() << "only root makes devices";
  }
  ASSERT_EQ(::chmod((directory / "null").c_str(), 0666), 0);
  run_on_a_worker_here(copies(directory / "from", directory / "null", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::invalid_argument);
  ASSERT_EQ(::stat((directory / "null").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0666U);
}
Task<void> copies_and_throws(std::string from, std::string to, bool& caught) {
  CopyOptions options;
  options.chunk_size = 16;
  options.progress = [](std::uint64_t) { throw std::runtime_error("enough"); };
  try {
    (void)co_await copy_file(from, to, options);
  } catch (const std::runtime_error&) {
    caught = true;
  }
}
TEST(CopyFile, whose_progress_throws_leaves_no_half_file) {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "from") << std::string(100, 'x');
  bool caught = false;
  run_on_a_worker_here(copies_and_throws(directory / "from", directory / "to", caught));
  EXPECT_TRUE(caught);
  EXPECT_FALSE(std::filesystem::exists(directory / "to"));
}
Task<void> copies_until_cancelled(std::string from, std::string to) {
  std::stop_source stop;
  CopyOptions options;
  options.chunk_size = 4096;
  options.progress = [&stop](std::uint64_t) { stop.request_stop(); };
  const auto copied = co_await with_stop_token(stop.get_token(), copy_file(from, to, options));
  EXPECT_EQ(copied.error(), std::errc::operation_canceled);
}
TEST(CopyFile, that_is_cancelled_leaves_no_half_file) {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "from") << std::string(1 << 20, 'x');
  run_on_a_worker_here(copies_until_cancelled(directory / "from", directory / "to"));
  EXPECT_FALSE(std::filesystem::exists(directory / "to"));
}

// ---- watching ----

Task<void> watches(std::string path) {
  Result<Watcher> watcher = Watcher::create();
  EXPECT_TRUE(watcher);
  if (!watcher) co_return;
  EXPECT_EQ(watcher->add(path + "none").error(), std::errc::no_such_file_or_directory);
  const Result<int> watch = watcher->add(path);
  EXPECT_TRUE(watch);
  std::ofstream(path + "new") << "x";
  ::rename((path + "new").c_str(), (path + "newer").c_str());
  ::unlink((path + "newer").c_str());
  struct Expected {
    std::uint32_t what;
    const char* name;
  };
  std::uint32_t pair = 0;
  for (const auto& [what, name] :
       {Expected{IN_CREATE, "new"}, Expected{IN_MODIFY, "new"}, Expected{IN_MOVED_FROM, "new"},
        Expected{IN_MOVED_TO, "newer"}, Expected{IN_DELETE, "newer"}}) {
    const Result<WatchEvent> event = co_await watcher->next();
    EXPECT_TRUE(event);
    if (!event) co_return;
    EXPECT_EQ(event->what, what);
    EXPECT_EQ(event->name, name);
    EXPECT_EQ(event->watch, *watch);
    if (what == IN_MOVED_TO) {
      EXPECT_EQ(event->pair, pair);
    }
    pair = event->pair;
  }
  const auto nothing = co_await with_timeout(20ms, watcher->next());
  EXPECT_EQ(nothing.error(), std::errc::timed_out);
  EXPECT_TRUE(watcher->remove(*watch));
}
TEST(Watcher, tells_what_happened_in_order) {
  test::TemporaryDirectory directory;
  run_on_a_worker_here(watches(directory / ""));
}

// ---- pipes and children ----

Task<void> through_a_pipe() {
  Result<Pipe> pipe = Pipe::create();
  EXPECT_TRUE(pipe);
  const std::string much(1 << 20, 'p');
  const auto writes_all = [](PipeWriter writer, std::string_view text) -> Task<void> {
    const Result<void> put = co_await writer.write_all(bytes_of(text));
    EXPECT_TRUE(put);
    const Result<void> closed = co_await writer.close();
    EXPECT_TRUE(closed);
  };
  JoinHandle<void> writing = spawn(writes_all(std::move(pipe->writer), much));
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 4096});
  ReadStream stream = pipe->reader.stream(*pool);
  std::size_t total = 0;
  for (;;) {
    const Result<LentBuffer> piece = co_await stream.next();
    if (!piece) {
      EXPECT_TRUE(is_end(piece.error())) << piece.error().message();
      break;
    }
    total += piece->size();
  }
  co_await std::move(writing);
  EXPECT_EQ(total, much.size());
}
TEST(Pipe, carries_more_than_it_holds) { run_on_a_worker_here(through_a_pipe()); }

Task<void> talks_to_cat() {
  using Stream = ChildOptions::Stream;
  Result<Child> cat =
      Child::spawn({"cat"}, {.input = Stream::pipe, .output = Stream::pipe, .error = Stream::nothing});
  EXPECT_TRUE(cat) << cat.error().message();
  if (!cat) co_return;
  Reader lines(*cat->output());
  for (const char* const text : {"one\n", "two\n"}) {
    const Result<void> put = co_await cat->input()->write_all(bytes_of(text));
    EXPECT_TRUE(put);
    const Result<std::string_view> line = co_await lines.read_line();
    EXPECT_TRUE(line && std::string(*line) + "\n" == text);
  }
  cat->input().reset();
  const Result<std::string_view> end = co_await lines.read_line();
  EXPECT_TRUE(!end && is_end(end.error()));
  const Result<ChildExit> exit = co_await cat->wait();
  EXPECT_TRUE(exit && exit->success());
  const Result<ChildExit> twice = co_await cat->wait();
  EXPECT_EQ(twice.error(), std::errc::no_child_process);
}
TEST(Child, is_talked_to_through_pipes) {
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(talks_to_cat());
  EXPECT_EQ(test::open_descriptors(), descriptors);
}
Task<void> ends_of_children() {
  Result<Child> seven = Child::spawn({"sh", "-c", "exit 7"});
  const Result<ChildExit> code = co_await seven->wait();
  EXPECT_TRUE(code && code->code == 7 && !code->signal && !code->success());
  Result<Child> sleeper = Child::spawn({"sleep", "1000"});
  const auto patience = co_await with_timeout(10ms, sleeper->wait());
  EXPECT_EQ(patience.error(), std::errc::timed_out);
  EXPECT_TRUE(sleeper->kill(SIGTERM));
  const Result<ChildExit> killed = co_await sleeper->wait();
  EXPECT_TRUE(killed && killed->signal == SIGTERM);
  EXPECT_EQ(sleeper->kill(SIGTERM).error(), std::errc::no_such_process);
  EXPECT_EQ(Child::spawn({"no-such-program-here"}).error(), std::errc::no_such_file_or_directory);
  EXPECT_EQ(Child::spawn({}).error(), std::errc::invalid_argument);
  EXPECT_EQ(Child::spawn({std::string("a\0b", 3)}).error(), std::errc::invalid_argument);
  // SIGPIPE, which workers block, is as usual for children.
  using Stream = ChildOptions::Stream;
  Result<Child> yes =
      Child::spawn({"yes"}, {.input = Stream::nothing, .output = Stream::pipe, .error = Stream::nothing});
  yes->output().reset();
  const Result<ChildExit> broken = co_await yes->wait();
  EXPECT_TRUE(broken && broken->signal == SIGPIPE);
}
TEST(Child, ends_by_a_code_or_by_a_signal) { run_on_a_worker_here(ends_of_children()); }

Task<void> uses_standard_streams() {
  const Result<PipeWriter> out = standard_output();
  EXPECT_TRUE(out);
  const Result<void> put = co_await out->write_all(bytes_of(""));
  EXPECT_TRUE(put);
  EXPECT_TRUE(standard_error());
}
TEST(StandardStreams, are_copies) {
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(uses_standard_streams());
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

}  // namespace
}  // namespace corering
