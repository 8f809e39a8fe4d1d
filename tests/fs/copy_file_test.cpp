/// copy_file_test.cpp — every way of copying gives the same bytes.
#include <fstream>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::content_of;

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> copies(std::string from, std::string to, CopyOptions options, Result<std::uint64_t>& copied) {
  copied = co_await copy_file(std::move(from), std::move(to), std::move(options));
}

TEST(CopyFile, copies_content_and_permissions_of_every_size) {
  test::TemporaryDirectory directory;
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 12'288U, 100'001U}) {
    std::string content(size, '\0');
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>(i * 7 + i / 256);
    test::write_content(directory / "from", content);
    ASSERT_EQ(::chmod((directory / "from").c_str(), 0754), 0);
    test::write_content(directory / "to", std::string(200'000, 'z'));  // longer than all
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
  test::write_content(directory / "file", "precious");
  Result<std::uint64_t> copied = 0;
  run_on_a_worker_here(copies(directory / "file", directory / "file", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::invalid_argument) << "onto itself";
  EXPECT_EQ(content_of(directory / "file"), "precious");
  run_on_a_worker_here(copies(directory / "", directory / "x", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::is_a_directory);
  run_on_a_worker_here(copies("/dev/zero", directory / "x", {}, copied));
  EXPECT_EQ(copied.error(), std::errc::invalid_argument) << "it would never end";
  test::write_content(directory / "other", "also precious");
  CopyOptions keep;
  keep.overwrite = false;
  run_on_a_worker_here(copies(directory / "file", directory / "other", keep, copied));
  EXPECT_EQ(copied.error(), std::errc::file_exists);
  EXPECT_EQ(content_of(directory / "other"), "also precious");
}

TEST(CopyFile, leaves_devices_and_privileges_alone) {
  test::TemporaryDirectory directory;
  test::write_content(directory / "from", "x");
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
  test::write_content(directory / "from", std::string(100, 'x'));
  bool caught = false;
  run_on_a_worker_here(copies_and_throws(directory / "from", directory / "to", caught));
  EXPECT_TRUE(caught);
  EXPECT_FALSE(test::exists(directory / "to"));
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
  test::write_content(directory / "from", std::string(1 << 20, 'x'));
  run_on_a_worker_here(copies_until_cancelled(directory / "from", directory / "to"));
  EXPECT_FALSE(test::exists(directory / "to"));
}

Task<void> copies_onto_a_fifo(std::string from, std::string fifo) {
  const Result<std::uint64_t> copied = co_await with_timeout(1h, copy_file(from, fifo));
  EXPECT_EQ(copied.error(), std::errc::invalid_argument) << copied.error().message();
}

TEST(CopyFile, does_not_wait_for_a_reader_of_a_fifo) {
  test::TemporaryDirectory directory;
  test::write_content(directory / "from", "x");
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  run_on_a_worker_here(copies_onto_a_fifo(directory / "from", fifo));
}

}  // namespace
}  // namespace corering
