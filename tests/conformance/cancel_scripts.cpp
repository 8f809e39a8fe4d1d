/// cancel_scripts.cpp — cancelling in all its forms: what is found, what is counted, who is answered first.
#include <cerrno>
#include <poll.h>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

SCRIPTS(Cancels);

TEST_P(Cancels, are_answered_before_what_they_cancel) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into)});
  script.submit({cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Cancels, find_nothing_under_an_unknown_name) {
  script.submit({cancel(1, 99)});
  script.expect({{1, -ENOENT}});
}

TEST_P(Cancels, find_nothing_that_has_completed) {
  script.submit({nop(1), cancel(2, 1)});
  script.expect({{1, 0}, {2, -ENOENT}});
}

TEST_P(Cancels, handed_over_before_their_target_leave_it_alone) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({cancel(1, 2), recv(2, pair.ours, into)});
  script.expect({{1, -ENOENT}});
  outside.write(pair.theirs, "hello");
  script.expect({{2, 5}});
}

TEST_P(Cancels, handed_over_after_their_target_in_one_enter_find_it) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into), cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Cancels, end_an_accept_a_poll_and_a_read) {
  const TcpListener listener = outside.tcp_listener();
  const Pair pair = outside.socket_pair();
  const Pipe pipe = outside.pipe();
  std::string& into = outside.room(8);
  script.submit({accept(1, listener.fd), poll(2, pair.ours, POLLIN), read(3, pipe.reader, into)});
  script.submit({cancel(11, 1), cancel(12, 2), cancel(13, 3)});
  script.expect_in_any_order({{11, 0}, {12, 0}, {13, 0}, {1, -ECANCELED}, {2, -ECANCELED}, {3, -ECANCELED}});
}

TEST_P(Cancels, end_a_send_that_waits_for_room) {
  const Pair pair = outside.socket_pair();
  outside.fill(pair.ours);
  script.submit({send(1, pair.ours, "no room for this")});
  script.expect_silence();
  script.submit({cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Cancels, end_one_of_two_of_the_same_name_or_both) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({poll(1, pair.ours, POLLIN), recv(1, pair.ours, into), cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
  script.submit({poll(1, pair.ours, POLLIN), cancel(3, 1, uapi::cancel_all)});
  script.expect_in_any_order({{3, 2}, {1, -ECANCELED}, {1, -ECANCELED}});
}

TEST_P(Cancels, of_a_descriptor_end_one_request) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN), poll(1, pair.ours, POLLIN)});
  script.submit({cancel_of_fd(2, pair.ours)});
  script.expect_in_any_order({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Cancels, of_a_descriptor_end_all_its_requests_and_count_them) {
  const Pair pair = outside.socket_pair();
  const Pair other = outside.socket_pair();
  std::string& into = outside.room(8);
  std::string& too = outside.room(8);
  script.submit({poll(1, pair.ours, POLLIN), recv(2, pair.ours, into), recv(3, other.ours, too)});
  script.submit({cancel_of_fd(9, pair.ours, uapi::cancel_all)});
  script.expect_in_any_order({{9, 2}, {1, -ECANCELED}, {2, -ECANCELED}});
  outside.write(other.theirs, "hello");
  script.expect({{3, 5}});
}

TEST_P(Cancels, of_a_descriptor_without_requests_find_nothing) {
  const Pair pair = outside.socket_pair();
  script.submit({cancel_of_fd(1, pair.ours), cancel_of_fd(2, pair.ours, uapi::cancel_all)});
  script.expect({{1, -ENOENT}, {2, 0}});
}

TEST_P(Cancels, of_a_descriptor_that_is_not_open_say_so) {
  script.submit({cancel_of_fd(1, 9999)});
  script.expect({{1, -EBADF}});
}

TEST_P(Cancels, of_a_slot_end_the_requests_on_its_file) {
  DIFFERS_WHEN_EMULATED("a cancel finds requests that name the file in the same way");
  NOT_SIMULATED("cancels that compare files: they compare how the file is named");
  const Pair pair = outside.socket_pair();
  FileTable table(script, 2);
  table.put(1, pair.ours);
  std::string& into = outside.room(8);
  script.submit({recv(1, 1, into).in_slot(), poll(2, pair.ours, POLLIN)});
  script.submit({cancel_of_fd(9, 1, uapi::cancel_all | uapi::cancel_fd_fixed)});
  script.expect_in_any_order({{9, 2}, {1, -ECANCELED}, {2, -ECANCELED}});
}

TEST_P(Cancels, of_an_empty_slot_say_so) {
  FileTable table(script, 2);
  script.submit({cancel_of_fd(9, 1, uapi::cancel_fd_fixed)});
  script.expect({{9, -EBADF}});
}

TEST_P(Cancels, of_an_opcode_end_all_of_its_kind) {
  NEEDS(Feature::cancel_by_opcode);
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({poll(1, pair.ours, POLLIN), recv(2, pair.ours, into), poll(3, pair.ours, POLLIN)});
  script.submit({cancel_of_opcode(9, Opcode::poll_add, uapi::cancel_all)});
  script.expect_in_any_order({{9, 2}, {1, -ECANCELED}, {3, -ECANCELED}});
  script.submit({cancel_of_opcode(10, Opcode::poll_add), cancel_of_opcode(11, Opcode::recv)});
  script.expect_in_any_order({{10, -ENOENT}, {11, 0}, {2, -ECANCELED}});
}

TEST_P(Cancels, of_an_opcode_on_a_descriptor_need_both) {
  NEEDS(Feature::cancel_by_opcode);
  const Pair pair = outside.socket_pair();
  const Pair other = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({poll(1, pair.ours, POLLIN), recv(2, pair.ours, into), poll(3, other.ours, POLLIN)});
  Entry both = cancel_of_opcode(9, Opcode::poll_add, uapi::cancel_all | uapi::cancel_fd);
  both.sqe.fd = pair.ours;
  script.submit({both});
  script.expect_in_any_order({{9, 1}, {1, -ECANCELED}});
}

TEST_P(Cancels, of_an_opcode_end_timeouts) {
  NEEDS(Feature::cancel_by_opcode);
  script.submit({timeout(1, 1h), timeout(2, 1h)});
  script.submit({cancel_of_opcode(9, Opcode::timeout, uapi::cancel_all)});
  script.expect_in_any_order({{9, 2}, {1, -ECANCELED}, {2, -ECANCELED}});
}

TEST_P(Cancels, of_anything_end_everything) {
  const Pair pair = outside.socket_pair();
  script.submit({poll(1, pair.ours, POLLIN), poll(1, pair.ours, POLLIN)});
  script.submit({request(2, Opcode::async_cancel).flags(uapi::cancel_any)});
  script.expect_in_any_order({{2, 2}, {1, -ECANCELED}, {1, -ECANCELED}});
}

TEST_P(Cancels, of_everything_count) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({poll(1, pair.ours, POLLIN), recv(2, pair.ours, into), timeout(3, 1h)});
  script.submit({cancel_everything(9)});
  script.expect_in_any_order({{9, 3}, {1, -ECANCELED}, {2, -ECANCELED}, {3, -ECANCELED}});
}

