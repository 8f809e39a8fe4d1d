/// added_threads_test.cpp — what a tool adds to a file that another version of the library has written.
#include <algorithm>
#include <fstream>
#include <string_view>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "trace/layout.hpp"

namespace corering::trace {
namespace {

void change(const std::filesystem::path& path, std::size_t at, const void* bytes, std::size_t count) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
}

void name_kind(const std::filesystem::path& path, std::uint32_t number, std::string_view name) {
  std::array<char, layout::kind_name_bytes> text{};
  name.copy(text.data(), text.size() - 1);
  change(path, layout::kinds_offset + number * text.size(), text.data(), text.size());
}

void count_kinds(const std::filesystem::path& path, std::uint32_t count) {
  change(path, offsetof(layout::FileHead, kind_count), &count, sizeof count);
}

ThreadRecording thread_with(Kind kind) {
  return {.tid = 3, .name = "added", .events = {{.ns = 8, .id = 5, .a = 6, .b = 7, .kind = kind}}};
}

/// A file that has `await` for its own event, and knows only three kinds.
class OlderFile : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_recording(path_, {.threads = {thread_with(Kind::sync_wait_end)}}));
    name_kind(path_, 1, "kernel_ended");
    name_kind(path_, 2, "await");  // where sync_wait_end is now
    count_kinds(path_, 3);
  }

  [[nodiscard]] std::vector<Kind> kinds() const {
    std::vector<Kind> found;
    const Recording read = open_recording(path_).value();
    for (const ThreadRecording& thread : read.threads) {
      for (const TimedEvent& event : thread.events) found.push_back(event.kind);
    }
    return found;
  }

  test::TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_ / "t.crt";
};

TEST_F(OlderFile, gets_the_numbers_that_its_kinds_have) {
  const std::vector<ThreadRecording> more = {thread_with(Kind::kernel_ended), thread_with(Kind::await)};
  ASSERT_TRUE(add_threads(path_, more));
  EXPECT_EQ(kinds(), (std::vector{Kind::await, Kind::kernel_ended, Kind::await}));
}

TEST_F(OlderFile, learns_kinds_that_it_does_not_know) {
  const std::vector<ThreadRecording> more = {thread_with(Kind::remark), thread_with(Kind::kernel_ended)};
  ASSERT_TRUE(add_threads(path_, more));
  EXPECT_EQ(kinds(), (std::vector{Kind::await, Kind::remark, Kind::kernel_ended}));
}

TEST_F(OlderFile, is_left_alone_when_it_has_no_room_for_another_kind) {
  for (std::uint32_t i = 0; i < 256; ++i) name_kind(path_, i, "kind " + std::to_string(i));
  count_kinds(path_, 256);
  const std::vector<ThreadRecording> more = {thread_with(Kind::remark)};
  EXPECT_EQ(add_threads(path_, more).error(), std::errc::argument_list_too_long);
  EXPECT_EQ(kinds(), std::vector{Kind::none});
}

}  // namespace
}  // namespace corering::trace
