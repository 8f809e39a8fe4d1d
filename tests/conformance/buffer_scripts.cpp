/// buffer_scripts.cpp — buffers that the kernel picks from a ring, whole, in parts, or several at once.
#include <cerrno>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

SCRIPTS(BufferRings);

Entry read_selecting(std::uint64_t user_data, int fd, std::uint16_t group, std::uint64_t offset,
                     std::size_t size = 0) {
  Entry entry = about(user_data, Opcode::read, fd, nullptr, size).from_group(group);
  entry.sqe.off = offset;
  return entry;
}

Entry recv_selecting(std::uint64_t user_data, int fd, std::uint16_t group, std::size_t size = 0) {
  return about(user_data, Opcode::recv, fd, nullptr, size).from_group(group);
}

TEST_P(BufferRings, give_a_buffer_to_a_read) {
  const int file = outside.file("hello");
  BufferRing buffers(script, 3, 4, 16);
  buffers.lend(2);
  script.submit({read_selecting(1, file, 3, 0)});
  script.expect({{1, 5, in_buffer_number(2)}});
  EXPECT_EQ(buffers.text(2, 6), "hello.");
}

TEST_P(BufferRings, give_buffers_in_the_order_in_which_they_were_lent) {
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 4, 2);
  buffers.lend(3).lend(1).lend(2);
  outside.write(pair.theirs, "abcdef");
  script.submit(
      {recv_selecting(1, pair.ours, 3), recv_selecting(2, pair.ours, 3), recv_selecting(3, pair.ours, 3)});
  script.expect({{1, 2, in_buffer_number(3)}, {2, 2, in_buffer_number(1)}, {3, 2, in_buffer_number(2)}});
}

TEST_P(BufferRings, are_not_looked_at_by_who_waits_first) {
  const Pair pair = outside.socket_pair();
  script.submit({recv_selecting(1, pair.ours, 3).ioprio(uapi::recvsend_poll_first)});
  script.expect_silence();
  BufferRing buffers(script, 3, 2, 8);
  buffers.lend_all();
  outside.write(pair.theirs, "hello");
  script.expect({{1, 5, in_buffer_number(0)}});
}

TEST_P(BufferRings, give_no_buffer_before_the_bytes_have_come) {
  const Pair first = outside.socket_pair();
  const Pair second = outside.socket_pair();
  BufferRing buffers(script, 3, 2, 8);
  buffers.lend(0);
  script.submit({recv_selecting(1, first.ours, 3), recv_selecting(2, second.ours, 3)});
  script.expect_silence();
  outside.write(second.theirs, "hello");
  script.expect({{2, 5, in_buffer_number(0)}});
  buffers.lend(1);
  outside.write(first.theirs, "hello");
  script.expect({{1, 5, in_buffer_number(1)}});
}

TEST_P(BufferRings, are_asked_for_no_more_than_the_request_wants) {
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 2, 8);
  buffers.lend_all();
  outside.write(pair.theirs, "hello");
  script.submit({recv_selecting(1, pair.ours, 3, 2)});
  script.expect({{1, 2, in_buffer_number(0)}});
}

TEST_P(BufferRings, that_are_empty_say_so) {
  const int file = outside.file("hello");
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 4, 16);
  outside.write(pair.theirs, "hello");
  script.submit({read_selecting(1, file, 3, 0), recv_selecting(2, pair.ours, 3)});
  script.expect({{1, -ENOBUFS}, {2, -ENOBUFS}});
}

TEST_P(BufferRings, that_do_not_exist_have_no_buffers) {
  const int file = outside.file("hello");
  script.submit({read_selecting(1, file, 99, 0)});
  script.expect({{1, -ENOBUFS}});
}

TEST_P(BufferRings, lose_a_buffer_to_a_read_at_the_end_of_a_file) {
  const int file = outside.file("hello");
  BufferRing buffers(script, 3, 4, 16);
  buffers.lend(1);
  script.submit({read_selecting(1, file, 3, 5)});
  script.expect({{1, 0, in_buffer_number(1)}});
}

TEST_P(BufferRings, lose_no_buffer_to_a_failed_read) {
  const Pipe pipe = outside.pipe();
  BufferRing buffers(script, 3, 4, 16);
  buffers.lend(1);
  script.submit({read_selecting(1, pipe.writer, 3, at_position)});
  script.expect({{1, -EBADF}});
  const int file = outside.file("hello");
  script.submit({read_selecting(2, file, 3, 0)});
  script.expect({{2, 5, in_buffer_number(1)}});
}

TEST_P(BufferRings, lose_no_buffer_to_a_cancelled_receive) {
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 4, 16);
  buffers.lend(1);
  script.submit({recv_selecting(1, pair.ours, 3)});
  script.submit({cancel(2, 1)});
  script.expect({{2, 0}, {1, -ECANCELED}});
  outside.write(pair.theirs, "hello");
  script.submit({recv_selecting(3, pair.ours, 3)});
  script.expect({{3, 5, in_buffer_number(1)}});
}

TEST_P(BufferRings, are_used_again_and_again) {
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 2, 8);
  buffers.lend_all();
  for (std::uint16_t i = 0; i < 20; ++i) {
    outside.write(pair.theirs, "hello");
    script.submit({recv_selecting(i, pair.ours, 3)});
    script.expect({{i, 5, in_buffer_number(i % 2U)}});
    buffers.lend(i % 2);
  }
}

