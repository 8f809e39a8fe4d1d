/// streams_test.cpp — streams, buffers, chains and tables where it gets difficult: full, empty, failing,
/// late.
#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <netinet/in.h>
#include <set>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::bytes_of;
using test::error_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

void send_text(int fd, std::string_view text) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}
BufferPool make_pool(BufferPoolOptions options) {
  Result<BufferPool> pool = BufferPool::create(options);
  EXPECT_TRUE(pool) << pool.error().message();
  return std::move(pool).value();
}
Task<void> turns(int count) {
  for (int i = 0; i < count; ++i) (void)co_await async_nop();
}

/// The process may have descriptors up to this number only; those above stay open.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit fewer = before_;
    fewer.rlim_cur = most;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &fewer), 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// ---- buffer pools ----

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
  // On helper threads, which finish in any order.
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
    // What was cancelled before it took the byte leaves it there.
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

/// Lets a stream begin, without waiting for anything.
template <class Stream>
Task<void> arm(Stream& stream) {
  const auto nothing = co_await with_timeout(Duration::zero(), stream.next());
  EXPECT_TRUE(nothing || nothing.error() == std::errc::timed_out);
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
  // One batch of completions, in this order.
  send_text(one.theirs.get(), "first");
  send_text(two.theirs.get(), std::string(40, 'B') + std::string(40, 'b'));
  send_text(three.theirs.get(), "third");
  co_await std::move(taking);
  co_await std::move(bundling);
}
TEST(BufferPool, knows_the_buffers_of_a_bundle_whenever_it_is_taken) {
  run_on_a_worker_here(bundle_taken_late());
}

