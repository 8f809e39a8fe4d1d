/// links_scripts.cpp — chains: what starts what, and what a failure takes along.
#include <cerrno>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

SCRIPTS(Links);

TEST_P(Links, run_in_their_order) {
  script.submit({nop(1).linked(), nop(2).linked(), nop(3)});
  script.expect({{1, 0}, {2, 0}, {3, 0}});
}

TEST_P(Links, wait_for_the_one_before) {
  const Pipe pipe = outside.pipe();
  std::string& into = outside.room(8);
  script.submit({read(1, pipe.reader, into).linked(), nop(2)});
  script.expect_silence();
  outside.write(pipe.writer, "12345678");
  script.expect({{1, 8}, {2, 0}});
}

TEST_P(Links, first_failure_cancels_the_rest) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).linked(), nop(2).linked(), nop(3)});
  script.expect({{1, -EBADF}, {2, -ECANCELED}, {3, -ECANCELED}});
}

TEST_P(Links, failure_in_the_middle_cancels_what_comes_after) {
  std::string& into = outside.room(8);
  script.submit({nop(1).linked(), read(2, -1, into).linked(), nop(3)});
  script.expect({{1, 0}, {2, -EBADF}, {3, -ECANCELED}});
}

TEST_P(Links, failure_of_the_last_harms_nobody) {
  std::string& into = outside.room(8);
  script.submit({nop(1).linked(), read(2, -1, into), nop(3)});
  script.expect_in_any_order({{1, 0}, {2, -EBADF}, {3, 0}});
}

TEST_P(Links, new_chain_after_a_failed_one_runs) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).linked(), nop(2), nop(3).linked(), nop(4)});
  script.expect_in_any_order({{1, -EBADF}, {2, -ECANCELED}, {3, 0}, {4, 0}});
}

TEST_P(Links, two_chains_wait_for_different_things) {
  const Pipe first = outside.pipe();
  const Pipe second = outside.pipe();
  std::string& into = outside.room(1);
  std::string& other = outside.room(1);
  script.submit({read(1, first.reader, into).linked(), nop(2)});
  script.submit({read(3, second.reader, other).linked(), nop(4)});
  outside.write(second.writer, "b");
  script.expect({{3, 1}, {4, 0}});
  outside.write(first.writer, "a");
  script.expect({{1, 1}, {2, 0}});
}

TEST_P(Links, short_read_breaks_the_chain) {
  const int file = outside.file("12345");
  std::string& into = outside.room(8);
  script.submit({read(1, file, into, 0).linked(), nop(2)});
  script.expect({{1, 5}, {2, -ECANCELED}});
}

TEST_P(Links, short_receive_breaks_only_a_chain_that_waits_for_all) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  outside.write(pair.theirs, "12345");
  script.submit({recv(1, pair.ours, into).linked(), nop(2)});
  script.expect({{1, 5}, {2, 0}});
  outside.write(pair.theirs, "12345");
  outside.close(pair.theirs);
  script.submit({recv(3, pair.ours, into, MSG_WAITALL).linked(), nop(4)});
  script.expect({{3, 5}, {4, -ECANCELED}});
}

TEST_P(Links, hard_link_survives_a_short_read) {
  const int file = outside.file("12345");
  std::string& into = outside.room(8);
  script.submit({read(1, file, into, 0).hard_linked(), nop(2)});
  script.expect({{1, 5}, {2, 0}});
}

TEST_P(Links, hard_link_survives_a_failure) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).hard_linked(), nop(2).hard_linked(), nop(3)});
  script.expect({{1, -EBADF}, {2, 0}, {3, 0}});
}

TEST_P(Links, soft_link_after_a_hard_one_breaks) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).hard_linked(), read(2, -1, into).linked(), nop(3)});
  script.expect({{1, -EBADF}, {2, -EBADF}, {3, -ECANCELED}});
}

TEST_P(Links, chain_ends_with_the_enter) {
  const Pipe pipe = outside.pipe();
  std::string& into = outside.room(1);
  script.submit({read(1, pipe.reader, into).linked()});
  script.submit({nop(2)});
  script.expect({{2, 0}});  // it does not wait for the read
  outside.write(pipe.writer, "a");
  script.expect({{1, 1}});
}

TEST_P(Links, invalid_request_in_a_chain_fails_all_of_it) {
  script.submit({nop(1).linked(), request(2, static_cast<Opcode>(200)).linked(), nop(3), nop(4)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -EINVAL}, {3, -ECANCELED}, {4, 0}});
}

TEST_P(Links, skipped_successes_leave_the_last_answer) {
  script.submit({nop(1).linked().skipping(), nop(2).linked().skipping(), nop(3)});
  script.expect({{3, 0}});
}

TEST_P(Links, failure_that_was_to_be_skipped_is_the_only_answer_of_its_chain) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).linked().skipping(), nop(2).linked(), nop(3)});
  script.expect({{1, -EBADF}});
}

