/// os_plain_test.cpp — plain calls are tried many in a row, and lose nothing when they are not so plain.
#include <memory>
#include <string_view>
#include <utility>

#include "emulation/os_world_fixture.hpp"

namespace corering::emulation {
namespace {

using PlainCalls = OsWorldTest;

/// A plain call that says what it does in one line.
struct TestPlain {
  Sqe sqe{};
  PlainCall call;

  TestPlain(Opcode opcode, int fd, const void* memory, std::size_t size, std::uint64_t offset = 0) {
    sqe.opcode = static_cast<std::uint8_t>(opcode);
    sqe.fd = call.fd = fd;
    sqe.addr = address(memory);
    sqe.len = static_cast<std::uint32_t>(size);
    sqe.off = offset;
    call.sqe = &sqe;
  }
  TestPlain(TestPlain&&) = delete;

  TestPlain& flags(std::uint32_t flags) {
    sqe.op_flags = flags;
    return *this;
  }
  TestPlain& tried_by(World& world) {
    world.attempt_plain({&call, 1});
    return *this;
  }
  [[nodiscard]] bool is_done() const { return call.trial.is(Trial::Kind::ended); }
  [[nodiscard]] bool waits_for(std::uint32_t events) const {
    return call.trial.is(Trial::Kind::waits) && call.trial.events == events;
  }
};

/// What a plain call becomes when it was not so plain, or waits.
struct Whole : TestCall {
  explicit Whole(const TestPlain& plain) : TestCall(static_cast<Opcode>(plain.sqe.opcode)) {
    sqe = plain.sqe;
    moved = plain.call.trial.moved();
    is_plain = true;
  }
};

TEST_F(PlainCalls, are_answered_in_one_go) {
  const SocketPair sockets;
  char got[8] = {};
  TestPlain sends(Opcode::send, sockets.first, "hello", 5);
  TestPlain receives(Opcode::recv, sockets.second, got, sizeof got);
  PlainCall both[] = {sends.call, receives.call};
  world().attempt_plain(both);
  EXPECT_EQ(both[0].trial.result, 5);
  EXPECT_EQ(both[1].trial.result, 5);
  EXPECT_STREQ(got, "hello");
}

TEST_F(PlainCalls, that_would_wait_say_for_what) {
  const SocketPair sockets;
  char got[8];
  EXPECT_TRUE(TestPlain(Opcode::recv, sockets.second, got, sizeof got).tried_by(world()).waits_for(POLLIN));
  const std::string much(1 << 16, 'x');
  TestPlain sends(Opcode::send, sockets.first, much.data(), much.size());
  while (sends.tried_by(world()).is_done()) {
  }
  EXPECT_TRUE(sends.waits_for(POLLOUT));
}

TEST_F(PlainCalls, tell_errors_and_the_end) {
  SocketPair sockets;
  char got[8];
  EXPECT_TRUE(
      TestPlain(Opcode::recv, -1, got, sizeof got).tried_by(world()).call.trial.is(Trial::Kind::whole));
  EXPECT_EQ(TestPlain(Opcode::recv, 0x7fff, got, sizeof got).tried_by(world()).call.trial.result, -EBADF);
  ::close(std::exchange(sockets.first, -1));
  EXPECT_EQ(TestPlain(Opcode::recv, sockets.second, got, sizeof got).tried_by(world()).call.trial.result, 0);
  EXPECT_EQ(TestPlain(Opcode::send, sockets.second, "x", 1).tried_by(world()).call.trial.result, -EPIPE);
}

TEST_F(PlainCalls, with_other_flags_are_left_to_the_whole_attempt) {
  const SocketPair sockets;
  ASSERT_EQ(::send(sockets.first, "hello", 5, 0), 5);
  char got[8];
  TestPlain peeks(Opcode::recv, sockets.second, got, sizeof got);
  EXPECT_TRUE(peeks.flags(MSG_PEEK).tried_by(world()).call.trial.is(Trial::Kind::whole));
  TestPlain all(Opcode::recv, sockets.second, got, sizeof got);
  EXPECT_TRUE(all.flags(MSG_WAITALL).tried_by(world()).call.trial.is(Trial::Kind::whole));
  EXPECT_EQ(::recv(sockets.second, got, sizeof got, MSG_DONTWAIT), 5) << "nothing was taken";
}

TEST_F(PlainCalls, that_were_sent_in_part_go_on_where_they_stopped) {
  const SocketPair sockets;
  std::string sent(1 << 20, 'a');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>('a' + i % 23);
  TestPlain sends(Opcode::send, sockets.first, sent.data(), sent.size());
  ASSERT_TRUE(sends.flags(MSG_WAITALL).tried_by(world()).call.trial.is(Trial::Kind::whole));
  ASSERT_GT(sends.call.trial.moved(), 0U);
  std::string received(sent.size(), '\0');
  std::thread peer([&] { ::recv(sockets.second, received.data(), received.size(), MSG_WAITALL); });
  Whole rest(sends);
  EXPECT_EQ(finish(rest), static_cast<std::int32_t>(sent.size()));
  peer.join();
  EXPECT_EQ(received, sent);
}

TEST_F(PlainCalls, of_a_pipe_take_what_is_there_once) {
  const Pipe pipe;
  char got[16] = {};
  ASSERT_EQ(::write(pipe.second, "one", 3), 3);
  TestCall first(Opcode::read, pipe.first);  // so that it is known what the descriptor is
  EXPECT_EQ(attempt(first.memory(got, 3).at(~0ULL)).result, 3);
  ASSERT_EQ(::write(pipe.second, "two", 3), 3);
  TestPlain reads(Opcode::read, pipe.first, got, sizeof got, ~0ULL);
  EXPECT_TRUE(reads.tried_by(world()).call.trial.is(Trial::Kind::whole));
  EXPECT_EQ(reads.call.trial.moved(), 3U);
  Whole whole(reads);
  EXPECT_EQ(attempt(whole).result, 3);
  EXPECT_STREQ(got, "two");
}

TEST_F(PlainCalls, read_files_at_once_when_it_is_known_what_they_are) {
  const TemporaryFile file("0123456789");
  char got[4];
  TestPlain reads(Opcode::read, file.fd, got, sizeof got, 2);
  EXPECT_TRUE(reads.tried_by(world()).call.trial.is(Trial::Kind::whole));
  Whole first(reads);
  EXPECT_EQ(attempt(first).result, 4);
  EXPECT_EQ(reads.tried_by(world()).call.trial.result, 4);
  EXPECT_EQ(std::string_view(got, 4), "2345");
  TestPlain at_the_end(Opcode::read, file.fd, got, sizeof got, 8);
  EXPECT_EQ(at_the_end.tried_by(world()).call.trial.moved(), 2U);
  Whole whole(at_the_end);
  EXPECT_EQ(finish(whole), 2);
}

TEST_F(PlainCalls, take_the_longer_way_where_there_are_no_positions_and_files_do_not_after_them) {
  Pipe pipe;
  ASSERT_EQ(::write(pipe.second, "abcdef", 6), 6);
  char got[2];
  TestCall first(Opcode::read, pipe.first);
  EXPECT_EQ(attempt(first.memory(got, 2)).result, 2);
  for (int i = 0; i < 2; ++i) {  // the first one learns it
    TestPlain reads(Opcode::read, pipe.first, got, 2);
    ASSERT_TRUE(reads.tried_by(world()).call.trial.is(Trial::Kind::whole));
    Whole whole(reads);
    EXPECT_EQ(attempt(whole).result, 2);
  }
  EXPECT_EQ(std::string_view(got, 2), "ef");
  const TemporaryFile file("0123456789");
  ASSERT_EQ(::lseek(file.fd, 5, SEEK_SET), 5);
  ASSERT_EQ(::dup2(file.fd, pipe.first), pipe.first) << "without the world's knowledge";
  TestPlain reads(Opcode::read, pipe.first, got, 2);
  ASSERT_TRUE(reads.tried_by(world()).call.trial.is(Trial::Kind::whole));
  Whole whole(reads);
  EXPECT_EQ(attempt(whole).result, 2);
  EXPECT_EQ(std::string_view(got, 2), "01");
}

// What was taken does not come again.
TEST_F(PlainCalls, read_an_empty_message_once) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  for (const std::string_view message : {"one", "", "two"})
    ASSERT_EQ(::send(ends[0], message.data(), message.size(), 0), static_cast<ssize_t>(message.size()));
  char got[8] = {};
  constexpr auto own_position = ~std::uint64_t{0};
  TestPlain first(Opcode::read, ends[1], got, sizeof got, own_position);
  Whole whole(first);
  EXPECT_EQ(world().attempt(whole).result, 3);  // now it is known what it is
  const auto read = [&] {
    TestPlain again(Opcode::read, ends[1], got, sizeof got, own_position);
    again.tried_by(world());
    return again.is_done() ? again.call.trial.result
                           : world().attempt(*std::make_unique<Whole>(again)).result;
  };
  EXPECT_EQ(read(), 0);
  EXPECT_EQ(read(), 3);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(PlainCalls, that_are_ready_are_reported_with_their_answer) {
  const SocketPair sockets;
  char got[8] = {};
  TestPlain receives(Opcode::recv, sockets.second, got, sizeof got);
  ASSERT_TRUE(receives.tried_by(world()).waits_for(POLLIN));
  Whole waiting(receives);
  watch(waiting, receives.call.trial.answer(sockets.second));
  ASSERT_EQ(::send(sockets.first, "late", 4, 0), 4);
  const Report found = report();
  EXPECT_EQ(found.call, &waiting);
  EXPECT_TRUE(found.was_tried);
  EXPECT_EQ(found.answer.result, 4);
  EXPECT_STREQ(got, "late");
}

TEST_F(PlainCalls, whose_bytes_somebody_else_took_wait_again) {
  const SocketPair sockets;
  char got[8];
  TestPlain receives(Opcode::recv, sockets.second, got, sizeof got);
  ASSERT_TRUE(receives.tried_by(world()).waits_for(POLLIN));
  Whole waiting(receives);
  watch(waiting, receives.call.trial.answer(sockets.second));
  ASSERT_EQ(::send(sockets.first, "gone", 4, 0), 4);
  ASSERT_EQ(world().wait(std::nullopt), 0);
  ASSERT_EQ(::recv(sockets.second, got, sizeof got, 0), 4);
  const Report found = report();
  EXPECT_FALSE(found.was_tried) << "it may be at its end: the whole call looks";
  waiting.was_ready = true;
  EXPECT_EQ(world().attempt(waiting).kind, Kind::waits);
}

}  // namespace
}  // namespace corering::emulation