/// How often the kernel is entered while somebody waits for a buffer that nobody gives back.
Task<void> waits_in_vain(bool incremental, std::atomic<int>& enters, int& during) {
  BufferPool pool = make_pool({.count = incremental ? 1U : 2U, .size = 16, .incremental = incremental});
  test::SocketPair one, two;
  RecvStream slow(one.ours.get(), pool), hungry(two.ours.get(), pool);
  co_await arm(slow);
  // All buffers, and nobody takes them; of an incremental one, two pieces.
  send_text(one.theirs.get(), incremental ? "8 bytes." : std::string(100, 'x'));
  co_await turns(3);
  if (incremental) {
    send_text(one.theirs.get(), "8 more..");
    co_await turns(3);
  }
  EXPECT_EQ(pool.in_kernel(), 0U);
  Result<LentBuffer> piece = co_await slow.next();
  EXPECT_TRUE(piece);
  // A piece that is given back frees nothing as long as another piece of its buffer is lent.
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
    // There is no buffer for it until the other thread has given back the only one.
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

Task<void> lends_registered() {
  Result<RegisteredBuffers> buffers = RegisteredBuffers::create({.count = 2, .size = 4096});
  EXPECT_TRUE(buffers);
  if (!buffers) co_return;
  FixedBuffer one = buffers->lend();
  const FixedBuffer two = buffers->lend();
  EXPECT_TRUE(one.is_lent() && two.is_lent());
  EXPECT_FALSE(buffers->lend().is_lent()) << "all are lent";
  one = FixedBuffer();
  EXPECT_TRUE(buffers->lend().is_lent()) << "it gave itself back";
}
TEST(RegisteredBuffers, lend_themselves_and_come_back) { run_on_a_worker_here(lends_registered()); }

Task<void> uses_no_file() {
  Result<FileTable> table = FileTable::create(2);
  const Fd zero(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  Result<FixedFile> first = co_await async_install(*table, zero.get());
  EXPECT_TRUE(first && first->slot() == 0);
  std::array<std::byte, 4> buffer{};
  const FixedFile nothing;
  const std::error_code read = co_await error_of(async_read(nothing, buffer, 0));
  EXPECT_EQ(read, std::errc::bad_file_descriptor) << "it is not slot 0";
  FixedFile moved = std::move(*first);
  const std::error_code closed = co_await error_of(async_close(std::move(*first)));
  EXPECT_EQ(closed, std::errc::bad_file_descriptor);
  EXPECT_EQ(table->used(), 1U);
  const std::error_code still = co_await error_of(async_read(moved, buffer, 0));
  EXPECT_FALSE(still);
}
TEST(FixedFile, that_is_empty_names_no_slot) { run_on_a_worker_here(uses_no_file()); }

Task<void> fills_the_table(const test::Listener& listener) {
  Result<FileTable> table = FileTable::create(1);
  EXPECT_TRUE(table);
  if (!table) co_return;
  {
    const Result<FixedFile> one = co_await async_socket(*table, AF_INET, SOCK_STREAM);
    EXPECT_TRUE(one);
    const std::error_code full = co_await error_of(async_socket(*table, AF_INET, SOCK_STREAM));
    EXPECT_EQ(full, std::errc::too_many_files_open_in_system);
    if (one) {
      const Result<void> connected = co_await async_connect(*one, listener.get(), sizeof listener.address);
      EXPECT_TRUE(connected) << connected.error().message();
    }
  }
  EXPECT_EQ(table->used(), 0U);
  const Result<FixedFile> again = co_await async_socket(*table, AF_INET, SOCK_STREAM);
  EXPECT_TRUE(again) << "the slot is free again";
}
TEST(FileTable, says_when_it_is_full_and_gives_slots_back) {
  const test::Listener listener;
  run_on_a_worker_here(fills_the_table(listener));
}

// ---- receive streams ----

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

// The completion queue overflows while nobody reaps: K7 of the kernel's habits ends the request without an
// error.
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
    while (got.size() < all.size()) {  // pieces may have run together
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
    co_await sleep_for(1ms);
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
  co_await turns(5);  // it has come meanwhile, to a stream that stayed armed
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
  }  // armed still, cancelled just now
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
      co_await spawn(lets_it());  // it has filled its SQE now
      starting.request_cancel();
      co_await std::move(starting);
    }
    old.reset();
    test::SocketPair fresh;  // with the same numbers
    send_text(fresh.theirs.get(), "hello");
    send_text(fresh.ours.get(), "hello");
    co_await turns(3);
    std::array<char, 8> got{};
    EXPECT_EQ(::recv(fresh.ours.get(), got.data(), got.size(), MSG_DONTWAIT), 5);
    EXPECT_EQ(::recv(fresh.theirs.get(), got.data(), got.size(), MSG_DONTWAIT), 5);
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
  co_await turns(3);  // it waits for the only buffer
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
  EXPECT_EQ(::recv(fresh.ours.get(), got.data(), got.size(), MSG_DONTWAIT), 6);
  EXPECT_EQ(::recv(fresh.theirs.get(), got.data(), got.size(), MSG_DONTWAIT), 6);
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
    ::shutdown(its.theirs.get(), SHUT_WR);
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

Task<void> goes_round_the_group_numbers() {
  const BufferPool pool = make_pool({.count = 2, .size = 64});
  for (int i = 0; i < 66'000; ++i) {
    const Result<SendQueue> queue = SendQueue::create(1);
    if (!queue) {
      ADD_FAILURE() << i << ": " << queue.error().message();
      co_return;
    }
  }
}
TEST(SendQueue, can_be_made_more_often_than_there_are_group_numbers) {
  run_on_a_worker_here(goes_round_the_group_numbers());
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
  EXPECT_DEATH(dies(), "another thread than its worker's");
}

// ---- accepting ----

Task<void> table_goes_first(const test::Listener& listener, std::vector<Fd>& clients) {
  for (int i = 0; i < 20; ++i) {
    {
      Result<FileTable> table = FileTable::create(4);
      EXPECT_TRUE(table) << table.error().message();
      FixedAcceptStream stream(*table, listener.fd);
      co_await arm(stream);
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    }
    co_await turns(4);  // the last reply, and what it brought, have gone; so has the table
  }
}
TEST(FixedAcceptStream, keeps_a_table_that_is_gone) {
  const test::Listener listener;
  std::vector<Fd> clients;
  run_on_a_worker_here(table_goes_first(listener, clients));
}

Task<void> closes_a_listener_in_use(bool without_descriptors) {
  Result<TcpListener> listener = TcpListener::bind(Address::loopback(0));
  const Address address = listener->local_address().value();
  std::error_code outcome;
  const auto accepts_one = [](TcpListener& its, std::error_code& how) -> Task<void> {
    const Result<TcpStream> peer = co_await its.accept();
    how = peer ? std::error_code() : peer.error();
  };
  std::optional<DescriptorLimit> none;
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (without_descriptors) {
    const Fd next(::dup(0));
    none.emplace(static_cast<rlim_t>(next.get()));
    EXPECT_EQ(::connect(client.get(), address.get(), address.length()), 0);
  }
  JoinHandle<void> accepting = spawn(accepts_one(*listener, outcome));
  co_await turns(5);
  const Result<void> closed = co_await listener->close();
  EXPECT_TRUE(closed);
  co_await std::move(accepting);
  EXPECT_EQ(outcome, std::errc::operation_canceled);
  none.reset();
  EXPECT_TRUE(TcpListener::bind(address)) << "the port is free";
}
TEST(TcpListener, can_be_closed_while_somebody_accepts) {
  run_on_a_worker_here(closes_a_listener_in_use(false));
}
TEST(TcpListener, can_be_closed_while_accept_waits_for_a_descriptor) {
  run_on_a_worker_here(closes_a_listener_in_use(true));
}

Task<void> accepts(int listener, std::atomic<int>& accepted, int count) {
  AcceptStream connections(listener);
  std::vector<Fd> kept;
  while (accepted < count) {
    Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next) co_return;
    ++accepted;
    kept.push_back(std::move(*next));
  }
}

