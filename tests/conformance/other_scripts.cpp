/// other_scripts.cpp — pipes, epoll sets, futexes, processes, and sends that do not copy.
#include <cerrno>
#include <csignal>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

// ---- pipes ----

SCRIPTS(Pipes);

TEST_P(Pipes, are_made) {
  NEEDS(Opcode::pipe);
  auto& fds = outside.object(std::array<int, 2>{-1, -1});
  script.submit({about(1, Opcode::pipe, 0, fds.data(), 0).flags(O_CLOEXEC)});
  script.expect({{1, 0}});
  const int reader = outside.keep(fds[0]);
  const int writer = outside.keep(fds[1]);
  EXPECT_TRUE(outside.is_closed_on_exec(writer));
  outside.write(writer, "hello");
  EXPECT_EQ(outside.read(reader, 8), "hello");
}

TEST_P(Pipes, are_made_in_slots) {
  NEEDS(Opcode::pipe);
  FileTable table(script, 4);
  auto& slots = outside.object(std::array<int, 2>{-1, -1});
  std::string& into = outside.room(5);
  script.submit({about(1, Opcode::pipe, 0, slots.data(), 0).into_free_slot()});
  script.expect({{1, 0}});
  script.submit({write(2, slots[1], "hello").in_slot(), read(3, slots[0], into).in_slot()});
  script.expect_in_any_order({{2, 5}, {3, 5}});
}

TEST_P(Pipes, are_written_when_there_is_room_again) {
  const Pipe pipe = outside.pipe();
  const std::size_t size = machine->size_of_pipe(pipe.writer);
  outside.write(pipe.writer, std::string(size, 'f'));
  script.submit({write(1, pipe.writer, "hello")});
  script.expect_silence();
  EXPECT_EQ(outside.read(pipe.reader, size).size(), size);
  script.expect({{1, 5}});
  EXPECT_EQ(outside.read(pipe.reader, 8), "hello");
}

TEST_P(Pipes, end_with_zero) {
  const Pipe pipe = outside.pipe();
  std::string& into = outside.room(5);
  script.submit({read(1, pipe.reader, into)});
  outside.close(pipe.writer);
  script.expect({{1, 0}});
}

TEST_P(Pipes, that_do_not_block_are_waited_for_or_say_so) {
  const Pipe pipe = outside.pipe();
  machine->set_nonblocking(pipe.reader);
  std::string& into = outside.room(5);
  script.submit({read(1, pipe.reader, into)});
  outside.write(pipe.writer, "hello");
  script.expect({{1, Answer::either({5, -EAGAIN}, "older kernels do not wait where O_NONBLOCK is set")}});
  EXPECT_TRUE(machine->is_nonblocking(pipe.reader));
}

TEST_P(Pipes, are_spliced_from_a_file) {
  NOT_SIMULATED("splice and tee");
  const Pipe pipe = outside.pipe();
  const int file = outside.file("abcdefghij");
  script.submit({splice(1, file, 2, pipe.writer, at_position, 5)});
  script.expect({{1, 5}});
  EXPECT_EQ(outside.read(pipe.reader, 16), "cdefg");
}

TEST_P(Pipes, are_spliced_when_bytes_come) {
  NOT_SIMULATED("splice and tee");
  const Pipe from = outside.pipe();
  const Pipe to = outside.pipe();
  script.submit({splice(1, from.reader, at_position, to.writer, at_position, 16)});
  script.expect_silence();
  outside.write(from.writer, "hello");
  script.expect({{1, 5}});
  EXPECT_EQ(outside.read(to.reader, 16), "hello");
}

TEST_P(Pipes, are_spliced_to_their_end) {
  NOT_SIMULATED("splice and tee");
  const Pipe from = outside.pipe();
  const Pipe to = outside.pipe();
  outside.close(from.writer);
  script.submit({splice(1, from.reader, at_position, to.writer, at_position, 16)});
  script.expect({{1, 0}});
}

