/// ring_scripts.cpp — the ring itself: opening it, entering it, its queues, and messages to other rings.
#include <cerrno>
#include <csignal>
#include <sys/time.h>
#include <thread>

#include "conformance/kernels.hpp"
#include "conformance/tables.hpp"

namespace corering::conformance {
namespace {

using namespace std::chrono_literals;

// ---- opening ----

SCRIPTS(Rings);

TEST_P(Rings, of_no_entries_are_not_opened) {
  const Script none(kernel(), {.sq_entries = 0});
  EXPECT_EQ(none.opened(), -EINVAL);
}

TEST_P(Rings, have_a_power_of_two_entries_and_twice_as_many_answers) {
  const Script odd(kernel(), {.sq_entries = 5});
  ASSERT_EQ(odd.opened(), 0);
  EXPECT_EQ(odd.params().sq_entries, 8U);
  EXPECT_EQ(odd.params().cq_entries, 16U);
}

TEST_P(Rings, that_are_too_large_are_cut_or_not_opened) {
  const Script cut(kernel(), {.sq_entries = 65536, .flags = uapi::setup_clamp});
  ASSERT_EQ(cut.opened(), 0);
  EXPECT_EQ(cut.params().sq_entries, 32768U);
  const Script refused(kernel(), {.sq_entries = 65536, .flags = 0U});
  EXPECT_EQ(refused.opened(), -EINVAL);
}

TEST_P(Rings, with_fewer_answers_than_requests_are_not_opened) {
  const Script few(kernel(), {.sq_entries = 64, .cq_entries = 8});
  EXPECT_EQ(few.opened(), -EINVAL);
}

TEST_P(Rings, that_defer_have_one_issuer) {
  NEEDS(Feature::defer_taskrun);
  const Script deferring(kernel(), {.flags = uapi::setup_defer_taskrun});
  EXPECT_EQ(deferring.opened(), -EINVAL);
}

TEST_P(Rings, with_an_unknown_flag_are_not_opened) {
  const Script unknown(kernel(), {.flags = 1U << 30});
  EXPECT_EQ(unknown.opened(), -EINVAL);
}

TEST_P(Rings, belong_to_the_thread_that_opened_them) {
  NEEDS(Feature::single_issuer);
  script.push(nop(1));
  int entered = 0;
  int registered = 0;
  std::thread([&] {
    entered = script.enter();
    uapi::RsrcRegister wish{.count = 4, .flags = uapi::rsrc_register_sparse};
    registered = script.registers(uapi::register_files2, &wish, sizeof wish);
  }).join();
  // EINVAL, if the ring's descriptor is registered with the thread: there is no such number in another one.
  EXPECT_TRUE(entered == -EEXIST || entered == -EINVAL) << entered;
  EXPECT_EQ(registered, -EEXIST);
  EXPECT_EQ(script.enter(), 1);
  script.expect({{1, 0}});
}

TEST_P(Rings, answer_a_probe_with_what_they_know) {
  auto& probe = outside.object<uapi::Probe>();
  EXPECT_EQ(script.registers(uapi::register_probe, &probe, probe.ops.size()), 0);
  EXPECT_NE(probe.ops[static_cast<std::size_t>(Opcode::recv)].flags & uapi::probe_op_supported, 0);
  EXPECT_EQ(script.registers(9999, nullptr, 0), -EINVAL);
}

TEST_P(Rings, let_go_of_their_files_when_they_are_closed) {
  const Pipe pipe = outside.pipe();
  {
    Script other(kernel());
    FileTable table(other, 2);
    table.put(0, pipe.writer);
    outside.close(pipe.writer);
    other.finish();
  }
  std::string& into = outside.room(8);
  script.submit({read(1, pipe.reader, into)});
  script.expect({{1, 0}});
}

// ---- entering ----

SCRIPTS(Enters);

const uapi::GetEventsArg* limited(Outside& outside, Duration limit) {
  const auto& time = outside.object(as_timespec(limit));
  return &outside.object(uapi::GetEventsArg{.timespec = address(&time)});
}
constexpr unsigned waiting = uapi::enter_getevents | uapi::enter_ext_arg;

/// The end of a real ring goes on in the kernel, which then interrupts waits of this thread that are no
/// ring's. The emulation waits in epoll_wait(2), so a script that is not about signals enters again.
int enter_undisturbed(Script& script, unsigned least, const uapi::GetEventsArg* limit) {
  int answer = -EINTR;
  while (answer == -EINTR) answer = script.enter(least, waiting, limit);
  return answer;
}

TEST_P(Enters, answer_how_many_requests_they_took) {
  EXPECT_EQ(script.enter(), 0);
  script.push(nop(1));
  script.push(nop(2));
  EXPECT_EQ(script.ring().enter(0, 0, 0, nullptr), 0);
  EXPECT_EQ(script.enter(), 2);
  script.expect({{1, 0}, {2, 0}});
}

TEST_P(Enters, take_no_more_than_there_are) {
  script.push(nop(1));
  EXPECT_EQ(script.enter(), 1);
  EXPECT_EQ(script.ring().enter(5, 0, 0, nullptr), 0);
  script.expect({{1, 0}});
}

TEST_P(Enters, take_a_part_when_they_are_told_to) {
  script.push(nop(1));
  script.push(nop(2));
  EXPECT_EQ(script.enter_with(1), 1);
  script.expect({{1, 0}, {2, 0}});  // waiting for the second takes it, too
}

TEST_P(Enters, wait_no_longer_than_their_limit) {
  const TimePoint begin = kernel().now();
  EXPECT_EQ(enter_undisturbed(script, 1, limited(outside, 3ms)), -ETIME);
  EXPECT_GE(kernel().now() - begin, 3ms);
}

TEST_P(Enters, hide_that_time_was_up_when_they_took_something) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.push(recv(1, pair.ours, into));
  EXPECT_EQ(script.enter(1, waiting, limited(outside, 2ms)), 1);
}

TEST_P(Enters, do_not_wait_for_what_is_there) {
  script.push(nop(1));
  EXPECT_EQ(script.enter(1, waiting, limited(outside, Script::patience)), 1);
  EXPECT_EQ(script.in_the_ring(), 1U);
  EXPECT_EQ(script.enter(1, waiting, limited(outside, Script::patience)), 0);
  script.expect({{1, 0}});
}

TEST_P(Enters, wait_for_as_many_as_they_are_told) {
  for (std::uint64_t i = 1; i <= 3; ++i) script.push(nop(i).async());
  EXPECT_EQ(script.enter(3, waiting, limited(outside, Script::patience)), 3);
  EXPECT_EQ(script.in_the_ring(), 3U);
  script.expect_in_any_order({{1, 0}, {2, 0}, {3, 0}});
}

TEST_P(Enters, that_wait_for_several_end_when_a_timeout_fires) {
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.push(recv(1, pair.ours, into));
  script.push(timeout(2, 2ms));
  EXPECT_EQ(script.enter(2, waiting, limited(outside, Script::patience)), 2);
  if (script.in_the_ring() == 0) (void)enter_undisturbed(script, 2, limited(outside, Script::patience));
  EXPECT_EQ(script.in_the_ring(), 1U);
  script.expect({{2, -ETIME}});
}

TEST_P(Enters, without_a_limit_in_their_argument_wait_as_long_as_it_takes) {
  script.push(timeout(1, 2ms));
  auto& argument = outside.object(uapi::GetEventsArg{});
  EXPECT_EQ(script.enter(1, waiting, &argument), 1);
  script.expect({{1, -ETIME}});
}

TEST_P(Enters, are_interrupted_by_signals) {
  NOT_SIMULATED("signals");
  struct sigaction nothing{};
  struct sigaction before{};
  nothing.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGVTALRM, &nothing, &before), 0);  // without SA_RESTART
  std::atomic<bool> over = false;
  std::thread disturber([&over, thread = ::pthread_self()] {
    while (!over) {
      ::pthread_kill(thread, SIGVTALRM);
      std::this_thread::sleep_for(1ms);
    }
  });
  EXPECT_EQ(script.enter(1, waiting, limited(outside, Script::patience)), -EINTR);
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(8);
  script.push(recv(1, pair.ours, into));
  EXPECT_EQ(script.enter(1, waiting, limited(outside, Script::patience)), 1)
      << "hidden, because it took something";
  over = true;
  disturber.join();
  ::sigaction(SIGVTALRM, &before, nullptr);
}

