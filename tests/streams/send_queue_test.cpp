/// send_queue_test.cpp — many buffers, sent by one request.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::make_pool;

using test::bytes_of;
using test::run_on_a_worker_here;
using test::text_of;
using namespace std::chrono_literals;

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
  test::sys::shutdown(pair.ours.get(), SHUT_WR);
  co_await std::move(receiving);
  EXPECT_TRUE(received == expected) << "in order and whole";
}
Task<void> is_cut_in_the_middle() {
  test::SocketPair pair;
  Result<SendQueue> queue = SendQueue::create(8);
  std::vector<std::string> pieces;
  std::string expected, received;
  for (int i = 0; i < 4; ++i) {
    pieces.emplace_back(1 << 20, static_cast<char>('a' + i));
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
    for (ssize_t got = 0;
         (got = test::sys::recv(pair.theirs.get(), sink.data(), sink.size(), MSG_DONTWAIT)) > 0;) {
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

}  // namespace
}  // namespace corering
