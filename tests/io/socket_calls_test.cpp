/// socket_calls_test.cpp — sends that do not copy.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::error_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> sends_without_copying(const test::Listener& listener) {
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(test::sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
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
  test::SocketPair pair;  // Unix sockets do not have zero copy
  for (int i = 0; i < 10; ++i) {
    const FixedBuffer fixed = buffers->lend();
    EXPECT_TRUE(fixed.is_lent()) << "the last one has come back";
    const std::error_code error = co_await error_of(async_send_zc(pair.ours.get(), fixed.first(10)));
    EXPECT_EQ(error, std::errc::operation_not_supported);
  }
}

TEST(ZeroCopy, that_fails_still_returns_its_buffer) { run_on_a_worker_here(fails_without_copying()); }

}  // namespace
}  // namespace corering