TEST_P(Cancels, of_everything_where_nothing_is_in_flight_count_zero) {
  script.submit({cancel_everything(1), request(2, Opcode::async_cancel).flags(uapi::cancel_any)});
  script.expect({{1, 0}, {2, 0}});
}

TEST_P(Cancels, with_an_unknown_flag_are_invalid) {
  script.submit({cancel(1, 2, 1U << 20)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Cancels, of_a_repeating_poll_are_its_last_answer) {
  const Pair pair = outside.socket_pair();
  script.submit({poll_multishot(1, pair.ours, POLLIN)});
  script.submit({cancel(2, 1)});
  script.expect_in_any_order({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Cancels, of_a_repeating_accept_are_its_last_answer) {
  const TcpListener listener = outside.tcp_listener();
  script.submit({accept(1, listener.fd).ioprio(uapi::accept_multishot)});
  script.submit({cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Cancels, of_a_request_with_a_helper_end_it_or_come_too_late) {
  const Pipe pipe = outside.pipe();
  std::string& into = outside.room(8);
  script.submit({read(1, pipe.reader, into).async()});
  // A helper may be about to wait for the pipe, or wait already: then it is interrupted. If it comes between
  // the two, the cancel may be lost, so it is asked again.
  std::optional<int> ended;
  for (std::uint64_t asked = 10; !ended && asked < 200; asked += 2) {
    script.submit({cancel(asked, 1), timeout(asked + 1, 100ms)});
    bool is_over = false;
    while (!is_over) {
      const std::optional<Cqe> cqe = script.next();
      ASSERT_TRUE(cqe.has_value());
      if (cqe->user_data == 1) ended = cqe->res;
      if (cqe->user_data == asked) {
        EXPECT_TRUE(cqe->res == 0 || cqe->res == -EALREADY || cqe->res == -ENOENT) << cqe->res;
      }
      is_over = cqe->user_data == asked + 1;
    }
  }
  EXPECT_TRUE(ended == -ECANCELED || ended == -EINTR) << ended.value_or(0);
}

TEST_P(Cancels, twice_in_one_enter_end_it_once) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into)});
  script.submit({cancel(2, 1), cancel(3, 1)});
  script.expect_in_any_order(
      {{2, 0},
       {3, Answer::either({0, -ENOENT, -EALREADY}, "it is about to end, and may or may not be found")},
       {1, -ECANCELED}});
}

TEST_P(Cancels, after_the_bytes_have_come_may_be_too_late) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(5);
  script.submit({recv(1, pair.ours, into)});
  outside.write(pair.theirs, "hello");
  script.submit({cancel(2, 1)});
  const std::optional<Cqe> first = script.next();
  const std::optional<Cqe> second = script.next();
  ASSERT_TRUE(first && second);
  const Cqe& received = first->user_data == 1 ? *first : *second;
  const Cqe& cancelled = first->user_data == 1 ? *second : *first;
  EXPECT_TRUE(received.res == 5 || received.res == -ECANCELED) << received.res;
  if (received.res == -ECANCELED) {
    EXPECT_EQ(outside.read(pair.ours, 8), "hello") << "bytes are not lost";
  }
  EXPECT_EQ(cancelled.user_data, 2U);
}

}  // namespace
}  // namespace corering::conformance