TEST_P(Links, failure_cancels_aloud_what_was_to_be_skipped) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).linked(), nop(2).linked().skipping(), nop(3).skipping()});
  script.expect({{1, -EBADF}, {2, -ECANCELED}, {3, -ECANCELED}});
}

TEST_P(Links, cancelling_the_first_cancels_the_rest) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), nop(2)});
  script.submit({cancel(3, 1)});
  script.expect({{3, 0}, {1, -ECANCELED}, {2, -ECANCELED}});
}

TEST_P(Links, cancelling_the_first_of_a_hard_chain_starts_the_second) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).hard_linked(), nop(2)});
  script.submit({cancel(3, 1)});
  script.expect({{3, 0}, {1, -ECANCELED}, {2, 0}});
}

TEST_P(Links, one_that_has_not_started_is_not_found_by_a_cancel) {
  const Pipe pipe = outside.pipe();
  std::string& into = outside.room(1);
  script.submit({read(1, pipe.reader, into).linked(), nop(2)});
  script.submit({cancel(3, 2)});
  script.expect({{3, -ENOENT}});
  outside.write(pipe.writer, "a");
  script.expect({{1, 1}, {2, 0}});
}

TEST_P(Links, carry_bytes_from_one_request_to_the_next) {
  const int from = outside.file("through the ring");
  const int to = outside.file("");
  std::string& buffer = outside.room(16);
  script.submit(
      {read(1, from, buffer, 0).linked(), write(2, to, buffer, 0).linked(), request(3, Opcode::fsync, to)});
  script.expect({{1, 16}, {2, 16}, {3, 0}});
  std::string& check = outside.room(16);
  script.submit({read(4, to, check, 0)});
  script.expect({{4, 16}});
  EXPECT_EQ(check, "through the ring");
}

TEST_P(Links, with_a_helper_keep_their_order) {
  script.submit({nop(1).async().linked(), nop(2).linked(), nop(3).async()});
  script.expect({{1, 0}, {2, 0}, {3, 0}});
}

// ---- link timeouts ----

SCRIPTS(LinkTimeouts);

TEST_P(LinkTimeouts, end_a_request_that_takes_too_long) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 2ms)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ETIME}});
}

TEST_P(LinkTimeouts, are_cancelled_when_the_request_ends_first) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 1h)});
  script.expect_silence();
  outside.write(pair.theirs, "hello");
  script.expect_in_any_order({{1, 5}, {2, -ECANCELED}});
}

TEST_P(LinkTimeouts, are_cancelled_when_the_request_ends_at_once) {
  script.submit({nop(1).linked(), link_timeout(2, 1h)});
  script.expect_in_any_order({{1, 0}, {2, -ECANCELED}});
}

TEST_P(LinkTimeouts, are_cancelled_when_the_request_fails_at_once) {
  std::string& into = outside.room(8);
  script.submit({read(1, -1, into).linked(), link_timeout(2, 1h)});
  script.expect_in_any_order({{1, -EBADF}, {2, -ECANCELED}});
}

TEST_P(LinkTimeouts, are_cancelled_when_the_request_is_cancelled) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 1h)});
  script.submit({cancel(3, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ECANCELED}, {3, 0}});
}

TEST_P(LinkTimeouts, that_fire_break_the_chain) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 2ms).linked(), nop(3)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ETIME}, {3, -ECANCELED}});
}

TEST_P(LinkTimeouts, that_do_not_fire_let_the_chain_go_on) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 1h).linked(), nop(3)});
  outside.write(pair.theirs, "hello");
  script.expect_in_any_order({{1, 5}, {2, -ECANCELED}, {3, 0}});
}

TEST_P(LinkTimeouts, on_a_hard_link_start_the_next_when_they_fire) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).hard_linked(), link_timeout(2, 2ms).hard_linked(), nop(3)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ETIME}, {3, 0}});
}

TEST_P(LinkTimeouts, at_a_time_that_has_passed_fire_at_once) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 1ns, uapi::timeout_abs)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ETIME}});
}

TEST_P(LinkTimeouts, without_a_request_before_are_invalid) {
  script.submit({link_timeout(1, 1h), nop(2)});
  script.expect({{1, -EINVAL}, {2, 0}});
}

TEST_P(LinkTimeouts, can_be_moved) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 1h)});
  script.submit({timeout_update(3, 2, 2ms, uapi::link_timeout_update)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, -ETIME}, {3, 0}});
}

TEST_P(LinkTimeouts, are_not_timeouts_that_can_be_removed) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).linked(), link_timeout(2, 1h)});
  script.submit({timeout_remove(3, 2)});
  script.expect({{3, -ENOENT}});
  outside.write(pair.theirs, "hello");
  script.expect_in_any_order({{1, 5}, {2, -ECANCELED}});
}

}  // namespace
}  // namespace corering::conformance