TEST_P(BufferRings, have_a_number_that_is_taken_once) {
  BufferRing buffers(script, 3, 4, 16);
  EXPECT_EQ(buffers.registered(), 0);
  BufferRing again(script, 3, 4, 16);
  EXPECT_EQ(again.registered(), -EEXIST);
}

TEST_P(BufferRings, have_a_power_of_two_entries) {
  BufferRing buffers(script, 3, 3, 16);
  EXPECT_EQ(buffers.registered(), -EINVAL);
}

TEST_P(BufferRings, that_do_not_exist_cannot_be_unregistered) {
  uapi::BufferRingRegister gone{.group = 99};
  EXPECT_EQ(script.registers(uapi::unregister_pbuf_ring, &gone, 1), -ENOENT);
}

TEST_P(BufferRings, that_are_consumed_in_parts_go_on_in_the_same_buffer) {
  NEEDS(Feature::incremental_buffers);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 2, 8, uapi::pbuf_ring_inc);
  buffers.lend_all();
  outside.write(pair.theirs, "abc");
  script.submit({recv_selecting(1, pair.ours, 3)});
  script.expect({{1, 3, in_buffer_number(0) | buffer_goes_on}});
  outside.write(pair.theirs, "defgh");
  script.submit({recv_selecting(2, pair.ours, 3)});
  script.expect({{2, 5, in_buffer_number(0)}});
  EXPECT_EQ(buffers.text(0, 8), "abcdefgh");
  outside.write(pair.theirs, "ij");
  script.submit({recv_selecting(3, pair.ours, 3)});
  script.expect({{3, 2, in_buffer_number(1) | buffer_goes_on}});
}

TEST_P(BufferRings, that_are_consumed_in_parts_serve_a_repeating_receive) {
  NEEDS(Feature::incremental_buffers);
  NEEDS(Feature::recv_multishot);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 2, 8, uapi::pbuf_ring_inc);
  buffers.lend(0);
  script.submit({recv_multishot(1, pair.ours, 3)});
  outside.write(pair.theirs, "abc");
  script.expect({{1, 3, more | in_buffer_number(0) | buffer_goes_on}});
  outside.write(pair.theirs, "defghij");
  script.expect({{1, 5, more | in_buffer_number(0)}, {1, -ENOBUFS}});
}

TEST_P(BufferRings, give_several_buffers_to_a_bundle) {
  NEEDS(Feature::bundles);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 4, 4);
  buffers.lend_all();
  outside.write(pair.theirs, "abcdefghij");
  // A bundle may take fewer buffers than the bytes would fill. What it took is one piece, from its first
  // buffer on.
  int received = 0;
  for (std::uint64_t i = 1; received < 10 && i <= 3; ++i) {
    script.submit({recv_selecting(i, pair.ours, 3).ioprio(uapi::recvsend_bundle)});
    const std::optional<Cqe> cqe = script.next();
    ASSERT_TRUE(cqe && cqe->res > 0);
    EXPECT_EQ(cqe->flags >> uapi::cqe_buffer_shift, static_cast<std::uint32_t>(received / 4));
    EXPECT_TRUE(cqe->res % 4 == 0 || received + cqe->res == 10) << cqe->res;
    received += cqe->res;
  }
  EXPECT_EQ(received, 10);
  EXPECT_EQ(buffers.text(0, 4) + buffers.text(1, 4) + buffers.text(2, 2), "abcdefghij");
}

TEST_P(BufferRings, are_sent_as_a_bundle) {
  NEEDS(Feature::bundles);
  if (is_linux({"6.12.43", "6.16.12", "6.17.13", "6.18.15"}))
    GTEST_SKIP() << "this Linux answers such a send several times";
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 4, 4);
  buffers.lend(0).lend(1);
  script.submit({about(1, Opcode::send, pair.ours, nullptr, 0).from_group(3).ioprio(uapi::recvsend_bundle)});
  script.expect({{1, 8, in_buffer_number(0)}});
  EXPECT_EQ(outside.read(pair.theirs, 16), "........");
}

TEST_P(BufferRings, are_sent_whatever_list_the_request_names) {
  NEEDS(Feature::send_vectorized);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(script, 3, 4, 4);
  buffers.lend(2).lend(1);
  const Entry entry = about(1, Opcode::send, pair.ours, nullptr, 2).from_group(3);
  script.submit({entry.ioprio(uapi::send_vectorized)});
  script.expect({{1, 2, in_buffer_number(2)}});
  EXPECT_EQ(outside.read(pair.theirs, 16), "..");
}

// ---- buffers that are provided one by one ----

TEST_P(BufferRings, have_an_older_form_without_a_ring) {
  DIFFERS_WHEN_EMULATED("PROVIDE_BUFFERS is not offered");
  NOT_SIMULATED("PROVIDE_BUFFERS");
  std::string& memory = outside.room(32);
  Entry provide = about(1, Opcode::provide_buffers, 2, memory.data(), 16);
  provide.sqe.off = 5;
  provide.sqe.buf_index = 4;
  const Pair pair = outside.socket_pair();
  outside.write(pair.theirs, "hello");
  script.submit({provide});
  script.expect({{1, 0}});
  script.submit({recv_selecting(2, pair.ours, 4)});
  script.expect({{2, 5, in_buffer_number(5)}});
  Entry remove = request(3, Opcode::remove_buffers, 8);
  remove.sqe.buf_index = 4;
  script.submit({remove});
  script.expect({{3, 1}});
}

}  // namespace
}  // namespace corering::conformance