Duration cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + Duration(used.tv_nsec);
}

// 256 descriptors, and clients that keep coming: the worker must not spin, and must go on when there is room.
TEST(AcceptStream, waits_while_there_is_no_descriptor) {
  test::Listener listener;
  std::atomic<int> accepted = 0;
  test::RunningWorker running;
  constexpr int clients = 300;
  ASSERT_EQ(::listen(listener.fd.get(), clients), 0);
  std::vector<Fd> connected;
  for (int i = 0; i < clients; ++i) {
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(client.get(), listener.get(), sizeof listener.address);
    connected.emplace_back(::fcntl(client.get(), F_DUPFD_CLOEXEC, 1000));  // out of the way
  }
  std::optional<DescriptorLimit> few(256);
  auto accepting = running.worker.spawn(accepts(listener.fd.get(), accepted, clients));
  int before = -1;
  while (accepted == 0 || accepted != before) {  // until nothing more comes
    before = accepted;
    std::this_thread::sleep_for(50ms);
  }
  ASSERT_LT(accepted, 256);
  ASSERT_GT(accepted, 200);
  const Duration cpu_before = cpu_time();
  std::this_thread::sleep_for(5s);
  const Duration used = cpu_time() - cpu_before;
  EXPECT_LT(used, 250ms) << "of 5 s";
  EXPECT_EQ(accepted, before);
  const TimePoint room = Clock::now();
  few.reset();
  while (accepted == before) std::this_thread::sleep_for(1ms);
  EXPECT_LT(Clock::now() - room, 1s);
  sync_wait(std::move(*accepting));
  EXPECT_EQ(accepted, clients);
}

Task<void> accepts_slowly(int listener, int count) {
  AcceptStream connections(listener, 4);
  co_await turns(1);
  std::set<int> numbers;
  std::vector<Fd> kept;
  for (int i = 0; i < count; ++i) {
    Result<Fd> next = co_await connections.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next) co_return;
    numbers.insert(next->get());
    kept.push_back(std::move(*next));
    co_await turns(3);
  }
  EXPECT_EQ(numbers.size(), static_cast<std::size_t>(count));
}
TEST(AcceptStream, lets_connections_wait_in_the_backlog_and_loses_none) {
  test::Listener listener;
  std::vector<Fd> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
  }
  run_on_a_worker_here(accepts_slowly(listener.fd.get(), 100));
}

