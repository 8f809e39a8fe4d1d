/// streams_test.cpp — streams of bytes: every way to end, pause and go on.
#include <cstring>
#include <fcntl.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::arm;
using test::make_pool;
using test::send_text;
using test::turns;

using test::bytes_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

/// Counts how often the kernel is entered while a coroutine waits for a buffer that nobody gives back.
Task<void> waits_in_vain(bool incremental, std::atomic<int>& enters, int& during) {
  BufferPool pool = make_pool({.count = incremental ? 1U : 2U, .size = 16, .incremental = incremental});
  test::SocketPair one, two;
  RecvStream slow(one.ours.get(), pool), hungry(two.ours.get(), pool);
  co_await arm(slow);
  // This uses all buffers, and nobody takes them. An incremental buffer gives two pieces.
  send_text(one.theirs.get(), incremental ? "8 bytes." : std::string(100, 'x'));
  co_await turns(3);
  if (incremental) {
    send_text(one.theirs.get(), "8 more..");
    co_await turns(3);
  }
  EXPECT_EQ(pool.in_kernel(), 0U);
  Result<LentBuffer> piece = co_await slow.next();
  EXPECT_TRUE(piece);
  // Giving back a piece frees nothing as long as another piece of its buffer is lent.
  if (incremental) piece = LentBuffer();
  send_text(two.theirs.get(), "hungry");
  const int before = enters;
  (void)co_await with_timeout(100ms, hungry.next());
  during = enters - before;
}

TEST(RecvStream, does_not_spin_while_it_waits_for_a_buffer) {
  for (const bool incremental : {false, true}) {
    test::FaultyKernel kernel;
    std::atomic<int> enters = 0;
    int during = 0;
    kernel.on_enter = [&enters](unsigned) {
      ++enters;
      return 0;
    };
    run_on_a_worker_here(waits_in_vain(incremental, enters, during), {.kernel = &kernel});
    EXPECT_LT(during, 30) << (incremental ? "incremental" : "whole");
  }
}

Task<void> no_buffer_is_free() {
  BufferPool pool = make_pool({.count = 2, .size = 16});
  test::SocketPair one, two;
  RecvStream first(one.ours.get(), pool), second(two.ours.get(), pool);
  for (int round = 0; round < 20; ++round) {
    send_text(one.theirs.get(), std::string(64, 'a'));
    send_text(two.theirs.get(), std::string(64, 'b'));
    std::string got;
    while (got.size() < 64) {
      const Result<LentBuffer> piece = co_await first.next();
      EXPECT_TRUE(piece) << piece.error().message();
      if (!piece) co_return;
      got += text_of(piece->bytes());
    }
    EXPECT_EQ(got, std::string(64, 'a'));
    got.clear();
    while (got.size() < 64) {
      const Result<LentBuffer> piece = co_await second.next();
      EXPECT_TRUE(piece) << piece.error().message();
      if (!piece) co_return;
      got += text_of(piece->bytes());
    }
    EXPECT_EQ(got, std::string(64, 'b')) << "the other stream took no byte of this one";
  }
}

TEST(RecvStream, waits_for_a_buffer_and_goes_on) { run_on_a_worker_here(no_buffer_is_free()); }

Task<void> reads_to_the_end(int fd) {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  RecvStream stream(fd, pool);
  const Result<LentBuffer> piece = co_await stream.next();
  EXPECT_TRUE(piece && text_of(piece->bytes()) == "last words");
  const Result<LentBuffer> end = co_await stream.next();
  EXPECT_TRUE(!end && is_end(end.error()));
}

TEST(RecvStream, ends_with_the_peer) {
  test::SocketPair pair;
  send_text(pair.theirs.get(), "last words");
  pair.theirs.reset();
  run_on_a_worker_here(reads_to_the_end(pair.ours.get()));
}

// The completion queue overflows while nobody takes completions. Then the kernel ends the request without an
// error (K7 of the kernel's habits).
Task<void> floods_a_tiny_ring() {
  BufferPool pool = make_pool({.count = 64, .size = 16});
  constexpr int peers = 24;
  std::vector<test::SocketPair> pairs(peers);
  std::vector<RecvStream> streams;
  for (auto& pair : pairs) streams.emplace_back(pair.ours.get(), pool);
  constexpr int rounds = 50;
  std::string expected;
  for (int i = 0; i < rounds; ++i) expected += std::to_string(i % 10);
  const auto reads = [](RecvStream& stream, const std::string& all) -> Task<void> {
    std::string got;
    while (got.size() < all.size()) {  // several pieces may have come as one
      const Result<LentBuffer> piece = co_await stream.next();
      EXPECT_TRUE(piece) << piece.error().message();
      if (!piece) co_return;
      got += text_of(piece->bytes());
    }
    EXPECT_EQ(got, all);
  };
  std::vector<JoinHandle<void>> readers;
  for (auto& stream : streams) readers.push_back(spawn(reads(stream, expected)));
  for (int i = 0; i < rounds; ++i) {
    for (auto& pair : pairs) send_text(pair.theirs.get(), std::to_string(i % 10));
    (void)co_await sleep_for(1ms);
  }
  for (auto& reader : readers) co_await std::move(reader);
}