// The peer does not read: a part goes through, and what is left cannot be sent.
TEST_P(Pipes, are_spliced_into_a_socket_until_it_is_full) {
  NOT_SIMULATED("splice and tee");
  const Pipe from = outside.pipe();
  const Pair to = outside.socket_pair();
  constexpr int size = 1 << 20;  // more than the socket has room for
  if (::fcntl(from.writer, F_SETPIPE_SZ, size) < size)
    GTEST_SKIP() << "this user may not make a pipe of 1 MiB";
  outside.write(from.writer, std::string(size, 'x'));
  script.submit({splice(1, from.reader, at_position, to.ours, at_position, 1U << 20),
                 timeout(3, 20ms, uapi::timeout_etime_success).linked(), cancel(2, 1)});
  for (int i = 0; i < 3; ++i) {
    const std::optional<Cqe> cqe = script.next();
    ASSERT_TRUE(cqe.has_value()) << "nothing ends it";
    const int res = cqe->res;
    if (cqe->user_data == 3) {
      EXPECT_EQ(res, -ETIME);
    } else if (cqe->user_data == 1) {
      constexpr int restart = -512;  // of the kernel's own, when a helper is interrupted
      EXPECT_TRUE(res > 0 || res == -EINTR || res == restart || res == -ECANCELED) << res;
    } else {
      EXPECT_TRUE(res == 0 || res == -EALREADY || res == -ENOENT) << res;
    }
  }
}

TEST_P(Pipes, are_refused_before_anything_is_waited_for) {
  NOT_SIMULATED("splice and tee");
  const Pipe pipe = outside.pipe(), other = outside.pipe();
  const Pair sockets = outside.socket_pair();
  constexpr std::uint64_t own = ~std::uint64_t{0};
  script.submit(
      {splice(1, pipe.reader, own, other.writer, own, 0),
       splice(2, sockets.ours, own, sockets.theirs, own, 16),
       splice(3, pipe.writer, own, other.writer, own, 16), splice(4, pipe.reader, own, other.reader, own, 16),
       splice(5, pipe.reader, own, pipe.writer, own, 16), splice(6, pipe.reader, 0, other.writer, own, 16),
       splice(7, pipe.reader, own, 1'000'000, own, 16),
       splice(8, pipe.reader, own, other.writer, own, 16).flags(0x100),
       tee(9, pipe.reader, pipe.writer, 16)});
  script.expect_in_any_order({{1, 0},
                              {2, -EINVAL},
                              {3, -EBADF},
                              {4, -EBADF},
                              {5, -EINVAL},
                              {6, -ESPIPE},
                              {7, -EBADF},
                              {8, -EINVAL},
                              {9, -EINVAL}});
}

TEST_P(Pipes, are_not_spliced_without_a_pipe) {
  NOT_SIMULATED("splice and tee");
  const int from = outside.file("abc");
  const int to = outside.file("");
  script.submit({splice(1, from, 0, to, 0, 3), splice(2, -1, 0, to, 0, 3)});
  script.expect_in_any_order({{1, -EINVAL}, {2, -EBADF}});
}

TEST_P(Pipes, are_teed_and_keep_their_bytes) {
  NOT_SIMULATED("splice and tee");
  const Pipe from = outside.pipe();
  const Pipe to = outside.pipe();
  outside.write(from.writer, "hello");
  script.submit({tee(1, from.reader, to.writer, 16)});
  script.expect({{1, 5}});
  EXPECT_EQ(outside.read(to.reader, 16) + outside.read(from.reader, 16), "hellohello");
}

// ---- eventfds and epoll sets ----

SCRIPTS(Events);

TEST_P(Events, of_the_kernels_own_eventfd_are_read) {
  const int eventfd = kernel().open_eventfd();
  ASSERT_GE(eventfd, 0);
  auto& count = outside.object<std::uint64_t>();
  Entry entry = about(1, Opcode::read, eventfd, &count, sizeof count);
  script.submit({entry});
  script.expect_silence();
  EXPECT_EQ(kernel().wake(eventfd), 0);
  script.expect({{1, sizeof count}});
  EXPECT_EQ(count, 1U);
  kernel().close(eventfd);
}

TEST_P(Events, wake_a_ring_that_waits) {
  NOT_SIMULATED("threads");
  const int eventfd = kernel().open_eventfd();
  ASSERT_GE(eventfd, 0);
  auto& count = outside.object<std::uint64_t>();
  script.submit({about(1, Opcode::read, eventfd, &count, sizeof count)});
  std::thread waker([this, eventfd] {
    std::this_thread::sleep_for(2ms);  // most likely the ring waits by then; it is right in both cases
    kernel().wake(eventfd);
  });
  script.expect({{1, sizeof count}});
  waker.join();
  kernel().close(eventfd);
}