TEST_P(Enters, with_an_unknown_flag_are_invalid) { EXPECT_EQ(script.enter(0, 1U << 25), -EINVAL); }

TEST_P(Enters, stop_at_an_invalid_request_unless_all_are_to_be_taken) {
  Script strict(kernel(), {.flags = 0U});
  ASSERT_EQ(strict.opened(), 0);
  strict.push(nop(1));
  strict.push(request(2, static_cast<Opcode>(200)));
  strict.push(nop(3));
  EXPECT_EQ(strict.enter(), 2);
  EXPECT_EQ(strict.in_the_ring(), 2U);
  EXPECT_EQ(strict.enter(), 1);
  strict.expect({{1, 0}, {2, -EINVAL}, {3, 0}});
  strict.finish();
}

// ---- the completion queue ----

SCRIPTS(CompletionQueues);

TEST_P(CompletionQueues, keep_aside_what_they_have_no_room_for) {
  Script small(kernel(), {.sq_entries = 8, .cq_entries = 8});
  ASSERT_EQ(small.opened(), 0);
  for (std::uint64_t i = 0; i < 40; ++i) {
    small.push(nop(i));
    EXPECT_EQ(small.enter(), 1);
  }
  EXPECT_TRUE(small.has_overflowed());
  EXPECT_EQ(small.in_the_ring(), 8U);
  for (std::uint64_t i = 0; i < 40; ++i) small.expect({{i, 0}});
  EXPECT_FALSE(small.has_overflowed());
  small.finish();
}

