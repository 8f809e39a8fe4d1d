/// chain_test.cpp — operations that the kernel does in order.
#include <fstream>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using test::bytes_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> copies_in_a_chain() {
  test::TemporaryDirectory directory;
  test::write_content(directory / "from", "linked");
  const Fd from(test::sys::open((directory / "from").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd to(test::sys::open((directory / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  std::array<std::byte, 6> buffer{};
  const auto done = co_await chain(async_read(from, buffer, 0), async_write(to, buffer, 0), async_fsync(to));
  EXPECT_TRUE(done);
  if (!done) co_return;
  const auto& [read, written, synced] = *done;
  EXPECT_TRUE(read && written && synced);
  std::string copy;
  copy = test::content_of(directory / "to");
  EXPECT_EQ(copy, "linked");
}

TEST(Chain, runs_in_order) { run_on_a_worker_here(copies_in_a_chain()); }

Task<void> short_read_breaks_it() {
  test::TemporaryDirectory directory;
  test::write_content(directory / "from", "short");
  const Fd from(test::sys::open((directory / "from").c_str(), O_RDONLY | O_CLOEXEC));
  std::array<std::byte, 64> buffer{};
  const auto soft = co_await chain(async_read(from, buffer, 0), async_nop());
  EXPECT_TRUE(soft && std::get<0>(*soft) == 5U);
  EXPECT_EQ(std::get<1>(*soft).error(), std::errc::operation_canceled);
  const auto hard = co_await hard_chain(async_read(from, buffer, 0), async_nop());
  EXPECT_TRUE(hard && std::get<1>(*hard));
}

TEST(Chain, ends_where_a_link_falls_short) { run_on_a_worker_here(short_read_breaks_it()); }

Task<void> raw_zero_copy_after_a_nop() {
  Sqe sqe{};
  sqe.opcode = static_cast<std::uint8_t>(Opcode::send_zc);
  sqe.fd = -1;
  const auto soft = co_await chain(async_nop(), async_raw(sqe));
  EXPECT_FALSE(soft);
  if (soft) co_return;
  EXPECT_EQ(soft.error().category(), chain_category());
  EXPECT_EQ(soft.error(), std::errc::invalid_argument);
  EXPECT_NE(soft.error().message().find("hard_chain()"), std::string::npos);
  const auto hard = co_await hard_chain(async_nop(), async_raw(sqe));
  EXPECT_TRUE(hard && std::get<0>(*hard) && !std::get<1>(*hard));
  const auto first = co_await chain(async_raw(sqe), async_nop());
  EXPECT_TRUE(first && !std::get<0>(*first) && !std::get<1>(*first));
}

TEST(Chain, takes_a_zero_copy_send_only_as_its_first) { run_on_a_worker_here(raw_zero_copy_after_a_nop()); }

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

/// Runs chains between other operations, at every distance from the end of the queue.
Task<void> around_the_boundary() {
  test::TemporaryDirectory directory;
  const Fd file(test::sys::open((directory / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const auto chains = [](int fd, int number) -> Task<void> {
    std::array<std::byte, 2> out{std::byte(number), std::byte(number + 1)}, in{};
    const std::uint64_t offset = static_cast<std::uint64_t>(number) * 2;
    const auto done = co_await chain(async_write(fd, out, offset), async_read(fd, in, offset));
    EXPECT_TRUE(done && std::get<0>(*done) && std::get<1>(*done));
    EXPECT_EQ(in, out) << "the read came behind the write";
  };
  for (int offset = 0; offset < 8; ++offset) {
    std::vector<JoinHandle<void>> running;
    for (int i = 0; i < 80; ++i) {  // ten times the size of the queue, in one turn
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
  const Fd file(test::sys::open((directory / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
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

}  // namespace
}  // namespace corering
