/// cancels_test.cpp — cancelling many operations, and operations that do not want to end.
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "support/cheating_kernel.hpp"
#include "support/story.hpp"
#include "support/working.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::CheatingKernel;

/// Becomes readable after so long a time that only a test which fails gets there, instead of hanging.
Fd hardly_ever_readable() {
  Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  const itimerspec half_a_minute{.it_interval = {}, .it_value = {.tv_sec = 30, .tv_nsec = 0}};
  EXPECT_EQ(::timerfd_settime(timer.get(), 0, &half_a_minute, nullptr), 0);
  return timer;
}

Task<void> polls(int fd) { (void)co_await async_poll(fd, POLLIN); }
Task<void> cancels_many(int count) {
  const Fd never = hardly_ever_readable();
  const auto all = [&](TaskGroup& group) -> Task<void> {
    for (int i = 0; i < count; ++i) group.spawn(polls(never.get()));
    (void)co_await async_nop();
    group.cancel();
  };
  (void)co_await with_group(all);
}
// 24,000 never ended when all were asked for again while the first requests were unanswered.
TEST(Cancels, ask_the_kernel_once_for_each_operation) {
  constexpr int count = 30'000;
  CheatingKernel kernel;
  test::run_on_a_worker_here(cancels_many(count), {.cq_entries = 512, .kernel = &kernel});
  EXPECT_GE(kernel.submitted[Opcode::async_cancel], count);
  EXPECT_LE(kernel.submitted[Opcode::async_cancel], count + count / 10) << "and a few that were missed";
}

