/// buffer_pool_test.cpp — no buffer is lost, and each reply has its own.
#include <algorithm>
#include <fstream>
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
  std::ofstream(directory / "one") << "the first file";
  std::ofstream(directory / "two") << "another one";
  const Fd one(::open((directory / "one").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd two(::open((directory / "two").c_str(), O_RDONLY | O_CLOEXEC));
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
  std::ofstream(directory / "file") << "x";
  const Fd file(::open((directory / "file").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd folder(::open((directory / "").c_str(), O_RDONLY | O_CLOEXEC));
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
    if (i % 2 == 0) (void)::recv(pair.ours.get(), std::array<char, 8>().data(), 8, MSG_DONTWAIT);
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

TEST(BufferPool, hands_out_a_buffer_in_pieces) { run_on_a_worker_here(pieces_of_one_buffer()); }

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
  test::SocketPair one, two, three;
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

Task<void> waits_for_a_buffer_while_stopping(test::SocketPair& pair, Duration& took) {
  BufferPool pool = make_pool({.count = 1, .size = 64});
  send_text(pair.theirs.get(), "x");
  Result<LentBuffer> only = co_await async_recv(pair.ours.get(), pool);
  EXPECT_TRUE(only);
  std::thread elsewhere([held = std::move(*only)]() mutable {
    std::this_thread::sleep_for(50ms);
    held.give_back();
  });
  const auto waits = [](BufferPool& its) -> Task<void> {
    Worker::current()->request_stop();
    co_await turns(2);
    const Result<void> there = co_await its.wait_for_buffer();
    EXPECT_TRUE(there);
  };
  const TimePoint begin = Clock::now();
  co_await shield(waits(pool));
  took = Clock::now() - begin;
  elsewhere.join();
}

TEST(BufferPool, is_given_buffers_by_other_threads_also_while_its_worker_stops) {
  test::SocketPair pair;
  Duration took{};
  Worker worker;
  ASSERT_TRUE(worker.run([&](Worker&) { spawn(waits_for_a_buffer_while_stopping(pair, took)).detach(); }));
  EXPECT_LT(took, 4s) << "not only when patience ends";
}

}  // namespace
}  // namespace corering
