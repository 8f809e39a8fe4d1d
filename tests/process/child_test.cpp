/// child_test.cpp — children: their streams, their end, their failure to start.
#include <csignal>
#include <sys/wait.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"

namespace corering {
namespace {

using test::DescriptorLimit;

using test::bytes_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

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
  // Workers block SIGPIPE. Children have the usual disposition.
  using Stream = ChildOptions::Stream;
  Result<Child> yes =
      Child::spawn({"yes"}, {.input = Stream::nothing, .output = Stream::pipe, .error = Stream::nothing});
  yes->output().reset();
  const Result<ChildExit> broken = co_await yes->wait();
  EXPECT_TRUE(broken && broken->signal == SIGPIPE);
}

TEST(Child, ends_by_a_code_or_by_a_signal) { run_on_a_worker_here(ends_of_children()); }

TEST(Child, that_cannot_be_watched_is_not_left_behind) {
  const Fd next(::dup(0));
  const DescriptorLimit none(static_cast<rlim_t>(next.get()) + 1);
  const Result<Child> child = Child::spawn({"sleep", "1000"});
  EXPECT_EQ(child.error(), std::errc::too_many_files_open);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD) << "no child";
}

}  // namespace
}  // namespace corering
