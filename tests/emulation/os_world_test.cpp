/// os_world_test.cpp — sockets, pipes, files and readiness as an emulated ring sees them.
#include <sys/eventfd.h>
#include <thread>

#include "emulation/os_world_fixture.hpp"

namespace corering::emulation {
namespace {

using Sockets = OsWorldTest;

TEST_F(Sockets, a_receive_waits_until_something_arrives) {
  SocketPair pair;
  char into[16];
  TestCall call(Opcode::recv, pair.first);
  call.memory(into, sizeof into);
  const Answer wait = attempt(call);
  watch(call, wait);
  EXPECT_EQ(wait.events, static_cast<std::uint32_t>(POLLIN));
  EXPECT_FALSE(has_report());
  ASSERT_EQ(::send(pair.second, "hello", 5, 0), 5);
  const Report ready = report();
  EXPECT_EQ(ready.call, &call);
  EXPECT_EQ(ready.events, static_cast<std::uint32_t>(POLLIN));
  call.was_ready = true;
  const Answer got = attempt(call);
  EXPECT_EQ(got.kind, Kind::done);
  EXPECT_EQ(got.result, 5);
  EXPECT_EQ(std::string_view(into, 5), "hello");
}

TEST_F(Sockets, a_receive_that_must_not_wait_fails_with_eagain) {
  SocketPair pair;
  char into[16];
  TestCall call(Opcode::recv, pair.first);
  call.memory(into, sizeof into).flags(MSG_DONTWAIT);
  EXPECT_EQ(finish(call), -EAGAIN);
}

TEST_F(Sockets, the_next_receive_is_not_tried_when_the_last_found_less) {
  SocketPair pair;
  char into[16];
  TestCall call(Opcode::recv, pair.first);
  call.memory(into, sizeof into);
  ASSERT_EQ(::send(pair.second, "a", 1, 0), 1);
  EXPECT_EQ(finish(call), 1);
  ASSERT_EQ(::send(pair.second, "b", 1, 0), 1);
  TestCall next(Opcode::recv, pair.first);
  next.memory(into, sizeof into);
  const Answer wait = attempt(next);
  watch(next, wait);
  EXPECT_EQ(report().call, &next);  // what had arrived meanwhile is found
  next.was_ready = true;
  EXPECT_EQ(attempt(next).result, 1);
  EXPECT_EQ(into[0], 'b');
  next.flags(MSG_DONTWAIT);
  EXPECT_EQ(attempt(next).result, -EAGAIN);
}

TEST_F(Sockets, the_hint_does_not_outlive_the_number) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  char into[16];
  ASSERT_EQ(::send(ends[1], "a", 1, 0), 1);
  TestCall call(Opcode::recv, ends[0]);
  call.memory(into, sizeof into);
  EXPECT_EQ(finish(call), 1);
  TestCall close(Opcode::close, ends[0]);
  EXPECT_EQ(finish(close), 0);
  SocketPair other;
  ASSERT_EQ(other.first, ends[0]);
  ASSERT_EQ(::send(other.second, "b", 1, 0), 1);
  EXPECT_EQ(attempt(call).result, 1);
  ::close(ends[1]);
}

TEST_F(Sockets, waitall_goes_on_until_all_has_come) {
  SocketPair pair;
  std::array<char, 8> into{};
  TestCall call(Opcode::recv, pair.first);
  call.memory(into.data(), into.size()).flags(MSG_WAITALL);
  ASSERT_EQ(::send(pair.second, "abc", 3, 0), 3);
  watch(call, attempt(call));
  ASSERT_EQ(::send(pair.second, "defgh", 5, 0), 5);
  EXPECT_EQ(report().call, &call);
  call.was_ready = true;
  EXPECT_EQ(attempt(call).result, 8);
  EXPECT_EQ(std::string_view(into.data(), 8), "abcdefgh");
}

TEST_F(Sockets, waitall_ends_with_what_came_before_the_end) {
  SocketPair pair;
  std::array<char, 8> into{};
  TestCall call(Opcode::recv, pair.first);
  call.memory(into.data(), into.size()).flags(MSG_WAITALL);
  ASSERT_EQ(::send(pair.second, "abc", 3, 0), 3);
  ASSERT_EQ(::shutdown(pair.second, SHUT_WR), 0);
  EXPECT_EQ(finish(call), 3);
}

TEST_F(Sockets, a_large_send_waits_for_room_and_goes_on) {
  SocketPair pair;
  const std::string data(4 << 20, 'x');
  TestCall call(Opcode::send, pair.first);
  call.memory(data.data(), data.size()).flags(MSG_WAITALL);
  std::size_t received = 0;
  std::thread reader([&] {
    std::string into(1 << 16, ' ');
    while (received < data.size()) {
      const ssize_t got = ::recv(pair.second, into.data(), into.size(), 0);
      if (got <= 0) break;
      received += static_cast<std::size_t>(got);
    }
  });
  EXPECT_EQ(finish(call), static_cast<std::int32_t>(data.size()));
  reader.join();
  EXPECT_EQ(received, data.size());
}

TEST_F(Sockets, a_send_to_a_closed_peer_fails_without_a_signal) {
  SocketPair pair;
  ::close(std::exchange(pair.second, -1));
  TestCall call(Opcode::send, pair.first);
  call.memory("x", 1);
  EXPECT_EQ(finish(call), -EPIPE);
}

TEST_F(Sockets, several_buffers_stand_for_the_one) {
  SocketPair pair;
  char first[2];
  char second[8];
  const iovec parts[] = {{first, sizeof first}, {second, sizeof second}};
  TestCall call(Opcode::recv, pair.first);
  call.parts = parts;
  call.part_count = 2;
  ASSERT_EQ(::send(pair.second, "abcde", 5, 0), 5);
  EXPECT_EQ(finish(call), 5);
  EXPECT_EQ(std::string_view(second, 3), "cde");
  TestCall send(Opcode::send, pair.second);
  send.parts = parts;
  send.part_count = 1;
  EXPECT_EQ(finish(send), 2);
}

TEST_F(Sockets, a_datagram_goes_to_its_address) {
  const int receiver = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t length = sizeof to;
  ASSERT_EQ(::bind(receiver, reinterpret_cast<sockaddr*>(&to), length), 0);
  ASSERT_EQ(::getsockname(receiver, reinterpret_cast<sockaddr*>(&to), &length), 0);
  const int sender = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  TestCall send(Opcode::send_zc, sender);
  send.memory("hello", 5).at(address(&to));
  send.sqe.file_index = length;
  EXPECT_EQ(finish(send), 5);
  char into[3];
  iovec buffer{into, sizeof into};
  sockaddr_in from{};
  msghdr header{};
  header.msg_name = &from;
  header.msg_namelen = sizeof from;
  header.msg_iov = &buffer;
  header.msg_iovlen = 1;
  TestCall receive(Opcode::recvmsg, receiver);
  receive.memory(&header, 1).flags(MSG_TRUNC);
  EXPECT_EQ(finish(receive), 5);
  EXPECT_NE(header.msg_flags & MSG_TRUNC, 0);
  EXPECT_EQ(header.msg_namelen, sizeof from);
  EXPECT_EQ(from.sin_addr.s_addr, to.sin_addr.s_addr);
  ::close(sender);
  ::close(receiver);
}

// ---- readiness ----

using Readiness = OsWorldTest;

TEST_F(Readiness, what_is_ready_already_is_reported) {
  Pipe pipe;
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  TestCall call(Opcode::poll_add, pipe.first);
  ASSERT_EQ(world().watch(call, pipe.first, POLLIN, Watching::once), 0);
  EXPECT_EQ(report().call, &call);
  EXPECT_FALSE(has_report());
}

TEST_F(Readiness, a_file_cannot_be_watched) {
  const TemporaryFile file;
  TestCall call(Opcode::poll_add, file.fd);
  EXPECT_EQ(world().watch(call, file.fd, POLLIN, Watching::once), -EPERM);
}

TEST_F(Readiness, a_closed_number_cannot_be_watched) {
  int number = -1;
  {
    const Pipe pipe;
    number = pipe.first;
  }
  TestCall call(Opcode::poll_add, number);
  EXPECT_EQ(world().watch(call, number, POLLIN, Watching::once), -EBADF);
  EXPECT_EQ(world().watch(call, -1, POLLIN, Watching::once), -EBADF);
}

TEST_F(Readiness, reader_and_writer_of_a_socket_wait_independently) {
  SocketPair pair;
  TestCall reader(Opcode::recv, pair.first);
  TestCall writer(Opcode::send, pair.first);
  ASSERT_EQ(world().watch(reader, pair.first, POLLIN, Watching::once), 0);
  ASSERT_EQ(world().watch(writer, pair.first, POLLOUT, Watching::once), 0);
  EXPECT_EQ(report().call, &writer);
  EXPECT_FALSE(has_report());
  ASSERT_EQ(::send(pair.second, "x", 1, 0), 1);
  EXPECT_EQ(report().call, &reader);
}

TEST_F(Readiness, receivers_have_their_turn_and_polls_are_all_told) {
  SocketPair pair;
  TestCall first(Opcode::recv, pair.first);
  TestCall second(Opcode::recv, pair.first);
  TestCall poll(Opcode::poll_add, pair.first);
  for (TestCall* const call : {&first, &second, &poll})
    ASSERT_EQ(world().watch(*call, pair.first, POLLIN, Watching::once), 0);
  ASSERT_EQ(::send(pair.second, "x", 1, 0), 1);
  EXPECT_EQ(report().call, &first);
  EXPECT_EQ(report().call, &poll);
  char byte = 0;
  ASSERT_EQ(::recv(pair.first, &byte, 1, 0), 1);
  EXPECT_FALSE(has_report());
  ASSERT_EQ(::send(pair.second, "x", 1, 0), 1);
  EXPECT_EQ(report().call, &second);
}

TEST_F(Readiness, an_end_is_told_to_all) {
  SocketPair pair;
  TestCall first(Opcode::recv, pair.first);
  TestCall second(Opcode::recv, pair.first);
  for (TestCall* const call : {&first, &second})
    ASSERT_EQ(world().watch(*call, pair.first, POLLIN, Watching::once), 0);
  ::close(std::exchange(pair.second, -1));
  EXPECT_EQ(report().call, &first);
  EXPECT_EQ(report().call, &second);
}

TEST_F(Readiness, what_waits_no_longer_is_not_reported) {
  SocketPair pair;
  TestCall gone(Opcode::recv, pair.first);
  TestCall stays(Opcode::recv, pair.first);
  for (TestCall* const call : {&gone, &stays})
    ASSERT_EQ(world().watch(*call, pair.first, POLLIN, Watching::once), 0);
  world().unwatch(gone);
  ASSERT_EQ(::send(pair.second, "x", 1, 0), 1);
  EXPECT_EQ(report().call, &stays);
  EXPECT_FALSE(has_report());
}

TEST_F(Readiness, what_is_about_to_be_reported_can_be_taken_back) {
  Pipe pipe;
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  TestCall call(Opcode::poll_add, pipe.first);
  ASSERT_EQ(world().watch(call, pipe.first, POLLIN, Watching::once), 0);
  ASSERT_EQ(world().wait(std::chrono::seconds(10)), 0);
  world().unwatch(call);
  EXPECT_FALSE(has_report());
}

TEST_F(Readiness, who_waited_for_an_earlier_file_of_the_number_is_never_reported) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int number = ends[0];
  TestCall orphan(Opcode::read, number);
  ASSERT_EQ(world().watch(orphan, number, POLLIN, Watching::once), 0);
  ::close(ends[0]);
  ::close(ends[1]);
  Pipe other;
  ASSERT_EQ(other.first, number);
  TestCall call(Opcode::read, number);
  ASSERT_EQ(world().watch(call, number, POLLIN, Watching::once), 0);
  ASSERT_EQ(::write(other.second, "x", 1), 1);
  EXPECT_EQ(report().call, &call);
  EXPECT_FALSE(has_report());
  world().unwatch(orphan);
}