Task<void> closes_what_nobody_took(const test::Listener& listener) {
  std::vector<Fd> clients;
  {
    AcceptStream connections(listener.fd.get());
    (void)co_await with_timeout(Duration::zero(), connections.next());
    for (int i = 0; i < 10; ++i) {
      clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    }
    co_await turns(1);
  }
  co_await turns(5);
}
TEST(AcceptStream, closes_connections_that_nobody_took) {
  test::Listener listener;
  const int descriptors = test::open_descriptors();
  run_on_a_worker_here(closes_what_nobody_took(listener));
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

// ---- chains ----

Task<void> copies_in_a_chain() {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "from") << "linked";
  const Fd from(::open((directory / "from").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd to(::open((directory / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  std::array<std::byte, 6> buffer{};
  const auto done = co_await chain(async_read(from, buffer, 0), async_write(to, buffer, 0), async_fsync(to));
  EXPECT_TRUE(done);
  if (!done) co_return;
  const auto& [read, written, synced] = *done;
  EXPECT_TRUE(read && written && synced);
  std::string copy;
  std::ifstream(directory / "to") >> copy;
  EXPECT_EQ(copy, "linked");
}
TEST(Chain, runs_in_order) { run_on_a_worker_here(copies_in_a_chain()); }

Task<void> short_read_breaks_it() {
  test::TemporaryDirectory directory;
  std::ofstream(directory / "from") << "short";
  const Fd from(::open((directory / "from").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<std::byte, 64> buffer{};
  const auto soft = co_await chain(async_read(from, buffer, 0), async_nop());
  EXPECT_TRUE(soft && std::get<0>(*soft) == 5U);
  EXPECT_EQ(std::get<1>(*soft).error(), std::errc::operation_canceled);
  const auto hard = co_await hard_chain(async_read(from, buffer, 0), async_nop());
  EXPECT_TRUE(hard && std::get<1>(*hard));
}
TEST(Chain, ends_where_a_link_falls_short) { run_on_a_worker_here(short_read_breaks_it()); }

Task<void> too_long() {
  const auto six =
      co_await chain(async_nop(), async_nop(), async_nop(), async_nop(), async_nop(), async_nop());
  EXPECT_FALSE(six);
  if (six) co_return;
  EXPECT_EQ(six.error().category(), chain_category());
  EXPECT_NE(six.error().message().find("sq_entries"), std::string::npos);
  const auto four = co_await chain(async_nop(), async_nop(), async_nop(), async_nop());
  EXPECT_TRUE(four) << "as many as fit";
}
TEST(Chain, that_cannot_fit_says_so) { run_on_a_worker_here(too_long(), {.sq_entries = 4, .cq_entries = 8}); }

/// Chains between other operations, with every offset to the end of the queue.
Task<void> around_the_boundary() {
  test::TemporaryDirectory directory;
  const Fd file(::open((directory / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const auto chains = [](int fd, int number) -> Task<void> {
    std::array<std::byte, 2> out{std::byte(number), std::byte(number + 1)}, in{};
    const std::uint64_t offset = static_cast<std::uint64_t>(number) * 2;
    const auto done = co_await chain(async_write(fd, out, offset), async_read(fd, in, offset));
    EXPECT_TRUE(done && std::get<0>(*done) && std::get<1>(*done));
    EXPECT_EQ(in, out) << "the read came behind the write";
  };
  for (int offset = 0; offset < 8; ++offset) {
    std::vector<JoinHandle<void>> running;
    for (int i = 0; i < 80; ++i) {  // ten times the queue, in one turn
      if (i % 8 == offset) running.push_back(spawn(turns(1)));
      running.push_back(spawn(chains(file.get(), i)));
    }
    for (auto& one : running) co_await std::move(one);
  }
}
TEST(Chain, is_submitted_whole_wherever_the_queue_ends) {
  run_on_a_worker_here(around_the_boundary(), {.sq_entries = 8, .cq_entries = 16});
}
TEST(Chain, is_parked_whole_when_the_kernel_takes_nothing) {
  test::FaultyKernel kernel;
  int calls = 0;
  kernel.on_enter = [&calls](unsigned to_submit) { return to_submit > 0 && ++calls % 3 != 0 ? -EBUSY : 0; };
  run_on_a_worker_here(around_the_boundary(), {.sq_entries = 8, .cq_entries = 16, .kernel = &kernel});
}

Task<void> already_stopped() {
  std::stop_source stopped;
  stopped.request_stop();
  test::TemporaryDirectory directory;
  const Fd file(::open((directory / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const auto runs = [](int fd) -> Task<std::error_code> {
    const auto done = co_await chain(async_write(fd, bytes_of("x"), 0), async_fsync(fd));
    co_return done ? std::error_code() : done.error();
  };
  const std::error_code refused = co_await with_stop_token(stopped.get_token(), runs(file.get()));
  EXPECT_EQ(refused, std::errc::operation_canceled);
  EXPECT_EQ(std::filesystem::file_size(directory / "file"), 0U) << "no link has run";
}
TEST(Chain, in_a_cancelled_scope_runs_no_link) { run_on_a_worker_here(already_stopped()); }

Task<void> cancelled_in_the_middle() {
  test::SocketPair pair;
  std::array<std::byte, 8> buffer{};
  const auto waits = [](int fd, std::span<std::byte> into) -> Task<void> {
    const auto done = co_await chain(async_nop(), async_recv(fd, into), async_nop());
    EXPECT_TRUE(done);
    if (!done) co_return;
    EXPECT_TRUE(std::get<0>(*done));
    EXPECT_EQ(std::get<1>(*done).error(), std::errc::timed_out);
    EXPECT_FALSE(std::get<2>(*done));
  };
  const Result<void> limited = co_await with_timeout(20ms, waits(pair.ours.get(), buffer));
  EXPECT_EQ(limited.error(), std::errc::timed_out);
}
TEST(Chain, is_cancelled_whole) { run_on_a_worker_here(cancelled_in_the_middle()); }

// ---- many at once ----

TEST(Loop, takes_ten_times_the_queue_in_one_turn) {
  const auto many = []() -> Task<void> {
    std::vector<JoinHandle<void>> running;
    for (int i = 0; i < 40; ++i) running.push_back(spawn(turns(3)));
    for (auto& one : running) co_await std::move(one);
  };
  run_on_a_worker_here(many(), {.sq_entries = 4, .cq_entries = 8});
}

// ---- zero copy ----

Task<void> sends_without_copying(const test::Listener& listener) {
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), listener.get(), sizeof listener.address), 0);
  const Result<Fd> served = co_await async_accept(listener.fd);
  EXPECT_TRUE(served);
  if (!served) co_return;
  const std::vector<std::byte> much(1 << 20, std::byte{42});
  const auto receives = [](int fd, std::size_t count) -> Task<std::size_t> {
    std::vector<std::byte> sink(1 << 16);
    std::size_t total = 0;
    while (total < count) {
      const Result<std::size_t> got = co_await async_recv(fd, sink);
      if (!got || *got == 0) break;
      for (std::size_t i = 0; i < *got; ++i) EXPECT_EQ(sink[i], std::byte{42});
      total += *got;
    }
    co_return total;
  };
  JoinHandle<std::size_t> receiving = spawn(receives(served->get(), much.size()));
  const Result<ZeroCopySend> sent = co_await async_send_zc(client, much, MSG_WAITALL);
  EXPECT_TRUE(sent) << sent.error().message();
  if (sent) {
    EXPECT_EQ(sent->bytes, much.size());
    EXPECT_EQ(sent->copied, ZeroCopySend::Copied::yes) << "as the loopback device always does";
  }
  const std::size_t received = co_await std::move(receiving);
  EXPECT_EQ(received, much.size());
}
TEST(ZeroCopy, resumes_when_the_buffer_is_free_and_says_what_the_kernel_did) {
  const test::Listener listener;
  run_on_a_worker_here(sends_without_copying(listener));
}

Task<void> fails_without_copying() {
  Result<RegisteredBuffers> buffers = RegisteredBuffers::create({.count = 1, .size = 4096});
  EXPECT_TRUE(buffers);
  test::SocketPair pair;  // the Unix family knows no zero copy
  for (int i = 0; i < 10; ++i) {
    const FixedBuffer fixed = buffers->lend();
    EXPECT_TRUE(fixed.is_lent()) << "the last one has come back";
    const std::error_code error = co_await error_of(async_send_zc(pair.ours.get(), fixed.first(10)));
    EXPECT_EQ(error, std::errc::operation_not_supported);
  }
}
TEST(ZeroCopy, that_fails_still_returns_its_buffer) { run_on_a_worker_here(fails_without_copying()); }

Task<void> sends_a_lot_in_bundles() {
  test::SocketPair pair;
  Result<SendQueue> queue = SendQueue::create(1024);
  EXPECT_TRUE(queue);
  if (!queue) co_return;
  std::vector<std::string> pieces;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    pieces.push_back(std::string(1 + i * 37 % 3000, static_cast<char>('a' + i % 26)));
    expected += pieces.back();
  }
  for (const std::string& piece : pieces) EXPECT_TRUE(queue->push(bytes_of(piece)));
  EXPECT_EQ(queue->bytes(), expected.size());
  const auto receives = [](int fd, std::string& all) -> Task<void> {
    std::vector<std::byte> sink(5000);
    for (;;) {
      const Result<std::size_t> got = co_await async_recv(fd, sink);
      if (!got || *got == 0) co_return;
      all += text_of(std::span(sink).first(*got));
    }
  };
  std::string received;
  JoinHandle<void> receiving = spawn(receives(pair.theirs.get(), received));
  while (!queue->empty()) {
    const Result<std::size_t> sent = co_await async_send_bundle(pair.ours, *queue);
    EXPECT_TRUE(sent) << sent.error().message();
    if (!sent) break;
  }
  ::shutdown(pair.ours.get(), SHUT_WR);
  co_await std::move(receiving);
  EXPECT_TRUE(received == expected) << "in order and whole";
}
Task<void> is_cut_in_the_middle() {
  test::SocketPair pair;
  Result<SendQueue> queue = SendQueue::create(8);
  std::vector<std::string> pieces;
  std::string expected, received;
  for (int i = 0; i < 4; ++i) {
    pieces.push_back(std::string(1 << 20, static_cast<char>('a' + i)));
    expected += pieces.back();
  }
  for (const std::string& piece : pieces) EXPECT_TRUE(queue->push(bytes_of(piece)));
  std::vector<char> sink(1 << 16);
  int cuts = 0;
  for (;;) {
    if (queue->empty()) break;
    const std::size_t before = queue->bytes();
    const auto sent = co_await with_timeout(2ms, async_send_bundle(pair.ours, *queue));
    if (sent) {
      EXPECT_EQ(queue->bytes(), before - *sent);
      cuts += queue->empty() ? 0 : 1;
    }
    for (ssize_t got = 0; (got = ::recv(pair.theirs.get(), sink.data(), sink.size(), MSG_DONTWAIT)) > 0;) {
      received.append(sink.data(), static_cast<std::size_t>(got));
    }
  }
  EXPECT_GT(cuts, 1);
  EXPECT_TRUE(received == expected) << received.size() << " of " << expected.size();
}
TEST(SendQueue, keeps_what_is_left_of_a_buffer_that_went_in_part) {
  run_on_a_worker_here(is_cut_in_the_middle());
}

TEST(SendQueue, sends_many_buffers_in_order) { run_on_a_worker_here(sends_a_lot_in_bundles()); }

// ---- the way out ----

Task<void> raw_multishot(int listener_fd, const test::Listener& listener) {
  Sqe sqe;
  sqe.opcode = static_cast<std::uint8_t>(Opcode::accept);
  sqe.ioprio = abi::accept_multishot;
  sqe.fd = listener_fd;
  sqe.op_flags = SOCK_CLOEXEC;
  RawStream stream(sqe);
  for (int i = 0; i < 3; ++i) {
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), listener.get(), sizeof listener.address), 0);
    const Result<Reply> reply = co_await stream.next();
    EXPECT_TRUE(reply && reply->res >= 0 && !reply->is_last());
    if (reply) {
      const Fd taken(reply->res);
    }
  }
}
TEST(Raw, a_multishot_sqe_is_a_stream) {
  const test::Listener listener;
  run_on_a_worker_here(raw_multishot(listener.fd.get(), listener));
}
TEST(RawDeathTest, an_sqe_that_is_never_answered_ends_the_program) {
  Sqe silent;
  silent.flags = abi::sqe_cqe_skip_success;
  EXPECT_DEATH((void)async_raw(silent), "can never be awaited");
  Sqe linked;
  linked.flags = abi::sqe_io_link;
  EXPECT_DEATH((void)async_raw(linked), "use chain()");
  Sqe drain;
  drain.flags = abi::sqe_io_drain;
  EXPECT_DEATH((void)async_raw(drain), "always armed");
}

Task<void> raw_zero_copy(const test::Listener& listener) {
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), listener.get(), sizeof listener.address), 0);
  Sqe sqe;
  sqe.opcode = static_cast<std::uint8_t>(Opcode::send_zc);
  sqe.fd = client.get();
  sqe.addr = reinterpret_cast<std::uintptr_t>("zero");
  sqe.len = 4;
  const Result<Reply> reply = co_await async_raw(sqe);
  EXPECT_TRUE(reply && reply->res == 4 && reply->is_last());
}
TEST(Raw, a_zero_copy_send_is_over_when_it_resumes) {
  const test::Listener listener;
  run_on_a_worker_here(raw_zero_copy(listener));
}

// ---- memory, futexes, children ----

Task<void> drops_five_gigabytes(std::span<std::byte> memory) {
  memory.back() = std::byte{1};
  memory.front() = std::byte{1};
  const Result<void> dropped = co_await async_madvise(memory.data(), memory.size(), MADV_DONTNEED);
  EXPECT_TRUE(dropped) << dropped.error().message();
  EXPECT_EQ(memory.front(), std::byte{0});
  EXPECT_EQ(memory.back(), std::byte{0}) << "the length is not taken modulo 4 GiB";
}
TEST(Madvise, takes_more_than_four_gigabytes) {
  constexpr std::size_t length = (std::size_t{5} << 30) + 4096;
  void* const pages =
      ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  run_on_a_worker_here(drops_five_gigabytes(std::span(static_cast<std::byte*>(pages), length)));
  ::munmap(pages, length);
}

Task<void> wakes_everybody() {
  std::atomic<std::uint32_t> word = 0;
  std::vector<JoinHandle<std::error_code>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(spawn(error_of(async_futex_wait(word, 0))));
  co_await turns(2);
  const Result<unsigned> woken = co_await async_futex_wake(word, UINT32_MAX);
  EXPECT_EQ(woken, 3U);
  for (auto& one : waiting) (void)co_await std::move(one);
}
TEST(Futex, wakes_everybody_who_waits) { run_on_a_worker_here(wakes_everybody()); }

TEST(Child, that_cannot_be_watched_is_not_left_behind) {
  const Fd next(::dup(0));
  const DescriptorLimit none(static_cast<rlim_t>(next.get()) + 1);
  const Result<Child> child = Child::spawn({"sleep", "1000"});
  EXPECT_EQ(child.error(), std::errc::too_many_files_open);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD) << "no child";
}

// ---- pipes ----

// The process has the default disposition of SIGPIPE, as has this thread but for the worker.
Task<void> writes_to_nobody() {
  Result<Pipe> pipe = Pipe::create();
  EXPECT_TRUE(pipe);
  (void)co_await pipe->reader.close();
  const std::error_code error = co_await error_of(pipe->writer.write(bytes_of("x")));
  EXPECT_EQ(error, std::errc::broken_pipe);
}
TEST(Pipe, that_nobody_reads_is_an_error_and_no_signal) {
  run_on_a_worker_here(writes_to_nobody());
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
}

}  // namespace
}  // namespace corering
