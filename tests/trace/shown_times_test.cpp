/// shown_times_test.cpp — the times that workers show in a trace file, also while these are being written.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "trace/layout.hpp"
#include "trace/read_recording.hpp"
#include "trace/stopped.hpp"

namespace corering::trace {
namespace {

const RecordedTimes* times_of(const Recording& read, std::string_view kind) {
  const auto found = std::ranges::find(read.times, kind, &RecordedTimes::kind);
  return found == read.times.end() ? nullptr : &*found;
}

TEST(ShownTimes, keep_their_place_when_another_kind_comes_before_them) {
  const Stopped at_end;
  ASSERT_TRUE(start(64));
  Histogram one, two;
  one.add(7);
  show_times({{{.kind = "send", .stage = "total", .errors = 3, .ticks = &one}}});
  two.add(5);
  two.add(5);
  show_times({{{.kind = "read", .stage = "total", .ticks = &two},
               {.kind = "send", .stage = "total", .errors = 4, .ticks = &one}}});
  const Recording read = recording();
  ASSERT_EQ(read.times.size(), 2U);
  EXPECT_EQ(read.times[0].kind, "send");
  EXPECT_EQ(read.times[0].errors, 4U);
  ASSERT_NE(times_of(read, "read"), nullptr);
  EXPECT_EQ(times_of(read, "read")->ticks->count(), 2U);
}

/// A file of which a worker writes the times while the second one is read: each has one error more then.
class WrittenMeanwhile final : public ByteSource {
 public:
  explicit WrittenMeanwhile(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  [[nodiscard]] std::size_t read(std::uint64_t offset, void* into, std::size_t bytes) const override {
    if (offset == entry(1) && !std::exchange(is_written_, true)) {
      add(ring + offsetof(layout::RingHead, times_number), 2);
      for (const int i : {0, 1}) add(entry(i) + offsetof(layout::TimesEntry, errors), 1);
    }
    return MemorySource(bytes_).read(offset, into, bytes);
  }

  void add(std::size_t offset, std::uint64_t more) const {
    std::uint64_t word = 0;
    std::memcpy(&word, &bytes_.at(offset), sizeof word);
    word += more;
    std::memcpy(&bytes_.at(offset), &word, sizeof word);
  }

  static constexpr std::size_t ring = layout::first_ring_offset + layout::bytes_of_ring(64);

 private:
  static constexpr std::size_t entry(std::size_t i) {
    return ring + layout::page + i * sizeof(layout::TimesEntry);
  }

  mutable std::vector<std::byte> bytes_;
  mutable bool is_written_ = false;
};

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

std::vector<std::byte> file_with_times() {
  const Stopped at_end;
  const test::TemporaryDirectory directory;
  EXPECT_TRUE(start({.events_per_thread = 64, .file = directory / "t.crt"}));
  const Histogram ticks;
  show_times({{{.kind = "read", .stage = "total", .errors = 1, .ticks = &ticks},
               {.kind = "send", .stage = "total", .errors = 1, .ticks = &ticks}}});
  return bytes_of(directory / "t.crt");
}

TEST(ShownTimes, are_read_again_when_they_were_written_meanwhile) {
  const Recording read = read_recording(WrittenMeanwhile(file_with_times())).value();
  ASSERT_EQ(read.times.size(), 2U);
  EXPECT_EQ(read.times[0].errors, 2U);
  EXPECT_EQ(read.times[1].errors, 2U);
}

TEST(ShownTimes, of_a_process_that_was_killed_while_it_wrote_them_are_there) {
  const WrittenMeanwhile source(file_with_times());
  source.add(WrittenMeanwhile::ring + offsetof(layout::RingHead, times_number), 1);
  EXPECT_EQ(read_recording(source)->times.size(), 2U);
}

}  // namespace
}  // namespace corering::trace