TEST_F(Readiness, a_report_on_an_earlier_file_is_not_taken_for_the_new_one) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const int number = ends[0];
  const int kept = ::dup(number);  // so the old registration stays
  TestCall orphan(Opcode::read, number);
  ASSERT_EQ(world().watch(orphan, number, POLLIN, Watching::once), 0);
  world().close(number);
  Pipe other;
  ASSERT_EQ(other.first, number);
  TestCall call(Opcode::read, number);
  ASSERT_EQ(world().watch(call, number, POLLIN, Watching::once), 0);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  EXPECT_FALSE(has_report());
  world().unwatch(call);
  world().unwatch(orphan);
  ::close(ends[1]);
  ::close(kept);
}

TEST_F(Readiness, edges_are_reported_until_they_are_no_longer_watched) {
  Pipe pipe;
  TestCall call(Opcode::poll_add, pipe.first);
  ASSERT_EQ(world().watch(call, pipe.first, POLLIN, Watching::edges), 0);
  EXPECT_FALSE(has_report());
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(::write(pipe.second, "x", 1), 1);
    const Report found = report();
    EXPECT_EQ(found.call, &call);
    EXPECT_EQ(found.events, static_cast<std::uint32_t>(POLLIN));
    EXPECT_FALSE(has_report()) << "one report for one edge";
  }
  world().unwatch(call);
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  EXPECT_FALSE(has_report());
}