/// Returns how often a worker enters the kernel to cancel so many operations.
int enters_to_cancel(int count) {
  test::FaultyKernel kernel;
  int enters = 0;
  kernel.on_enter = [&enters](unsigned) { return ++enters, 0; };
  test::run_on_a_worker_here(cancels_many(count), {.cq_entries = 512, .kernel = &kernel});
  return enters;
}
TEST(Cancels, of_four_times_as_many_take_four_times_as_many_turns) {
  const int few = enters_to_cancel(5'000), many = enters_to_cancel(20'000);
  EXPECT_LE(many, 5 * few) << "of four times as many; " << few << " and " << many;
  EXPECT_LE(many, 20'000 / 20);
}

// The first cancels name nobody, so the kernel finds nothing. Their operations end only when they are asked
// for again.
TEST(Cancels, ask_again_for_what_the_kernel_has_missed_and_for_nothing_else) {
  constexpr int count = 100, misled = 7;
  CheatingKernel kernel;
  int left_to_mislead = misled, missed = 0;
  kernel.on_request = [&left_to_mislead](Sqe& sqe) {
    if (static_cast<Opcode>(sqe.opcode) != Opcode::async_cancel || left_to_mislead == 0) return;
    --left_to_mislead;
    sqe.addr = ~std::uint64_t{7};
  };
  kernel.on_answer = [&kernel, &missed](const Cqe& real) -> std::vector<Cqe> {
    const bool is_cancel = kernel.opcodes[real.user_data] == Opcode::async_cancel;
    if (is_cancel && (real.res == -ENOENT || real.res == -EALREADY)) ++missed;
    return {real};
  };
  test::run_on_a_worker_here(cancels_many(count), {.kernel = &kernel});
  EXPECT_GE(missed, misled);
  EXPECT_GE(kernel.submitted[Opcode::async_cancel], count + missed);
  EXPECT_LE(kernel.submitted[Opcode::async_cancel], count + missed + 1) << "one more is for the wake read";
}
// An operation that ended meanwhile needs no other cancel, whatever the kernel says about the first one.
TEST(Cancels, ask_no_more_for_what_has_ended) {
  constexpr int count = 100;
  CheatingKernel kernel;
  kernel.on_answer = [&kernel](const Cqe& real) -> std::vector<Cqe> {
    Cqe answer = real;
    if (kernel.opcodes[real.user_data] == Opcode::async_cancel) answer.res = -ENOENT;
    return {answer};
  };
  test::run_on_a_worker_here(cancels_many(count), {.kernel = &kernel});
  EXPECT_GE(kernel.submitted[Opcode::async_cancel], count);
  EXPECT_LE(kernel.submitted[Opcode::async_cancel], count + 1) << "one more is for the wake read";
}

Task<void> ticks_fast(int& ticks) {
  TimeoutStream stream(1us);
  for (; ticks < 100; ++ticks) EXPECT_TRUE(co_await stream.next());
}
TEST(Cancels, end_a_stream_of_microseconds) {
  int ticks = 0;
  test::run_on_a_worker_here(ticks_fast(ticks));
  EXPECT_EQ(ticks, 100);
}

// ---- zero-copy sends to a peer that does not read ----

struct Connection {
  static Task<Result<Connection>> make() {
    Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
    auto both = co_await when_all(listener->accept(), TcpStream::connect(listener->local_address().value()));
    if (!std::get<0>(both) || !std::get<1>(both)) co_return failure(EIO);
    co_return Connection{std::move(*std::get<0>(both)), std::move(*std::get<1>(both))};
  }
  TcpStream theirs;
  TcpStream ours;
};

Task<std::error_code> floods(const TcpStream& stream, std::span<const std::byte> bytes, int flags = 0) {
  for (;;) {
    const auto sent = co_await async_send_zc(stream.fd(), bytes, flags);
    if (!sent) co_return sent.error();
  }
}
Task<void> under_a_deadline(std::error_code& outcome, int flags = 0) {
  if (!here::capabilities().has(Opcode::send_zc)) co_return;
  const std::vector<std::byte> bytes(8 << 20);
  Result<Connection> pair = co_await Connection::make();
  EXPECT_TRUE(pair);
  const auto ended = co_await with_timeout(20ms, floods(pair->ours, bytes, flags));
  outcome = ended ? *ended : ended.error();
}
TEST(ZeroCopy, ends_with_its_deadline_although_the_peer_does_not_read) {
  std::error_code outcome(make_error_code(std::errc::timed_out));
  test::run_on_a_worker_here(under_a_deadline(outcome));
  EXPECT_EQ(outcome, std::errc::timed_out) << outcome.message();
}

// Such a send is not over when the socket is full. A cancel finds it, and ends its sending; but the
// notification for the bytes that are in the socket still waits for the peer.
TEST(ZeroCopy, ends_with_its_deadline_in_the_middle_of_its_bytes) {
  std::error_code outcome(make_error_code(std::errc::timed_out));
  test::run_on_a_worker_here(under_a_deadline(outcome, MSG_WAITALL));
  EXPECT_EQ(outcome, std::errc::timed_out) << outcome.message();
}

// 25 questions are a quarter of a second. A few more are of the accept, the trial ring and the worker's end.
TEST(ZeroCopy, is_asked_to_end_a_few_times_and_then_cut_off_once) {
  CheatingKernel kernel;
  std::error_code outcome(make_error_code(std::errc::timed_out));
  test::run_on_a_worker_here(under_a_deadline(outcome), {.kernel = &kernel});
  EXPECT_EQ(outcome, std::errc::timed_out) << outcome.message();
  EXPECT_LE(kernel.submitted[Opcode::async_cancel], 25 + 10);
  EXPECT_LE(kernel.submitted[Opcode::connect], 2) << "one makes the connection, one cuts it";
}

Task<void> closes(TcpStream& stream) {
  for (int waits = 0; waits == 0; ::ioctl(stream.fd().get(), SIOCOUTQ, &waits)) (void)co_await async_nop();
  EXPECT_TRUE(co_await stream.close());  // while bytes wait for the peer
}
Task<void> while_it_sends(bool& ended) {
  ended = true;
  if (!here::capabilities().has(Opcode::send_zc)) co_return;
  const std::vector<std::byte> bytes(8 << 20);
  Result<Connection> pair = co_await Connection::make();
  EXPECT_TRUE(pair);
  ended = false;
  auto both = co_await when_all(floods(pair->ours, bytes), closes(pair->ours));
  ended = static_cast<bool>(std::get<0>(both));
}
TEST(ZeroCopy, ends_when_its_connection_is_closed) {
  bool ended = false;
  test::run_on_a_worker_here(while_it_sends(ended));
  EXPECT_TRUE(ended);
}

TEST(ZeroCopy, ends_with_its_worker) {
  Worker worker({.stop_patience = 10ms, .on_stuck = [](const TaskDump&) {}});
  ASSERT_TRUE(worker.start());
  const std::vector<std::byte> bytes(8 << 20);
  const auto endless = [](std::span<const std::byte> all, bool& made) -> Task<void> {
    if (!here::capabilities().has(Opcode::send_zc)) co_return;
    Result<Connection> pair = co_await Connection::make();
    made = pair.has_value();
    (void)co_await floods(pair->ours, all);
  };
  bool made = false;
  auto handle = worker.spawn(endless(bytes, made));
  ASSERT_TRUE(handle);
  worker.request_stop();
  sync_wait(std::move(*handle));
  worker.join();
}

// ---- hard chains, computing tasks ----

Task<void> cuts_a_chain(std::string& written) {
  std::array<int, 2> fds{};
  EXPECT_EQ(test::sys::pipe2(fds.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reader(fds[0]), writer(fds[1]);
  const std::string text = "late";
  const auto ended = co_await with_timeout(
      1ms,
      hard_chain(async_timeout(1h), async_write(writer, std::as_bytes(std::span(text)), current_position)));
  EXPECT_TRUE(ended);
  if (ended) {
    EXPECT_EQ(std::get<0>(*ended).error(), std::errc::timed_out);
    EXPECT_EQ(std::get<1>(*ended).error(), std::errc::timed_out);
  }
  std::array<char, 8> got{};
  written.assign(got.data(), static_cast<std::size_t>(
                                 std::max<ssize_t>(test::sys::read(reader.get(), got.data(), 8), 0)));
}
TEST(HardChain, does_not_go_on_after_a_cancellation) {
  std::string written;
  test::run_on_a_worker_here(cuts_a_chain(written));
  EXPECT_EQ(written, "");
}

Task<void> computes(std::atomic<bool>& begun, bool& told) {
  for (;;) {
    begun = true;
    const bool cancelled = co_await is_cancelled();
    if (cancelled) break;
  }
  told = true;
}
TEST(IsCancelled, is_true_after_the_deadline_of_a_loop_that_only_computes) {
  std::atomic<bool> begun = false;
  bool told = false;
  const auto in_time = [](std::atomic<bool>& begun, bool& told) -> Task<void> {
    (void)co_await with_timeout(1ms, computes(begun, told));
  };
  test::run_on_a_worker_here(in_time(begun, told));
  EXPECT_TRUE(told);
}
/// Returns what a task that only computes is told after another thread has called `ask`.
bool told_after(const std::function<void(Worker&, JoinHandle<void>&)>& ask) {
  Worker worker;
  if (!worker.start()) return false;
  std::atomic<bool> begun = false;
  bool told = false;
  JoinHandle<void> handle = worker.spawn(computes(begun, told)).value();
  while (!begun) std::this_thread::yield();
  ask(worker, handle);
  sync_wait(std::move(handle));
  return told;
}
TEST(IsCancelled, is_true_after_another_thread_has_asked) {
  EXPECT_TRUE(told_after([](Worker&, JoinHandle<void>& handle) { handle.request_cancel(); }));
}
TEST(IsCancelled, is_true_when_the_worker_is_asked_to_stop) {
  EXPECT_TRUE(told_after([](Worker& worker, JoinHandle<void>&) { worker.request_stop(); }));
}

Task<void> nothing_in_a_group_of_none(bool& ran) {
  const auto sets = [](bool& ran) -> Task<void> {
    ran = true;
    co_return;
  };
  const auto body = [&](TaskGroup& group) -> Task<void> {
    group.spawn(sets(ran));
    co_return;
  };
  EXPECT_TRUE(co_await with_group(body, {.max_running = 0}));
}
TEST(TaskGroup, that_may_run_none_runs_one) {
  bool ran = false;
  test::run_on_a_worker_here(nothing_in_a_group_of_none(ran));
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace corering
