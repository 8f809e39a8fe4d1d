/// list_directory_test.cpp — the names in a directory.
#include <sched.h>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<void> lists(BlockingPool& pool, std::string path, std::vector<std::string>& names) {
  const auto entries = co_await list_directory(pool, path);
  EXPECT_TRUE(entries) << entries.error().message();
  if (entries) {
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
  }
  const auto missing = co_await list_directory(pool, path + "/missing");
  EXPECT_EQ(missing.error(), std::errc::no_such_file_or_directory);
}

TEST(ListDirectory, names_every_entry_in_order) {
  const test::TemporaryDirectory directory;
  for (const char* const name : {"b", "a", "c"}) {
    const Fd file(::open((directory / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file.is_open());
  }
  BlockingPool pool;
  std::vector<std::string> names;
  test::run_on_a_worker_here(lists(pool, directory / "", names));
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace corering
