/// child_test.cpp — children: their streams, their end, their failure to start.
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <vector>

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

/// While this exists, the process ignores SIGCHLD.
class IgnoredSigchld {
 public:
  IgnoredSigchld() { before_ = ::signal(SIGCHLD, SIG_IGN); }
  IgnoredSigchld(IgnoredSigchld&&) = delete;
  ~IgnoredSigchld() { ::signal(SIGCHLD, before_); }

 private:
  void (*before_)(int) = nullptr;
};

Task<void> has_no_status() {
  for (int i = 0; i < 50; ++i) {  // some of them have ended when spawn() looks at them, others later
    Result<Child> child = Child::spawn({"true"});
    EXPECT_TRUE(child) << child.error().message();
    if (!child) co_return;
    const Result<ChildExit> ended = co_await child->wait();
    EXPECT_EQ(ended.error(), std::errc::no_child_process);
    EXPECT_EQ(ended.error(), make_error_code(ChildErrc::status_unknown)) << ended.error().message();
    Result<void> killed = child->kill(SIGKILL);
    while (killed) killed = child->kill(SIGKILL);  // the kernel takes a moment to forget it
    EXPECT_EQ(killed.error(), std::errc::no_such_process);
  }
}

TEST(Child, is_waited_for_without_its_status_when_sigchld_is_ignored) {
  const IgnoredSigchld ignored;
  run_on_a_worker_here(has_no_status());
}

TEST(Child, that_cannot_be_watched_is_left_alone_if_its_number_may_be_anothers) {
  const IgnoredSigchld ignored;
  std::array<int, 2> to{}, from{};
  ASSERT_EQ(::pipe(to.data()) + ::pipe(from.data()), 0);  // the child inherits them
  {
    const DescriptorLimit few(64);
    std::vector<Fd> all;  // the child does not get them, and so it has room
    do {
      all.emplace_back(::fcntl(0, F_DUPFD_CLOEXEC, 0));
    } while (all.back().is_open());
    const std::string copy = "exec cat <&" + std::to_string(to[0]) + " >&" + std::to_string(from[1]) + " " +
                             std::to_string(to[1]) + ">&-";
    const Result<Child> child = Child::spawn({"sh", "-c", copy});
    EXPECT_EQ(child.error(), std::errc::too_many_files_open);
  }
  EXPECT_EQ(::write(to[1], "alive", 5), 5);
  ::close(to[1]);
  ::close(from[1]);
  std::array<char, 8> text{};
  EXPECT_EQ(::read(from[0], text.data(), text.size()), 5) << "it has not been killed";
  ::close(to[0]);
  ::close(from[0]);
}

/// Runs `story` in a child process that has none of these standard streams, and expects it to succeed.
void succeeds_without(std::initializer_list<int> streams, bool (*story)()) {
  EXPECT_EXIT(
      {
        for (const int stream : streams) ::close(stream);
        ::_exit(story() ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

Task<void> asks_both(bool& right) {
  using Stream = ChildOptions::Stream;
  const std::vector<std::string> script = {"sh", "-c", "read a; echo out $a; echo err >&2"};
  Result<Child> child =
      Child::spawn(script, {.input = Stream::pipe, .output = Stream::pipe, .error = Stream::pipe});
  if (!child) co_return;
  const bool above =
      child->input()->fd().get() > 2 && child->output()->fd().get() > 2 && child->error()->fd().get() > 2;
  const Result<void> asked = co_await child->input()->write_all(bytes_of("x\n"));
  Reader output(*child->output()), error(*child->error());
  const Result<std::string_view> out = co_await output.read_line();
  const Result<std::string_view> err = co_await error.read_line();
  const Result<ChildExit> exit = co_await child->wait();
  right = above && asked && out && *out == "out x" && err && *err == "err" && exit && exit->success();
}
Task<void> silences_two(bool& right) {
  using Stream = ChildOptions::Stream;
  const std::vector<std::string> script = {"sh", "-c", "echo out; echo err >&2"};
  Result<Child> child =
      Child::spawn(script, {.input = Stream::nothing, .output = Stream::nothing, .error = Stream::pipe});
  if (!child) co_return;
  Reader error(*child->error());
  const Result<std::string_view> err = co_await error.read_line();
  const Result<ChildExit> exit = co_await child->wait();
  right = right && err && *err == "err" && exit && exit->success();
}
bool talks_to_children() {
  bool right = false;
  run_on_a_worker_here(asks_both(right));
  if (right) run_on_a_worker_here(silences_two(right));
  return right;
}

TEST(ChildDeathTest, has_its_own_streams_when_this_process_has_none) {
  succeeds_without({0}, talks_to_children);
  succeeds_without({1}, talks_to_children);
  succeeds_without({0, 1}, talks_to_children);
  succeeds_without({1, 2}, talks_to_children);
  succeeds_without({0, 1, 2}, talks_to_children);
}

}  // namespace
}  // namespace corering