TEST(RecvStream, survives_a_completion_queue_that_overflows) {
  run_on_a_worker_here(floods_a_tiny_ring(), {.sq_entries = 4, .cq_entries = 8});
}

Task<void> next_is_cancelled() {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  test::SocketPair pair;
  RecvStream stream(pair.ours.get(), pool);
  const Result<LentBuffer> nothing = co_await with_timeout(5ms, stream.next());
  EXPECT_EQ(nothing.error(), std::errc::timed_out);
  send_text(pair.theirs.get(), "kept");
  co_await turns(5);  // by now it has come, because the stream stayed armed
  const Result<LentBuffer> piece = co_await stream.next();
  EXPECT_TRUE(piece && text_of(piece->bytes()) == "kept");
}

TEST(RecvStream, stays_armed_when_a_wait_is_cancelled) { run_on_a_worker_here(next_is_cancelled()); }

Task<void> dropped_with_data() {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  for (int i = 0; i < 100; ++i) {
    test::SocketPair pair;
    RecvStream stream(pair.ours.get(), pool);
    (void)co_await with_timeout(Duration::zero(), stream.next());
    if (i % 2 == 0) send_text(pair.theirs.get(), "nobody takes this");
    if (i % 3 == 0) co_await turns(2);
  }
  co_await turns(5);
  EXPECT_EQ(pool.in_kernel(), 4U);
}

TEST(RecvStream, gives_back_what_nobody_took) { run_on_a_worker_here(dropped_with_data()); }

Task<void> pool_goes_before_the_last_reply() {
  test::SocketPair pair;
  {
    BufferPool pool = make_pool({.count = 4, .size = 64});
    RecvStream stream(pair.ours.get(), pool);
    (void)co_await with_timeout(Duration::zero(), stream.next());
    send_text(pair.theirs.get(), "too late");
  }  // the stream was still armed, and is cancelled here
  co_await turns(5);
}

TEST(RecvStream, keeps_the_ring_of_a_pool_that_is_gone) {
  run_on_a_worker_here(pool_goes_before_the_last_reply());
}

Task<void> left_armed_at_the_stop(int fd) {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  RecvStream stream(fd, pool);
  const Result<LentBuffer> piece = co_await stream.next();
  EXPECT_EQ(piece.error(), std::errc::operation_canceled);
}

TEST(RecvStream, ends_with_its_worker) {
  test::SocketPair pair;
  test::RunningWorker running;
  auto waiting = running.worker.spawn(left_armed_at_the_stop(pair.ours.get()));
  (void)running.worker.dump_tasks();
  running.worker.request_stop();
  sync_wait(std::move(*waiting));
}

Task<void> dropped_before_it_is_submitted() {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  for (int i = 0; i < 20; ++i) {
    std::optional<test::SocketPair> old(std::in_place);
    {
      RecvStream stream(old->ours.get(), pool);
      Event ready(true);
      (void)co_await when_any(ready.wait(), stream.next());
      const auto starts = [](RecvStream& its) -> Task<void> { (void)co_await its.next(); };
      JoinHandle<void> starting = spawn(starts(stream));
      const auto lets_it = []() -> Task<void> { co_return; };
      co_await spawn(lets_it());  // by now it has filled its SQE
      starting.request_cancel();
      co_await std::move(starting);
    }
    old.reset();
    test::SocketPair fresh;  // its descriptors have the same numbers
    send_text(fresh.theirs.get(), "hello");
    send_text(fresh.ours.get(), "hello");
    co_await turns(3);
    std::array<char, 8> got{};
    EXPECT_EQ(test::sys::recv(fresh.ours.get(), got.data(), got.size(), MSG_DONTWAIT), 5);
    EXPECT_EQ(test::sys::recv(fresh.theirs.get(), got.data(), got.size(), MSG_DONTWAIT), 5);
  }
}

TEST(RecvStream, that_is_dropped_at_once_takes_nothing_from_the_next_owner_of_the_number) {
  run_on_a_worker_here(dropped_before_it_is_submitted());
}

