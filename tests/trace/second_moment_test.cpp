/// second_moment_test.cpp — how long a tick is, in the file of a program that died before it could say so.
#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "trace/layout.hpp"
#include "trace/read_recording.hpp"
#include "trace/ticks.hpp"

namespace corering::trace {
namespace {

std::vector<std::int64_t> times_in(const Recording& recording) {
  std::vector<std::int64_t> times;
  for (const ThreadRecording& thread : recording.threads) {
    for (const TimedEvent& event : thread.events) times.push_back(event.ns);
  }
  return times;
}

enum class Ends { in_order, killed };

/// Writes a file with 500 events.
void record_in_a_child(const std::string& path, Ends ends) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!start({.file = path})) ::_exit(1);
    std::thread([] {
      for (std::uint64_t i = 0; i < 500; ++i) record(Kind::remark, no_opcode, nullptr, i, i);
    }).join();
    if (ends == Ends::killed) ::kill(::getpid(), SIGKILL);
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST(SecondMoment, is_the_same_for_all_who_read_the_file) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  for (const Ends ends : {Ends::in_order, Ends::killed}) {
    record_in_a_child(path, ends);
    const std::vector<std::int64_t> first = times_in(open_recording(path).value());
    EXPECT_EQ(first.size(), 500U);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(times_in(open_recording(path).value()), first);
    std::filesystem::remove(path);
  }
}

/// Changes the file as if its program had begun just now and had died at once, with this number for its
/// second moment.
void end_at_once(const std::filesystem::path& path, std::uint64_t number) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  layout::FileHead head;
  file.read(reinterpret_cast<char*>(&head), sizeof head);
  head.started = head.latest = moment_now();
  head.latest_number = number;
  file.seekp(0).write(reinterpret_cast<const char*>(&head), sizeof head);
}

TEST(SecondMoment, is_written_once_by_who_reads_the_file) {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "t.crt";
  record_in_a_child(path, Ends::in_order);
  for (const std::uint64_t number : {0, 2, 3}) {  // 3: it died while it wrote
    end_at_once(path, number);
    const std::vector<std::int64_t> first = times_in(open_recording(path).value());
    for (int i = 0; i < 5; ++i) ASSERT_EQ(times_in(open_recording(path).value()), first) << number;
  }
}

}  // namespace
}  // namespace corering::trace