TEST_P(Events, of_an_epoll_set_are_added_and_awaited) {
  NOT_SIMULATED("epoll sets");
  const int set = outside.keep(::epoll_create1(EPOLL_CLOEXEC));
  const Pair pair = outside.socket_pair();
  auto& wanted = outside.object(epoll_event{.events = EPOLLIN, .data = {.u64 = 42}});
  Entry add = about(1, Opcode::epoll_ctl, set, &wanted, EPOLL_CTL_ADD);
  add.sqe.off = static_cast<std::uint64_t>(pair.ours);
  Entry again = add;
  again.sqe.user_data = 2;
  script.submit({add, again});
  script.expect({{1, 0}, {2, -EEXIST}});
  outside.write(pair.theirs, "x");
  epoll_event got{};
  EXPECT_EQ(::epoll_wait(set, &got, 1, 0), 1);
  EXPECT_EQ(std::uint64_t{got.data.u64}, 42U) << "a packed struct: no reference to its field";
}

TEST_P(Events, of_an_epoll_set_are_waited_for) {
  NOT_SIMULATED("epoll sets");
  NEEDS(Opcode::epoll_wait);
  const int set = outside.keep(::epoll_create1(EPOLL_CLOEXEC));
  const Pair pair = outside.socket_pair();
  epoll_event wanted{.events = EPOLLIN, .data = {.u64 = 42}};
  ASSERT_EQ(::epoll_ctl(set, EPOLL_CTL_ADD, pair.ours, &wanted), 0);
  auto& got = outside.object(epoll_event{});
  script.submit({about(1, Opcode::epoll_wait, set, &got, 1)});
  script.expect_silence();
  outside.write(pair.theirs, "x");
  script.expect({{1, 1}});
  EXPECT_EQ(std::uint64_t{got.data.u64}, 42U) << "a packed struct: no reference to its field";
}

// ---- futexes ----

SCRIPTS(Futexes);

/// What a cancel of a futex or a process answers, which Linux counts even if it is asked for one.
const Answer found_one = Answer::either({0, 1}, "found, or one found");

constexpr int private_word = 2 | FUTEX_PRIVATE_FLAG;  // FUTEX2_SIZE_U32 and FUTEX2_PRIVATE

Entry futex(std::uint64_t user_data, Opcode opcode, const std::uint32_t& word, std::uint64_t value) {
  Entry entry = about(user_data, opcode, private_word, &word, 0);
  entry.sqe.off = value;
  entry.sqe.addr3 = FUTEX_BITSET_MATCH_ANY;
  return entry;
}

TEST_P(Futexes, wake_who_waits) {
  NOT_SIMULATED("futexes");
  NEEDS(Opcode::futex_wait);
  NEEDS(Opcode::futex_wake);
  const auto& word = outside.object(std::uint32_t{5});
  script.submit({futex(1, Opcode::futex_wait, word, 5)});
  script.expect_silence();
  script.submit({futex(2, Opcode::futex_wake, word, 10)});
  script.expect_in_any_order({{1, 0}, {2, 1}});
}

TEST_P(Futexes, wake_as_many_as_they_are_told) {
  NOT_SIMULATED("futexes");
  NEEDS(Opcode::futex_wait);
  NEEDS(Opcode::futex_wake);
  const auto& word = outside.object(std::uint32_t{5});
  script.submit({futex(1, Opcode::futex_wait, word, 5), futex(1, Opcode::futex_wait, word, 5),
                 futex(1, Opcode::futex_wait, word, 5)});
  script.expect_silence();
  script.submit({futex(2, Opcode::futex_wake, word, 2)});
  script.expect_in_any_order({{1, 0}, {1, 0}, {2, 2}});
  script.submit({futex(3, Opcode::futex_wake, word, 2)});
  script.expect_in_any_order({{1, 0}, {3, 1}});
}

TEST_P(Futexes, of_another_value_are_not_waited_for) {
  NOT_SIMULATED("futexes");
  NEEDS(Opcode::futex_wait);
  const auto& word = outside.object(std::uint32_t{5});
  script.submit({futex(1, Opcode::futex_wait, word, 6)});
  script.expect({{1, -EAGAIN}});
}