Task<void> closed_while_it_has_no_buffer() {
  BufferPool pool = make_pool({.count = 1, .size = 64});
  auto both = UnixStream::pair();
  UnixStream& ours = both->first;
  RecvStream stream = ours.stream(pool);
  const Result<void> sent = co_await both->second.write_all(bytes_of("first"));
  EXPECT_TRUE(sent);
  Result<LentBuffer> kept = co_await stream.next();
  EXPECT_TRUE(kept);
  const Result<void> more = co_await both->second.write_all(bytes_of("second"));
  EXPECT_TRUE(more);
  std::error_code outcome;
  const auto waits = [](RecvStream& its, std::error_code& how) -> Task<void> {
    const Result<LentBuffer> piece = co_await its.next();
    how = piece ? std::error_code() : piece.error();
  };
  JoinHandle<void> waiting = spawn(waits(stream, outcome));
  co_await turns(3);  // by now it waits for the only buffer
  const int number = ours.fd().get();
  const Result<void> closed = co_await ours.close();
  EXPECT_TRUE(closed);
  test::SocketPair fresh;
  EXPECT_TRUE(fresh.ours.get() == number || fresh.theirs.get() == number);
  send_text(fresh.theirs.get(), "secret");
  send_text(fresh.ours.get(), "secret");
  kept = LentBuffer();  // now there is a buffer
  co_await std::move(waiting);
  EXPECT_EQ(outcome, std::errc::operation_canceled);
  std::array<char, 8> got{};
  EXPECT_EQ(test::sys::recv(fresh.ours.get(), got.data(), got.size(), MSG_DONTWAIT), 6);
  EXPECT_EQ(test::sys::recv(fresh.theirs.get(), got.data(), got.size(), MSG_DONTWAIT), 6);
}

TEST(RecvStream, on_a_closed_socket_is_not_armed_again) {
  run_on_a_worker_here(closed_while_it_has_no_buffer());
}

Task<void> works_in_a_shield(int fd, Event& begun, int& pieces) {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  RecvStream stream(fd, pool);
  const auto reads = [](RecvStream& its, Event& first, int& count) -> Task<void> {
    for (;;) {
      first.set();
      const Result<LentBuffer> piece = co_await its.next();
      if (!piece) co_return;
      ++count;
    }
  };
  co_await shield(reads(stream, begun, pieces));
}
Task<void> stops_while_it_works(test::SocketPair& pair, int& pieces) {
  Event begun;
  JoinHandle<void> working = spawn(works_in_a_shield(pair.ours.get(), begun, pieces));
  (void)co_await begun.wait();
  const auto speaks = [](test::SocketPair& its) -> Task<void> {
    Worker::current()->request_stop();
    for (int i = 0; i < 5; ++i) {
      co_await turns(3);
      send_text(its.theirs.get(), "x");
    }
    co_await turns(3);
    test::sys::shutdown(its.theirs.get(), SHUT_WR);
  };
  co_await shield(speaks(pair));
  co_await std::move(working);
}

TEST(RecvStream, goes_on_in_a_shield_when_the_worker_stops) {
  test::SocketPair pair;
  int pieces = 0;
  Worker worker;
  ASSERT_TRUE(worker.run([&](Worker&) { spawn(stops_while_it_works(pair, pieces)).detach(); }));
  EXPECT_GE(pieces, 1);
}

TEST(StreamDeathTest, a_stream_that_is_destroyed_on_another_worker_ends_the_program) {
  const auto strays = [](Worker& other, int fd) -> Task<void> {
    AcceptStream stream(fd);
    co_await arm(stream);
    (void)co_await SwitchToWorker(other);
  };
  const auto dies = [&strays] {
    test::Listener listener;
    test::RunningWorker one, two;
    sync_wait(one.worker.spawn(strays(two.worker, listener.fd.get())).value());
  };
  EXPECT_DEATH(dies(), "thread that is not its worker's");
}

Task<void> receives_cut_control(std::uint32_t room, bool& cut) {
  std::array<int, 2> ends{};
  EXPECT_EQ(test::sys::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd ours(ends[0]), theirs(ends[1]);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  iovec text{.iov_base = const_cast<char*>("x"), .iov_len = 1};
  msghdr message{};
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_LEN(2 * sizeof(int));
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = message.msg_controllen;
  const std::array<int, 2> fds = {0, 0};
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  EXPECT_EQ(::sendmsg(theirs.get(), &message, 0), 1);
  BufferPool pool = make_pool({.count = 2, .size = 512});
  RecvmsgStream stream(ours, pool, room);
  Result<Datagram> datagram = co_await stream.next();
  EXPECT_TRUE(datagram) << datagram.error().message();
  if (!datagram) co_return;
  EXPECT_EQ(text_of(datagram->bytes()), "x");
  EXPECT_FALSE(datagram->is_truncated()) << "the bytes are all there";
  cut = datagram->is_control_truncated();
  if (datagram->control().size() < CMSG_LEN(sizeof(int))) co_return;
  int first = -1;
  std::memcpy(&first, datagram->control().data() + CMSG_LEN(0), sizeof first);
  const Fd came(first);
  EXPECT_EQ(test::sys::fcntl(came.get(), F_GETFD), FD_CLOEXEC);
}

TEST(RecvmsgStream, says_when_ancillary_data_was_cut) {
  bool cut = false;
  run_on_a_worker_here(receives_cut_control(CMSG_LEN(sizeof(int)), cut));
  EXPECT_TRUE(cut) << "one of two descriptors";
  cut = false;
  run_on_a_worker_here(receives_cut_control(0, cut));
  EXPECT_TRUE(cut) << "nobody asked for any";
}

}  // namespace
}  // namespace corering
