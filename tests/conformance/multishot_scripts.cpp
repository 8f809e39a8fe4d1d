/// multishot_scripts.cpp — requests that are answered again and again, and how each of them ends.
#include <cerrno>
#include <cstring>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

SCRIPTS(Multishots);

TEST_P(Multishots, receive_a_buffer_at_a_time) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 16);
  buffers.lend_all();
  script.submit({recv_multishot(1, pair.ours, 7)});
  script.expect_silence();
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5, more | in_buffer_number(0)}});
  outside.write(pair.theirs, "you");
  script.expect({{1, 3, more | in_buffer_number(1)}});
  EXPECT_EQ(buffers.text(0, 5) + buffers.text(1, 3), "helloyou");
}

TEST_P(Multishots, receive_at_once_all_that_is_there) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 4);
  buffers.lend_all();
  outside.write(pair.theirs, "abcdefghij");
  script.submit({recv_multishot(1, pair.ours, 7)});
  script.expect({{1, 4, more | in_buffer_number(0)},
                 {1, 4, more | in_buffer_number(1)},
                 {1, 2, more | in_buffer_number(2)}});
}

TEST_P(Multishots, of_a_receive_end_with_the_stream) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 16);
  buffers.lend_all();
  script.submit({recv_multishot(1, pair.ours, 7)});
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5, more | in_buffer_number(0)}});
  outside.close(pair.theirs);
  script.expect({{1, 0}});
}

TEST_P(Multishots, of_a_receive_end_without_a_buffer_and_lose_nothing) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 4);
  buffers.lend(0).lend(1);
  script.submit({recv_multishot(1, pair.ours, 7)});
  outside.write(pair.theirs, "abcdefghij");
  script.expect({{1, 4, more | in_buffer_number(0)}, {1, 4, more | in_buffer_number(1)}, {1, -ENOBUFS}});
  buffers.lend(1);
  script.submit({recv_multishot(2, pair.ours, 7)});
  script.expect({{2, 2, more | in_buffer_number(1)}});
  EXPECT_EQ(buffers.text(1, 2), "ij");
}

TEST_P(Multishots, of_a_receive_end_with_the_connection) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.tcp_pair();
  BufferRing buffers(script, 7, 4, 16);
  buffers.lend_all();
  script.submit({recv_multishot(1, pair.ours, 7)});
  script.expect_silence();
  outside.reset(pair.theirs);
  script.expect({{1, -ECONNRESET}});
}

TEST_P(Multishots, of_a_receive_end_when_they_are_cancelled) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 16);
  buffers.lend_all();
  script.submit({recv_multishot(1, pair.ours, 7)});
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5, more | in_buffer_number(0)}});
  script.submit({cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
}

TEST_P(Multishots, of_a_receive_end_when_they_are_shut_down) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 16);
  buffers.lend_all();
  script.submit({recv_multishot(1, pair.ours, 7)});
  script.submit({shutdown(2, pair.ours, SHUT_RDWR)});
  script.expect_in_any_order({{1, 0}, {2, 0}});
}