TEST_P(Futexes, can_be_cancelled) {
  NOT_SIMULATED("futexes");
  NEEDS(Opcode::futex_wait);
  const auto& word = outside.object(std::uint32_t{5});
  script.submit({futex(1, Opcode::futex_wait, word, 5)});
  script.expect_silence();
  script.submit({cancel(2, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, found_one}});
}

TEST_P(Futexes, wake_who_waits_for_one_of_several) {
  NOT_SIMULATED("futexes");
  NEEDS(Opcode::futex_waitv);
  NEEDS(Opcode::futex_wake);
  const auto& words = outside.object(std::array<std::uint32_t, 2>{5, 6});
  auto& waiters = outside.object(std::array<futex_waitv, 2>{});
  for (std::size_t i = 0; i < 2; ++i) {
    waiters[i] = {.val = words[i], .uaddr = address(&words[i]), .flags = private_word};
  }
  Entry wait = about(1, Opcode::futex_waitv, 0, waiters.data(), 2);
  script.submit({wait});
  script.expect_silence();
  script.submit({futex(2, Opcode::futex_wake, words[1], 1)});
  script.expect_in_any_order({{1, 1}, {2, 1}});
}

// ---- processes ----

class Processes : public Conformance {
 protected:
  /// A child that ends when something is written to the pipe.
  pid_t child_that_reads(const Pipe& pipe) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    char byte = 0;
    ::_exit(::read(pipe.reader, &byte, 1) == 1 ? 7 : 8);
  }
};
SCRIPTS_OF(Processes);

Entry waitid(std::uint64_t user_data, pid_t child, siginfo_t& info, int options) {
  Entry entry = request(user_data, Opcode::waitid, child);
  entry.sqe.len = P_PID;
  entry.sqe.off = address(&info);
  entry.sqe.file_index = static_cast<std::uint32_t>(options);
  return entry;
}

TEST_P(Processes, are_waited_for) {
  NOT_SIMULATED("processes");
  NEEDS(Opcode::waitid);
  const Pipe pipe = outside.pipe();
  const pid_t child = child_that_reads(pipe);
  auto& info = outside.object<siginfo_t>();
  script.submit({waitid(1, child, info, WEXITED)});
  script.expect_silence();
  outside.write(pipe.writer, "x");
  script.expect({{1, 0}});
  EXPECT_EQ(info.si_pid, child);
  EXPECT_EQ(info.si_status, 7);
}

TEST_P(Processes, are_waited_for_until_that_is_cancelled) {
  NOT_SIMULATED("processes");
  NEEDS(Opcode::waitid);
  const Pipe pipe = outside.pipe();
  const pid_t child = child_that_reads(pipe);
  auto& info = outside.object<siginfo_t>();
  script.submit({waitid(1, child, info, WEXITED)});
  script.submit({cancel(2, 1)});
  script.expect_in_any_order({{1, -ECANCELED}, {2, found_one}});
  outside.write(pipe.writer, "x");
  script.submit({waitid(3, child, info, WEXITED)});
  script.expect({{3, 0}});
}

TEST_P(Processes, that_are_not_ours_are_not_waited_for) {
  NOT_SIMULATED("processes");
  NEEDS(Opcode::waitid);
  auto& info = outside.object<siginfo_t>();
  script.submit({waitid(1, 1, info, WEXITED)});
  script.expect({{1, -ECHILD}});
}

// ---- sends that do not copy ----

SCRIPTS(ZeroCopies);

TEST_P(ZeroCopies, are_answered_twice) {
  NEEDS(Opcode::send_zc);
  const Pair pair = outside.tcp_pair();
  script.submit({send_zc(1, pair.ours, "hello")});
  EXPECT_EQ(outside.read(pair.theirs, 16), "hello");  // the notification may wait for the reader
  script.expect({{1, 5, more}, {1, 0, notification}});
}

TEST_P(ZeroCopies, that_fail_are_answered_twice) {
  NEEDS(Opcode::send_zc);
  const int socket = outside.tcp_socket();
  script.submit({send_zc(1, socket, "hello", MSG_NOSIGNAL)});
  script.expect({{1, -EPIPE, more}, {1, 0, notification}});
}

TEST_P(ZeroCopies, on_what_cannot_do_them_are_answered_twice) {
  NEEDS(Opcode::send_zc);
  const Pair pair = outside.socket_pair();
  const int file = outside.file("text");
  script.submit({send_zc(1, pair.ours, "hello")});
  script.expect({{1, -EOPNOTSUPP, more}, {1, 0, notification}});
  script.submit({send_zc(2, file, "hello")});
  script.expect({{2, -ENOTSOCK, more}, {2, 0, notification}});
  script.submit({send_zc(3, -1, "hello")});
  script.expect({{3, -EBADF, more}, {3, 0, notification}});
}