TEST_P(CompletionQueues, end_a_repeating_receive_when_they_have_no_room) {
  NEEDS(Feature::recv_multishot);
  Script small(kernel(), {.sq_entries = 2, .cq_entries = 2});
  ASSERT_EQ(small.opened(), 0);
  const Pair pair = outside.socket_pair();
  BufferRing buffers(small, 7, 8, 1);
  buffers.lend_all();
  small.submit({recv_multishot(1, pair.ours, 7)});
  outside.write(pair.theirs, "abcd");
  std::string received;
  int ended = 0;
  for (std::uint16_t i = 0; i < 4; ++i) {
    const std::optional<Cqe> cqe = small.next();
    ASSERT_TRUE(cqe);
    EXPECT_EQ(cqe->res, 1);
    EXPECT_EQ(cqe->flags >> uapi::cqe_buffer_shift, i);
    received += buffers.text(i, 1);
    if ((cqe->flags & uapi::cqe_more) != 0) continue;
    ++ended;  // no error tells why
    small.submit({recv_multishot(1, pair.ours, 7)});
  }
  EXPECT_EQ(received, "abcd");
  EXPECT_GT(ended, 0);
  small.finish();
}

TEST_P(CompletionQueues, lose_no_answer_of_a_repeating_accept) {
  Script small(kernel(), {.sq_entries = 2, .cq_entries = 2});
  ASSERT_EQ(small.opened(), 0);
  const TcpListener listener = outside.tcp_listener();
  for (int i = 0; i < 6; ++i) outside.connected_to(listener.address);
  small.submit({accept_multishot(1, listener.fd)});
  for (int i = 0; i < 6; ++i) {
    const std::optional<Cqe> cqe = small.next();
    ASSERT_TRUE(cqe);
    outside.keep(cqe->res);
    if ((cqe->flags & uapi::cqe_more) == 0) small.submit({accept_multishot(1, listener.fd)});
  }
  small.finish();
}

