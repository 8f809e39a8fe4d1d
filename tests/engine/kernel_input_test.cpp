/// kernel_input_test.cpp — a kernel that answers too often, too much, or what nobody asked.
#include <sys/socket.h>

#include "support/cheating_kernel.hpp"
#include "support/story.hpp"
#include "support/working.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::CheatingKernel;

Cqe part_of(const Cqe& whole, std::int32_t res) {
  return {.user_data = whole.user_data, .res = res, .flags = whole.flags | uapi::cqe_more};
}

Task<void> reads_in_parts(Result<std::size_t>& got) {
  test::SocketPair pair;
  EXPECT_EQ(test::sys::write(pair.theirs.get(), "twelve bytes", 12), 12);
  std::array<std::byte, 64> buffer;
  got = co_await async_recv(pair.ours, buffer);
}
TEST(KernelInput, in_parts_is_one_answer_with_all_bytes) {
  CheatingKernel kernel;
  kernel.on_answer = [](const Cqe& real) -> std::vector<Cqe> {
    if (real.res != 12) return {real};
    Cqe rest = real;
    rest.res = 7;
    return {part_of(real, 2), part_of(real, 3), rest};
  };
  Result<std::size_t> got;
  test::run_on_a_worker_here(reads_in_parts(got), {.kernel = &kernel});
  EXPECT_EQ(got.value(), 12U);
}

TEST(KernelInput, that_fails_after_a_part_says_how_much_was_moved) {
  CheatingKernel kernel;
  kernel.on_answer = [](const Cqe& real) -> std::vector<Cqe> {
    if (real.res != 12) return {real};
    Cqe failed = real;
    failed.res = -ECONNRESET;
    return {part_of(real, 5), failed};
  };
  Result<std::size_t> got;
  test::run_on_a_worker_here(reads_in_parts(got), {.kernel = &kernel});
  EXPECT_EQ(got.value(), 5U);
}

Task<void> is_cancelled_after_a_part(std::error_code& outcome) {
  test::SocketPair pair;
  std::array<std::byte, 64> buffer;
  const auto got = co_await with_timeout(1ms, async_recv(pair.ours, buffer));
  outcome = got ? std::error_code() : got.error();
}
TEST(KernelInput, in_parts_can_be_cancelled) {
  CheatingKernel kernel;
  kernel.on_answer = [&kernel](const Cqe& real) { return test::in_two_parts(kernel, real); };
  std::error_code outcome;
  test::run_on_a_worker_here(is_cancelled_after_a_part(outcome), {.kernel = &kernel});
  EXPECT_EQ(outcome, std::errc::timed_out) << outcome.message();
}

// A bundle on Linux 6.12.43 and 6.16 to 6.18.15.
Task<void> sends_a_bundle(std::size_t& sent, std::size_t& left) {
  test::SocketPair pair;
  Result<SendQueue> queue = SendQueue::create(8);
  const std::string text = "12345";
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue->push(std::as_bytes(std::span(text))));
  const auto got = co_await async_send_bundle(pair.ours, *queue);
  sent = got.value_or(0);
  left = queue->bytes();
}
TEST(KernelInput, of_a_bundle_may_come_in_parts) {
  CheatingKernel kernel;
  kernel.on_answer = [](const Cqe& real) -> std::vector<Cqe> {
    if (real.res != 20) return {real};
    Cqe rest = real;
    rest.res = 5;
    return {part_of(real, 10), part_of(real, 5), rest};
  };
  std::size_t sent = 0, left = 0;
  test::run_on_a_worker_here(sends_a_bundle(sent, left), {.kernel = &kernel});
  EXPECT_EQ(sent, 20U);
  EXPECT_EQ(left, 0U);
}