TEST_P(ZeroCopies, say_whether_the_kernel_copied) {
  NEEDS(Opcode::send_zc);
  NEEDS(Feature::send_zc_report_usage);
  const Pair pair = outside.tcp_pair();
  script.submit({send_zc(1, pair.ours, "hello").ioprio(uapi::send_zc_report_usage)});
  EXPECT_EQ(outside.read(pair.theirs, 16), "hello");
  script.expect({{1, 5, more},
                 {1,
                  Answer::either({0, static_cast<int>(uapi::notif_usage_zc_copied)},
                                 "over the loopback device the kernel may copy"),
                  notification}});
}

TEST_P(ZeroCopies, take_registered_buffers) {
  NEEDS(Opcode::send_zc);
  std::string& buffer = outside.room(16);
  iovec part{buffer.data(), buffer.size()};
  uapi::RsrcRegister wish{.count = 1, .data = address(&part)};
  ASSERT_EQ(script.registers(uapi::register_buffers2, &wish, sizeof wish), 0);
  const Pair pair = outside.tcp_pair();
  script.submit(
      {send_zc(1, pair.ours, std::string_view(buffer).substr(0, 5)).ioprio(uapi::recvsend_fixed_buf)});
  EXPECT_EQ(outside.read(pair.theirs, 16), ".....");
  script.expect({{1, 5, more}, {1, 0, notification}});
}

TEST_P(ZeroCopies, of_messages_need_their_registered_buffer) {
  COMPARED_WITH_LINUX_6_18;
  const Pair pair = outside.tcp_pair();
  auto& part = outside.object(iovec{const_cast<char*>("hello"), 5});
  auto& message = outside.object(msghdr{.msg_iov = &part, .msg_iovlen = 1});
  const Entry entry = about(1, Opcode::sendmsg_zc, pair.ours, &message, 1);
  script.submit({entry.ioprio(uapi::recvsend_fixed_buf)});
  script.expect({{1, -EFAULT, more}, {1, 0, notification}});
}

TEST_P(ZeroCopies, that_are_wrong_are_answered_twice_but_for_a_wrong_flag) {
  COMPARED_WITH_LINUX_6_18;
  const Pair pair = outside.tcp_pair();
  script.submit({send_zc(1, pair.ours, "hello").ioprio(uapi::recv_multishot)});
  script.expect({{1, -EINVAL, more}, {1, 0, notification}});
  script.submit({send_zc(2, pair.ours, "hello").skipping()});
  script.expect({{2, -EINVAL}});
}

TEST_P(ZeroCopies, that_end_with_their_chain_do_not_say_that_a_notification_follows) {
  COMPARED_WITH_LINUX_6_18;
  const Pair pair = outside.tcp_pair();
  script.submit({nop(1).flags(~0U).linked(), send_zc(2, pair.ours, "hello")});
  script.expect({{1, -EINVAL}, {2, -ECANCELED}, {2, 0, notification}});
}

TEST_P(ZeroCopies, of_messages_are_answered_twice) {
  NEEDS(Opcode::sendmsg_zc);
  const Pair pair = outside.tcp_pair();
  auto& part = outside.object(iovec{const_cast<char*>("hello"), 5});
  auto& message = outside.object(msghdr{.msg_iov = &part, .msg_iovlen = 1});
  script.submit({about(1, Opcode::sendmsg_zc, pair.ours, &message, 1)});
  EXPECT_EQ(outside.read(pair.theirs, 16), "hello");
  script.expect({{1, 5, more}, {1, 0, notification}});
}

TEST_P(ZeroCopies, in_a_chain_start_the_next_when_they_have_sent) {
  NEEDS(Opcode::send_zc);
  const Pair pair = outside.tcp_pair();
  script.submit({send_zc(1, pair.ours, "hello").linked(), nop(2)});
  EXPECT_EQ(outside.read(pair.theirs, 16), "hello");
  script.expect_in_any_order({{1, 5, more}, {2, 0}, {1, 0, notification}});
}

}  // namespace
}  // namespace corering::conformance