TEST_P(CompletionQueues, wrap_around) {
  Script small(kernel(), {.sq_entries = 2, .cq_entries = 4});
  ASSERT_EQ(small.opened(), 0);
  for (std::uint64_t i = 0; i < 100; ++i) {
    small.submit({nop(2 * i), nop(2 * i + 1)});
    small.expect({{2 * i, 0}, {2 * i + 1, 0}});
  }
  small.finish();
}

// ---- messages ----

class Messages : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (other.opened() == 0 && other.ring().descriptor() < 0) GTEST_SKIP() << "its rings have no descriptors";
  }
  void TearDown() override {
    if (other.opened() == 0) other.finish();
    Conformance::TearDown();
  }
  [[nodiscard]] int theirs() { return other.ring().descriptor(); }

  Script other{kernel()};
};
SCRIPTS_OF(Messages);

TEST_P(Messages, arrive_in_another_ring) {
  script.submit({message(1, theirs(), 77, 5)});
  script.expect({{1, 0}});
  other.expect({{77, 5}});
}

TEST_P(Messages, arrive_in_the_order_in_which_they_were_sent) {
  script.submit({message(1, theirs(), 71, 1).skipping(), message(2, theirs(), 72, 2).skipping(),
                 message(3, theirs(), 73, 3)});
  script.expect({{3, 0}});
  other.expect({{71, 1}, {72, 2}, {73, 3}});
}

TEST_P(Messages, to_the_ring_itself_are_invalid_or_arrive) {
  script.submit({message(1, script.ring().descriptor(), 77, 5)});
  const int result = script.result_of(1);
  EXPECT_TRUE(result == -EINVAL || result == 0) << result;
  if (result == 0) script.expect({{77, 5}});
}

TEST_P(Messages, to_what_is_no_ring_say_so) {
  const int file = outside.file("text");
  script.submit({message(1, file, 77, 5), message(2, -1, 77, 5)});
  script.expect({{1, -EBADFD}, {2, -EBADF}});
}

TEST_P(Messages, of_an_unknown_kind_are_invalid) {
  Entry unknown = message(1, theirs(), 77, 5);
  unknown.sqe.addr = 99;
  script.submit({unknown});
  script.expect({{1, -EINVAL}});
}

TEST_P(Messages, with_an_unknown_flag_are_invalid) {
  script.submit({message(1, theirs(), 77, 5).flags(1U << 20)});
  script.expect({{1, -EINVAL}});
}

TEST_P(Messages, carry_files) {
  FileTable ours(script, 2);
  FileTable table(other, 4);
  ours.put(1, outside.file("text"));
  script.submit({message_with_file(1, theirs(), 77, 1).into_slot(3)});
  script.expect({{1, 0}});
  other.expect({{77, 0}});
  std::string& into = outside.room(4);
  other.submit({read(2, 3, into, 0).in_slot()});
  other.expect({{2, 4}});
  EXPECT_EQ(into, "text");
}

TEST_P(Messages, carry_files_into_a_free_slot_and_say_which) {
  FileTable ours(script, 2);
  FileTable table(other, 1);
  ours.put(1, outside.file("text"));
  script.submit({message_with_file(1, theirs(), 77, 1).into_free_slot()});
  script.expect({{1, 0}});
  other.expect({{77, 0}});
  script.submit({message_with_file(2, theirs(), 77, 1).into_free_slot()});
  script.expect({{2, -ENFILE}});
}

TEST_P(Messages, carry_no_file_from_an_empty_slot) {
  FileTable ours(script, 2);
  FileTable table(other, 1);
  script.submit({message_with_file(1, theirs(), 77, 0).into_slot(0)});
  script.expect({{1, -EBADF}});
}

TEST_P(Messages, carry_files_silently_when_told_to) {
  FileTable ours(script, 2);
  FileTable table(other, 1);
  ours.put(1, outside.file("text"));
  script.submit({message_with_file(1, theirs(), 77, 1).into_slot(0).flags(msg_ring_cqe_skip)});
  script.expect({{1, 0}});
  other.expect_silence();
  std::string& into = outside.room(4);
  other.submit({read(2, 0, into, 0).in_slot()});
  other.expect({{2, 4}});
}

}  // namespace
}  // namespace corering::conformance