TEST_F(Readiness, edges_and_single_waits_share_a_descriptor) {
  Pipe pipe;
  TestCall edges(Opcode::poll_add, pipe.first);
  TestCall once(Opcode::read, pipe.first);
  ASSERT_EQ(world().watch(edges, pipe.first, POLLIN, Watching::edges), 0);
  ASSERT_EQ(world().watch(once, pipe.first, POLLIN, Watching::once), 0);
  ASSERT_EQ(::write(pipe.second, "x", 1), 1);
  const Call* const first = report().call;
  const Call* const second = report().call;
  EXPECT_TRUE((first == &edges && second == &once) || (first == &once && second == &edges));
  world().unwatch(edges);
}

TEST_F(Readiness, a_notification_ends_the_next_wait) {
  world().notify();
  world().notify();
  EXPECT_EQ(world().wait(std::nullopt), 0);
  std::thread other([&] { world().notify(); });
  EXPECT_EQ(world().wait(std::nullopt), 0);
  other.join();
}

TEST_F(Readiness, a_wait_ends_after_its_limit_and_not_before) {
  const std::int64_t before = world().now(ClockKind::monotonic);
  EXPECT_EQ(world().wait(std::chrono::microseconds(1500)), 0);
  EXPECT_GE(world().now(ClockKind::monotonic) - before, 1'500'000);
}

TEST_F(Readiness, its_descriptor_is_readable_when_there_is_something_to_do) {
  EXPECT_EQ(world().poll(world().descriptor(), POLLIN), 0);
  world().notify();
  EXPECT_EQ(world().poll(world().descriptor(), POLLIN), POLLIN);
  EXPECT_EQ(world().wait(Duration::zero()), 0);
  EXPECT_EQ(world().poll(world().descriptor(), POLLIN), 0);
}

}  // namespace
}  // namespace corering::emulation
