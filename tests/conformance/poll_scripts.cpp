/// poll_scripts.cpp — waiting for readiness, once and again and again.
#include <cerrno>
#include <poll.h>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

SCRIPTS(Polls);

TEST_P(Polls, of_what_is_ready_answer_at_once) {
  const Pair pair = outside.socket_pair();
  outside.write(pair.theirs, "x");
  script.submit(
      {poll(1, pair.ours, POLLIN), poll(2, pair.ours, POLLOUT), poll(3, pair.ours, POLLIN | POLLOUT)});
  script.expect_in_any_order({{1, POLLIN}, {2, POLLOUT}, {3, POLLIN | POLLOUT}});
}

TEST_P(Polls, wait_for_what_is_not_ready) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN)});
  script.expect_silence();
  outside.write(pair.theirs, "x");
  script.expect({{1, POLLIN}});
  outside.write(pair.theirs, "x");
  script.expect_silence();  // it was asked once
}

TEST_P(Polls, that_wait_for_the_same_are_all_answered) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN), poll(2, pair.ours, POLLIN), poll(3, pair.ours, POLLIN)});
  outside.write(pair.theirs, "x");
  script.expect_in_any_order({{1, POLLIN}, {2, POLLIN}, {3, POLLIN}});
}

TEST_P(Polls, on_an_eventfd_a_pipe_and_a_file) {
  const int eventfd = outside.eventfd();
  const Pipe pipe = outside.pipe();
  const int file = outside.file("x");
  script.submit({poll(1, eventfd, POLLIN), poll(2, pipe.reader, POLLIN), poll(3, file, POLLIN)});
  script.expect({{3, POLLIN}});  // a file is always ready
  outside.write(pipe.writer, "x");
  script.expect({{2, POLLIN}});
  EXPECT_EQ(kernel().wake(eventfd), 0);
  script.expect({{1, POLLIN}});
}

TEST_P(Polls, see_that_the_other_end_is_gone) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN | POLLRDHUP)});
  outside.close(pair.theirs);
  script.expect({{1, POLLIN | POLLRDHUP | POLLHUP}});
}

TEST_P(Polls, see_that_nobody_writes_any_more) {
  const Pipe pipe = outside.pipe();
  script.submit({poll(1, pipe.reader, POLLIN)});
  outside.close(pipe.writer);
  script.expect({{1, POLLHUP}});
}

TEST_P(Polls, see_that_nobody_reads_any_more) {
  const Pipe pipe = outside.pipe();
  script.submit({poll(1, pipe.writer, 0)});
  outside.close(pipe.reader);
  script.expect({{1, POLLERR}});
}

TEST_P(Polls, of_nothing_wait_for_the_end_alone) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, 0)});
  outside.write(pair.theirs, "x");
  script.expect_silence();
  outside.close(pair.theirs);
  script.expect({{1, POLLHUP | POLLRDHUP}});  // these and POLLERR are told unasked
}

TEST_P(Polls, of_what_is_not_open_say_so) {
  script.submit({poll(1, -1, POLLIN), poll(2, 9999, POLLIN)});
  script.expect({{1, -EBADF}, {2, -EBADF}});
}

TEST_P(Polls, that_repeat_answer_each_time) {
  const Pair pair = outside.socket_pair();
  script.submit({poll_multishot(1, pair.ours, POLLIN)});
  script.expect_silence();
  for (int i = 0; i < 3; ++i) {
    outside.write(pair.theirs, "x");
    script.expect({{1, POLLIN, more}});
  }
  script.expect_silence();  // unread bytes alone are no news
}

TEST_P(Polls, that_repeat_answer_at_once_what_is_ready) {
  const Pair pair = outside.socket_pair();
  outside.write(pair.theirs, "x");
  script.submit({poll_multishot(1, pair.ours, POLLIN)});
  script.expect({{1, POLLIN, more}});
  EXPECT_EQ(outside.read(pair.ours, 8), "x");
  script.expect_silence();
  outside.write(pair.theirs, "y");
  script.expect({{1, POLLIN, more}});
}

TEST_P(Polls, that_repeat_on_an_eventfd_answer_each_wake) {
  const int eventfd = outside.eventfd();
  script.submit({poll_multishot(1, eventfd, POLLIN)});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(kernel().wake(eventfd), 0);
    script.expect({{1, POLLIN, more}});
  }
}

TEST_P(Polls, that_repeat_end_when_they_are_removed) {
  const Pair pair = outside.socket_pair();
  script.submit({poll_multishot(1, pair.ours, POLLIN)});
  outside.write(pair.theirs, "x");
  script.expect({{1, POLLIN, more}});
  script.submit({poll_remove(2, 1)});
  script.expect_in_any_order({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Polls, can_be_removed_once) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN)});
  script.submit({poll_remove(2, 1)});
  script.expect_in_any_order({{2, 0}, {1, -ECANCELED}});
  script.submit({poll_remove(3, 1)});
  script.expect({{3, -ENOENT}});
}

TEST_P(Polls, are_not_found_under_the_name_of_another_request) {
  script.submit({timeout(1, 1h)});
  script.submit({poll_remove(2, 1)});
  script.expect({{2, -ENOENT}});
}

TEST_P(Polls, can_wait_for_something_else) {
  if (is_linux({"6.16.12", "6.17.13"})) GTEST_SKIP() << "on this Linux such a poll never completes";
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN)});
  script.submit({poll_update(2, 1, POLLIN | POLLOUT)});
  script.expect_in_any_order({{2, 0}, {1, POLLOUT}});
}

TEST_P(Polls, that_wait_for_something_else_no_longer_wait_for_what_they_did) {
  if (is_linux({"6.16.12", "6.17.13"})) GTEST_SKIP() << "on this Linux such a poll never completes";
  const Pair pair = outside.socket_pair();
  outside.fill(pair.ours);
  script.submit({poll(1, pair.ours, POLLIN)});
  script.submit({poll_update(2, 1, POLLOUT)});
  script.expect({{2, 0}});
  outside.write(pair.theirs, "x");
  script.expect_silence();
  outside.drain(pair.theirs);
  script.expect({{1, POLLOUT}});
}

TEST_P(Polls, can_be_given_another_name) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN)});
  script.submit({poll_rename(2, 1, 77)});
  script.expect({{2, 0}});
  outside.write(pair.theirs, "x");
  script.expect({{77, POLLIN}});
}

TEST_P(Polls, that_are_unknown_are_not_updated) {
  script.submit({poll_update(1, 99, POLLIN), poll_rename(2, 99, 98)});
  script.expect({{1, -ENOENT}, {2, -ENOENT}});
}

TEST_P(Polls, stay_with_the_file_when_its_number_is_closed) {
  DIFFERS_WHEN_EMULATED("a request does not keep a file whose number is closed");
  const Pipe pipe = outside.pipe();
  script.submit({poll(1, pipe.reader, POLLIN)});
  outside.close(pipe.reader);
  script.expect_silence();
  outside.write(pipe.writer, "x");
  script.expect({{1, POLLIN}});
}

TEST_P(Polls, in_a_chain_start_what_reads) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({poll(1, pair.ours, POLLIN).linked(), recv(2, pair.ours, into)});
  outside.write(pair.theirs, "hello");
  script.expect({{1, POLLIN}, {2, 5}});
}

TEST_P(Polls, of_a_connection_see_the_listener) {
  const TcpListener listener = outside.tcp_listener();
  script.submit({poll(1, listener.fd, POLLIN)});
  script.expect_silence();
  outside.connected_to(listener.address);
  script.expect({{1, POLLIN}});
}

}  // namespace
}  // namespace corering::conformance
