/// buffer_pool_test.cpp — no buffer is lost, and each reply has its own.
#include <algorithm>
#include <fstream>
#include <sys/mman.h>
#include <thread>

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

using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

Task<void> conserves(BufferPool& pool) {
  EXPECT_EQ(pool.in_kernel() + pool.lent(), pool.capacity());
  co_return;
}

Task<void> two_reads_out_of_order() {
  BufferPool pool = make_pool({.count = 4, .size = 64});
  test::TemporaryDirectory directory;
  test::write_content(directory / "one", "the first file");
  test::write_content(directory / "two", "another one");
  const Fd one(test::sys::open((directory / "one").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd two(test::sys::open((directory / "two").c_str(), O_RDONLY | O_CLOEXEC));
  // The reads run on helper threads, which finish in any order.
  const auto slowly = [&pool](int fd) { return async_read(fd, pool, 0).forced_async(); };
  for (int i = 0; i < 500; ++i) {
    auto both = co_await when_all(slowly(one.get()), slowly(two.get()));
    EXPECT_EQ(text_of(std::get<0>(both)->bytes()), "the first file");
    EXPECT_EQ(text_of(std::get<1>(both)->bytes()), "another one");
  }
  EXPECT_EQ(pool.in_kernel(), 4U);
}

TEST(BufferPool, gives_each_of_two_reads_its_own_bytes) { run_on_a_worker_here(two_reads_out_of_order()); }

Task<void> ends_and_errors() {
  BufferPool pool = make_pool({.count = 2, .size = 64});
  test::TemporaryDirectory directory;
  test::write_content(directory / "file", "x");
  const Fd file(test::sys::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd folder(test::sys::open((directory / "").c_str(), O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 10; ++i) {
    const Result<LentBuffer> end = co_await async_read(file, pool, 1);
    EXPECT_TRUE(end && end->empty());
    const Result<LentBuffer> error = co_await async_read(folder, pool, 0);
    EXPECT_EQ(error.error(), std::errc::is_a_directory);
    const Result<LentBuffer> bad = co_await async_recv(file, pool);
    EXPECT_EQ(bad.error(), std::errc::not_a_socket);
    co_await conserves(pool);
  }
  EXPECT_EQ(pool.in_kernel(), 2U);
}

TEST(BufferPool, loses_no_buffer_at_the_end_and_on_errors) { run_on_a_worker_here(ends_and_errors()); }

Task<void> cancelled_receives() {
  BufferPool pool = make_pool({.count = 2, .size = 64});
  test::SocketPair pair;
  for (int i = 0; i < 200; ++i) {
    const auto receives = [](int fd, BufferPool& from) -> Task<void> {
      const Result<LentBuffer> got = co_await async_recv(fd, from);
      if (got) {
        EXPECT_EQ(got->size(), 1U);
      }
    };
    JoinHandle<void> receiving = spawn(receives(pair.ours.get(), pool));
    co_await turns(1);
    if (i % 2 == 0) send_text(pair.theirs.get(), "x");
    receiving.request_cancel();
    co_await std::move(receiving);
    // A receive that was cancelled before it took the byte leaves the byte there.
    if (i % 2 == 0) (void)test::sys::recv(pair.ours.get(), std::array<char, 8>().data(), 8, MSG_DONTWAIT);
    EXPECT_EQ(pool.in_kernel(), 2U);
  }
}

TEST(BufferPool, loses_no_buffer_when_receives_are_cancelled) { run_on_a_worker_here(cancelled_receives()); }

Task<void> pieces_of_one_buffer() {
  BufferPool pool = make_pool({.count = 2, .size = 1024, .incremental = true});
  test::SocketPair pair;
  std::vector<LentBuffer> pieces;
  std::string all;
  for (int i = 0; i < 20; ++i) {
    const std::string text(60, static_cast<char>('a' + i));
    all += text;
    send_text(pair.theirs.get(), text);
    Result<LentBuffer> piece = co_await async_recv(pair.ours.get(), pool);
    EXPECT_TRUE(piece) << piece.error().message();
    if (!piece) co_return;
    pieces.push_back(std::move(*piece));
    co_await conserves(pool);
  }
  std::string kept;
  for (const LentBuffer& piece : pieces) kept += text_of(piece.bytes());
  EXPECT_EQ(kept, all) << "pieces do not overlap";
  std::ranges::reverse(pieces);
  pieces.resize(7);
  pieces.clear();
  EXPECT_EQ(pool.in_kernel(), 2U);
  EXPECT_EQ(pool.lent(), 0U);
}

TEST(BufferPool, hands_out_a_buffer_in_pieces) {
  constexpr Feature needed = Feature::incremental_buffers;
  if (!test::kernel_has(needed)) GTEST_SKIP() << Need(needed).unmet().message();
  run_on_a_worker_here(pieces_of_one_buffer());
}

Task<void> pieces_taken_in_another_order() {
  BufferPool pool = make_pool({.count = 2, .size = 64, .incremental = true});
  test::SocketPair one, two;
  RecvStream first(one.ours.get(), pool), second(two.ours.get(), pool);
  co_await arm(first);
  co_await arm(second);
  for (int i = 0; i < 50; ++i) {
    send_text(one.theirs.get(), "AAAA");
    co_await turns(2);
    send_text(two.theirs.get(), "BBBB");
    co_await turns(2);
    const Result<LentBuffer> later = co_await second.next();
    const Result<LentBuffer> earlier = co_await first.next();
    EXPECT_TRUE(later && text_of(later->bytes()) == "BBBB");
    EXPECT_TRUE(earlier && text_of(earlier->bytes()) == "AAAA");
  }
}

TEST(BufferPool, gives_pieces_to_whom_they_were_sent_whenever_they_are_taken) {
  run_on_a_worker_here(pieces_taken_in_another_order());
}

Task<void> bundle_taken_late() {
  BufferPool pool = make_pool({.count = 4, .size = 40});
  const test::SocketPair one, three;
  const test::TcpPair two;  // of a Unix socket, Linux 6.12 fills one buffer
  RecvStream first(one.ours.get(), pool), third(three.ours.get(), pool);
  co_await arm(first);
  co_await arm(third);
  const auto takes_both = [](RecvStream& a, RecvStream& b) -> Task<void> {
    Result<LentBuffer> x = co_await a.next();
    EXPECT_TRUE(x && text_of(x->bytes()) == "first");
    x = LentBuffer();  // its entry in the ring is used again
    Result<LentBuffer> y = co_await b.next();
    EXPECT_TRUE(y && text_of(y->bytes()) == "third");
  };
  const auto takes_bundle = [](int fd, BufferPool& from) -> Task<void> {
    const auto pieces = co_await async_recv_bundle(fd, from);
    EXPECT_TRUE(pieces);
    std::string text;
    if (pieces) {
      for (const LentBuffer& piece : *pieces) text += text_of(piece.bytes());
    }
    EXPECT_EQ(text, std::string(40, 'B') + std::string(40, 'b'));
  };
  JoinHandle<void> bundling = spawn(takes_bundle(two.ours.get(), pool));
  JoinHandle<void> taking = spawn(takes_both(first, third));
  co_await turns(1);
  // These make one batch of completions, in this order.
  send_text(one.theirs.get(), "first");
  send_text(two.theirs.get(), std::string(40, 'B') + std::string(40, 'b'));
  send_text(three.theirs.get(), "third");
  co_await std::move(taking);
  co_await std::move(bundling);
}

TEST(BufferPool, knows_the_buffers_of_a_bundle_whenever_it_is_taken) {
  if (!test::kernel_has(Feature::bundles)) GTEST_SKIP() << Need(Feature::bundles).unmet().message();
  run_on_a_worker_here(bundle_taken_late());
}

Task<void> returned_by_another_thread() {
  BufferPool pool = make_pool({.count = 1, .size = 64});
  test::SocketPair pair;
  RecvStream stream(pair.ours.get(), pool);
  for (int i = 0; i < 50; ++i) {
    send_text(pair.theirs.get(), "first");
    Result<LentBuffer> piece = co_await stream.next();
    EXPECT_TRUE(piece);
    if (!piece) co_return;
    send_text(pair.theirs.get(), "second");
    std::thread elsewhere([held = std::move(*piece)]() mutable { held.give_back(); });
    // The second piece has no buffer until the other thread has given back the only one.
    const Result<LentBuffer> next = co_await stream.next();
    EXPECT_TRUE(next);
    if (next) {
      EXPECT_EQ(text_of(next->bytes()), "second");
    }
    elsewhere.join();
  }
}

TEST(BufferPool, takes_buffers_back_from_other_threads) {
  run_on_a_worker_here(returned_by_another_thread());
}

// With one buffer the stream also has to wait for it.
Task<void> moves_its_pool() {
  BufferPool pool = make_pool({.count = 1, .size = 64});
  test::SocketPair pair;
  RecvStream stream(pair.ours.get(), pool);
  BufferPool moved = std::move(pool);
  send_text(pair.theirs.get(), "first");
  Result<LentBuffer> first = co_await stream.next();
  EXPECT_EQ(text_of(first->bytes()), "first");
  send_text(pair.theirs.get(), "second");
  const Result<LentBuffer> none = co_await with_timeout(1ms, stream.next());
  EXPECT_EQ(none.error(), std::errc::timed_out) << "the only buffer is lent";
  first->give_back();
  BufferPool again = std::move(moved);
  const Result<LentBuffer> second = co_await stream.next();
  EXPECT_EQ(text_of(second->bytes()), "second");
}
TEST(BufferPool, may_be_moved_while_a_stream_uses_it) { run_on_a_worker_here(moves_its_pool()); }

Task<void> moves_a_pool_of_datagrams() {
  BufferPool pool = make_pool({.count = 1, .size = 512});
  Result<UdpSocket> socket = UdpSocket::bind(Address::loopback(0));
  const Address address = socket->local_address().value();
  RecvmsgStream stream = socket->stream(pool);
  BufferPool moved = std::move(pool);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(co_await socket->send_to(test::bytes_of("datagram"), address));
    const Result<Datagram> datagram = co_await stream.next();
    EXPECT_EQ(text_of(datagram->bytes()), "datagram");
  }
}
TEST(BufferPool, may_be_moved_while_a_stream_of_datagrams_uses_it) {
  run_on_a_worker_here(moves_a_pool_of_datagrams());
}

Task<void> sends_a_file(InboxAddress to, int times) {
  FileTable table = FileTable::create(1).value();
  const Result<FixedFile> socket = co_await async_socket(table, AF_UNIX, SOCK_STREAM);
  for (int i = 0; i < times; ++i) EXPECT_TRUE(co_await async_msg_ring(to, *socket));
}
Task<void> moves_the_table_of_an_inbox(Worker& other) {
  FileTable table = FileTable::create(4).value();
  std::optional<FileInbox> inbox(std::in_place, table);
  FileTable moved = std::move(table);
  JoinHandle<void> sending = other.spawn(sends_a_file(inbox->address(), 2)).value();
  {
    const Result<FixedFile> got = co_await inbox->receive();
    EXPECT_TRUE(got && moved.used() == 1U);
  }
  co_await std::move(sending);
  inbox.reset();  // nobody takes the other one
  EXPECT_EQ(moved.used(), 0U);
}
TEST(FileInbox, goes_on_when_its_table_is_moved) {
  test::RunningWorker other;
  run_on_a_worker_here(moves_the_table_of_an_inbox(other.worker));
}

/// Returns true if the page of this address is mapped.
bool is_mapped(const void* address) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(address) / page * page;
  unsigned char resident = 0;
  return ::mincore(reinterpret_cast<void*>(first), page, &resident) == 0;
}
Task<void> gives_up_its_pool_while_a_buffer_is_on_its_way_back() {
  const void* memory = nullptr;
  {
    BufferPool pool = make_pool({.count = 2, .size = 64});
    test::SocketPair pair;
    send_text(pair.theirs.get(), "a piece");
    Result<LentBuffer> piece = co_await async_recv(pair.ours, pool);
    EXPECT_TRUE(piece);
    if (!piece) co_return;
    memory = piece->bytes().data();
    std::thread([held = std::move(*piece)]() mutable { held.give_back(); }).join();
  }
  EXPECT_TRUE(is_mapped(memory)) << "the other thread's message about it has not arrived";
  co_await turns(2);
  EXPECT_FALSE(is_mapped(memory)) << "nobody needs it any more";
}

TEST(BufferPool, that_is_destroyed_waits_for_the_message_that_a_buffer_is_back) {
  run_on_a_worker_here(gives_up_its_pool_while_a_buffer_is_on_its_way_back());
}

TEST(BufferPool, outlives_its_worker) {
  std::optional<BufferPool> pool;
  std::optional<LentBuffer> kept;
  test::SocketPair pair;
  send_text(pair.theirs.get(), "kept");
  const auto fills = [](std::optional<BufferPool>& made, std::optional<LentBuffer>& buffer,
                        int fd) -> Task<void> {
    made.emplace(make_pool({.count = 2, .size = 64}));
    Result<LentBuffer> got = co_await async_recv(fd, *made);
    if (got) buffer.emplace(std::move(*got));
  };
  run_on_a_worker_here(fills(pool, kept, pair.ours.get()));
  ASSERT_TRUE(kept);
  EXPECT_EQ(text_of(kept->bytes()), "kept");
  kept.reset();
  EXPECT_EQ(pool->lent(), 0U);
}

Task<void> assigns_buffers(const test::SocketPair& pair) {
  const BufferPool pool = make_pool({.count = 2, .size = 16});
  send_text(pair.theirs.get(), "one");
  Result<LentBuffer> one = co_await async_recv(pair.ours.get(), pool);
  send_text(pair.theirs.get(), "two");
  Result<LentBuffer> two = co_await async_recv(pair.ours.get(), pool);
  EXPECT_TRUE(one && two);
  if (!one || !two) co_return;
  *one = std::move(*two);
  EXPECT_EQ(one->text(), "two");
  EXPECT_EQ(pool.lent(), 1U);
  Result<RegisteredBuffers> registered = RegisteredBuffers::create({.count = 2, .size = 4096});
  FixedBuffer fixed = registered->lend();
  fixed = registered->lend();
  EXPECT_EQ(registered->lent(), 1U);
}

TEST(BufferPool, gets_a_buffer_back_when_another_is_assigned_to_it) {
  const test::SocketPair pair;
  run_on_a_worker_here(assigns_buffers(pair));
}

Task<void> says_which_size() {
  EXPECT_EQ(BufferPool::create({.count = 100}).error(), make_error_code(SizeErrc::ring_count));
  EXPECT_NE(BufferPool::create({.count = 100}).error().message().find("power of two"), std::string::npos);
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(BufferPool::create({.count = 2, .size = most}).error(), make_error_code(SizeErrc::buffer_size));
  EXPECT_EQ(RegisteredBuffers::create({.count = 0}).error(), make_error_code(SizeErrc::buffer_count));
  EXPECT_EQ(RegisteredBuffers::create({.count = 2, .size = most}).error(),
            make_error_code(SizeErrc::buffer_size));
  EXPECT_EQ(FileTable::create(0xffff'ffff).error(), make_error_code(SizeErrc::slot_count));
  EXPECT_EQ(SendQueue::create(100).error(), make_error_code(SizeErrc::ring_count));
  co_return;
}

TEST(Resources, say_which_of_their_sizes_is_wrong_and_what_is_right) {
  run_on_a_worker_here(says_which_size());
}

Task<void> bad_options() {
  EXPECT_EQ(BufferPool::create({.count = 3}).error(), std::errc::invalid_argument);
  EXPECT_EQ(BufferPool::create({.count = 0}).error(), std::errc::invalid_argument);
  EXPECT_EQ(BufferPool::create({.count = 65536}).error(), std::errc::invalid_argument);
  EXPECT_EQ(BufferPool::create({.count = 2, .size = 0}).error(), std::errc::invalid_argument);
  EXPECT_EQ(RegisteredBuffers::create({.count = 0}).error(), std::errc::invalid_argument);
  const Result<RegisteredBuffers> first = RegisteredBuffers::create({.count = 2, .size = 4096});
  EXPECT_TRUE(first);
  EXPECT_EQ(RegisteredBuffers::create().error(), std::errc::device_or_resource_busy);
  EXPECT_EQ(FileTable::create(0).error(), std::errc::invalid_argument);
  const Result<FileTable> table = FileTable::create(2);
  EXPECT_TRUE(table);
  EXPECT_EQ(FileTable::create(2).error(), std::errc::device_or_resource_busy);
  const Result<BufferPool> huge = BufferPool::create({.count = 4, .size = 1U << 20, .huge_pages = true});
  EXPECT_TRUE(huge) << "without huge pages it takes ordinary ones";
  co_return;
}

TEST(BufferPool, refuses_what_makes_no_sense) { run_on_a_worker_here(bad_options()); }

Task<void> waits_for_a_buffer_while_stopping(const test::FaultyKernel& kernel, test::SocketPair& pair,
                                             Duration& took) {
  BufferPool pool = make_pool({.count = 1, .size = 64});
  send_text(pair.theirs.get(), "x");
  Result<LentBuffer> only = co_await async_recv(pair.ours.get(), pool);
  EXPECT_TRUE(only);
  OneShot about_to_wait;
  std::thread elsewhere([&kernel, &about_to_wait, held = std::move(*only)]() mutable {
    about_to_wait.wait();
    kernel.wait_until_asleep();
    held.give_back();
  });
  const auto waits = [](BufferPool& its, OneShot& begins) -> Task<void> {
    Worker::current()->request_stop();
    co_await turns(2);
    begins.set();
    const Result<void> there = co_await its.wait_for_buffer();
    EXPECT_TRUE(there);
  };
  const TimePoint begin = os::now();
  co_await shield(waits(pool, about_to_wait));
  took = os::now() - begin;
  elsewhere.join();
}

TEST(BufferPool, is_given_buffers_by_other_threads_also_while_its_worker_stops) {
  test::SocketPair pair;
  Duration took{};
  test::FaultyKernel kernel;
  Worker worker({.kernel = &kernel});
  ASSERT_TRUE(
      worker.run([&](Worker&) { spawn(waits_for_a_buffer_while_stopping(kernel, pair, took)).detach(); }));
  EXPECT_LT(took, 4s) << "not only when patience ends";
}

}  // namespace
}  // namespace corering