TEST_P(Multishots, of_a_receive_need_a_group) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.submit({recv(1, pair.ours, into).ioprio(uapi::recv_multishot)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Multishots, of_a_receive_may_not_wait_for_all) {
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 7, 4, 16);
  script.submit({recv_multishot(1, pair.ours, 7).flags(MSG_WAITALL)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Multishots, receive_messages_with_their_senders) {
  NEEDS(Feature::recv_multishot);
  const int ours = outside.udp_socket();
  const int theirs = outside.udp_socket();
  const sockaddr_in our_address = outside.bind_somewhere(ours);
  const sockaddr_in their_address = outside.bind_somewhere(theirs);
  ASSERT_EQ(os::connect(theirs, reinterpret_cast<const sockaddr*>(&our_address), sizeof our_address), 0);
  BufferRing buffers(script, 7, 4, 128);
  buffers.lend_all();
  auto& message = outside.object(msghdr{.msg_namelen = sizeof(sockaddr_in)});
  script.submit({recvmsg(1, ours, message).from_group(7).ioprio(uapi::recv_multishot)});
  constexpr int header = sizeof(uapi::RecvmsgOut) + sizeof(sockaddr_in);
  for (std::uint16_t i = 0; i < 2; ++i) {
    outside.write(theirs, "hello");
    script.expect({{1, header + 5, more | in_buffer_number(i)}});
    uapi::RecvmsgOut out;
    sockaddr_in sender{};
    std::memcpy(&out, buffers.buffer(i).data(), sizeof out);
    std::memcpy(&sender, buffers.buffer(i).data() + sizeof out, sizeof sender);
    EXPECT_EQ(out.name_length, sizeof sender);
    EXPECT_EQ(out.payload_length, 5U);
    EXPECT_EQ(sender.sin_port, their_address.sin_port);
    EXPECT_EQ(buffers.buffer(i).substr(header, 5), "hello");
  }
}

TEST_P(Multishots, of_an_accept_answer_each_connection) {
  const TcpListener listener = outside.tcp_listener();
  script.submit({accept_multishot(1, listener.fd)});
  script.expect_silence();
  for (int i = 0; i < 3; ++i) {
    outside.connected_to(listener.address);
    const std::optional<Cqe> cqe = script.next();
    ASSERT_TRUE(cqe);
    outside.keep(cqe->res);
    EXPECT_EQ(cqe->flags & uapi::cqe_more, uapi::cqe_more);
  }
}

TEST_P(Multishots, of_an_accept_end_when_there_is_no_descriptor_and_lose_nobody) {
  const TcpListener listener = outside.tcp_listener();
  outside.connected_to(listener.address);
  machine->let_open(false);
  script.submit({accept_multishot(1, listener.fd)});
  script.expect({{1, -EMFILE}});
  machine->let_open(true);
  script.submit({accept_multishot(2, listener.fd)});
  const std::optional<Cqe> cqe = script.next();
  ASSERT_TRUE(cqe);
  outside.keep(cqe->res);
}

TEST_P(Multishots, of_an_accept_end_when_the_listener_is_shut_down) {
  const TcpListener listener = outside.tcp_listener();
  script.submit({accept_multishot(1, listener.fd)});
  script.submit({shutdown(2, listener.fd, SHUT_RDWR)});
  script.expect_in_any_order({{1, -EINVAL}, {2, 0}});
}

TEST_P(Multishots, read_a_pipe_until_its_end) {
  NEEDS(Opcode::read_multishot);
  const Pipe pipe = outside.pipe();
  BufferRing buffers(script, 7, 4, 16);
  buffers.lend_all();
  script.submit({read_multishot(1, pipe.reader, 7)});
  script.expect_silence();
  outside.write(pipe.writer, "hello");
  script.expect({{1, 5, more | in_buffer_number(0)}});
  outside.write(pipe.writer, "you");
  script.expect({{1, 3, more | in_buffer_number(1)}});
  outside.close(pipe.writer);
  const std::optional<Cqe> last = script.next();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->res, 0);
  EXPECT_EQ(last->flags & uapi::cqe_more, 0U);
}

TEST_P(Multishots, read_an_eventfd_until_there_is_no_buffer) {
  NEEDS(Opcode::read_multishot);
  const int eventfd = outside.eventfd();
  BufferRing buffers(script, 7, 2, 8);
  buffers.lend_all();
  script.submit({read_multishot(1, eventfd, 7)});
  for (std::uint16_t i = 0; i < 2; ++i) {
    EXPECT_EQ(kernel().wake(eventfd), 0);
    script.expect({{1, 8, more | in_buffer_number(i)}});
  }
  EXPECT_EQ(kernel().wake(eventfd), 0);
  script.expect({{1, -ENOBUFS}});
}

TEST_P(Multishots, do_not_read_what_nobody_can_wait_for) {
  NOT_SIMULATED("device files");
  NEEDS(Opcode::read_multishot);
  BufferRing buffers(script, 7, 2, 8);
  buffers.lend_all();
  const int zeros = outside.keep(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  script.submit({read_multishot(1, zeros, 7)});
  script.expect({{1, -EBADFD}});
}

TEST_P(Multishots, do_not_read_files) {
  NEEDS(Opcode::read_multishot);
  const int file = outside.file("text");
  BufferRing buffers(script, 7, 2, 8);
  buffers.lend_all();
  script.submit({read_multishot(1, file, 7)});
  script.expect({{1, -EBADFD}});
}

}  // namespace
}  // namespace corering::conformance
