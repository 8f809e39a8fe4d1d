/// directory_test.cpp — making, walking and removing trees, with no way out of them.
#include <fstream>

#include "support/story.hpp"
#include "support/streaming.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

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
  test::write_content(directory / "a/file", "x");
  test::write_content(directory / "a/b/deep", "x");
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
  test::write_content(deep / "file", "x");
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
  test::write_content(directory / "precious/data", "x");
  std::filesystem::create_symlink("precious", directory / "link");
  BlockingPool pool;
  std::error_code outcome;
  run_on_a_worker_here(removes_a_link(pool, directory / "link", outcome));
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(std::filesystem::exists(directory / "precious/data"));
}

Task<void> removes(BlockingPool& pool, std::string path) {
  const Directory directory(path);
  const Result<void> gone = co_await directory.remove_all(pool);
  EXPECT_TRUE(gone) << gone.error().message();
  EXPECT_FALSE(std::filesystem::exists(path));
}

// Each directory has another one next to the way down, so the way goes up and down again.
TEST(Directory, may_be_deeper_than_there_are_descriptors_when_it_is_removed) {
  test::TemporaryDirectory directory;
  std::string path = directory / "top";
  for (int depth = 0; depth < 200; ++depth) {
    std::filesystem::create_directories(path + "/a/b");
    test::write_content(path + "/a/file", "x");
    std::filesystem::create_directories(path += "/down");
    std::filesystem::create_directories(path + "/x/y");
  }
  BlockingPool pool;
  const test::DescriptorLimit few(64);
  run_on_a_worker_here(removes(pool, directory / "top"));
}

/// Makes a tree and removes it, where there is nothing else: no /proc.
bool removes_without_proc() {
  test::TemporaryDirectory jail;
  if (::chroot((jail / "").c_str()) != 0 || ::chdir("/") != 0) return false;
  const auto story = [](BlockingPool& pool) -> Task<void> {
    const Directory deep("/a/b/c");
    const Result<void> made = co_await deep.create_all();
    EXPECT_TRUE(made);
    test::write_content("/a/b/file", "x");
    const Directory top("/a");
    const Result<void> gone = co_await top.remove_all(pool);
    EXPECT_TRUE(gone) << gone.error().message();
  };
  BlockingPool pool;
  run_on_a_worker_here(story(pool));
  return !testing::Test::HasFailure() && ::access("/a", F_OK) != 0;
}

TEST(DirectoryDeathTest, is_removed_where_there_is_no_proc) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may change its root directory";
  EXPECT_EXIT(::_exit(removes_without_proc() ? 0 : 1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace corering