Task<void> receives_into_a_pool(Result<std::size_t>& got, std::uint32_t& lent) {
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  {
    test::SocketPair pair;
    EXPECT_EQ(test::sys::write(pair.theirs.get(), "hello", 5), 5);
    const Result<LentBuffer> piece = co_await async_recv(pair.ours, *pool);
    got = piece ? Result<std::size_t>(piece->size()) : std::unexpected(piece.error());
  }
  lent = pool->lent();
}
TEST(KernelInput, of_more_bytes_than_a_buffer_holds_is_cut) {
  CheatingKernel kernel;
  kernel.on_answer = [](const Cqe& real) -> std::vector<Cqe> {
    Cqe absurd = real;
    if (real.res == 5) absurd.res = 0x7fff'ffff;
    return {absurd};
  };
  Result<std::size_t> got;
  std::uint32_t lent = 0;
  test::run_on_a_worker_here(receives_into_a_pool(got, lent), {.kernel = &kernel});
  EXPECT_EQ(got.value(), 64U);
  EXPECT_EQ(lent, 0U);
}
TEST(KernelInput, of_a_second_buffer_for_one_receive_is_an_error) {
  CheatingKernel kernel;
  kernel.on_answer = [](const Cqe& real) -> std::vector<Cqe> {
    if (real.res != 5) return {real};
    Cqe last{.user_data = real.user_data, .res = 0, .flags = 0};
    return {part_of(real, 5), last};
  };
  Result<std::size_t> got;
  std::uint32_t lent = 0;
  test::run_on_a_worker_here(receives_into_a_pool(got, lent), {.kernel = &kernel});
  EXPECT_EQ(got.error(), std::errc::protocol_error);
  EXPECT_EQ(lent, 0U) << "the buffer went back";
}

Task<void> takes_a_long_datagram(std::size_t& size, std::size_t& whole) {
  std::array<int, 2> fds{};
  EXPECT_EQ(test::sys::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  const Fd ours(fds[0]), theirs(fds[1]);
  Result<BufferPool> pool = BufferPool::create({.count = 4, .size = 64});
  const std::array<std::byte, 1000> large{};
  EXPECT_EQ(test::sys::send(theirs.get(), large.data(), large.size(), 0), 1000);
  const Result<LentBuffer> piece = co_await async_recv(ours, *pool, MSG_TRUNC);
  if (!piece) co_return;
  size = piece->size();
  whole = piece->whole_size();
}
TEST(KernelInput, of_a_datagram_longer_than_its_buffer_is_a_piece_and_its_length) {
  std::size_t size = 0, whole = 0;
  test::run_on_a_worker_here(takes_a_long_datagram(size, whole));
  EXPECT_EQ(size, 64U);
  EXPECT_EQ(whole, 1000U);
}

struct Boaster {
  Task<Result<std::size_t>> read(std::span<std::byte> into) {
    std::ranges::fill(into, std::byte('x'));
    co_return std::size_t{1} << 40;
  }
  Task<Result<std::size_t>> write(std::span<const std::byte>) { co_return std::size_t{1} << 40; }
};
Task<void> believes_nobody(std::size_t& line, bool& written) {
  Boaster boaster;
  Reader reader(boaster);
  const Result<std::string_view> got = co_await reader.read_until("\n", 100);
  EXPECT_FALSE(got);
  std::array<std::byte, 8> some{};
  line = (co_await reader.read(some)).value_or(0);
  Writer writer(boaster);
  EXPECT_TRUE(co_await writer.write_all("words"));
  written = (co_await writer.flush()).has_value();
}
TEST(KernelInput, of_a_users_own_stream_is_cut_too) {
  std::size_t line = 0;
  bool written = false;
  test::run_on_a_worker_here(believes_nobody(line, written));
  EXPECT_EQ(line, 8U);
  EXPECT_TRUE(written);
}

Task<void> goes_once() { (void)co_await async_nop(); }
void hears(std::uint64_t user_data) {
  CheatingKernel kernel;
  kernel.on_answer = [user_data](const Cqe& real) -> std::vector<Cqe> {
    return {Cqe{.user_data = user_data, .res = 1, .flags = 0}, real};
  };
  test::run_on_a_worker_here(goes_once(), {.kernel = &kernel});
}
TEST(KernelInputDeathTest, of_a_request_that_nobody_made_is_named) {
  alignas(64) static std::array<std::byte, 512> nobody{};
  const auto address = reinterpret_cast<std::uintptr_t>(nobody.data());
  for (const unsigned tag : {0U, 3U, 6U, 7U}) {
    EXPECT_DEATH(hears(address + tag), "answered a request that is not in flight") << tag;
  }
  EXPECT_DEATH(hears(2), "answered a cancel that it was not asked for");
}

}  // namespace
}  // namespace corering
