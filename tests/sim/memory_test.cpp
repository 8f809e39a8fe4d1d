/// memory_test.cpp — memory that the simulated kernel has: who touches it too early, or frees it, is told.
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

#include "base/kernel_memory.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

using Memory = std::array<unsigned char, 64>;

/// Two ends of a stream, and a task that receives into `memory` for some time before anything is sent.
struct Receiving {
  Receiving() : pair(UnixStream::pair().value()) {}
  std::pair<UnixStream, UnixStream> pair;
  std::unique_ptr<Memory> memory = std::make_unique<Memory>();
};

Task<void> receives(Receiving& all) {
  (void)co_await async_recv(all.pair.second.fd(), std::as_writable_bytes(std::span(*all.memory)));
}

Task<void> send_something(Receiving& all) {
  constexpr std::array<unsigned char, 4> text = {1, 2, 3, 4};
  const Result<void> sent = co_await all.pair.first.write_all(std::as_bytes(std::span(text)));
  EXPECT_TRUE(sent.has_value());
}

Task<void> looks_after_the_end(unsigned& seen) {
  Receiving all;
  auto receiving = spawn(receives(all));
  (void)co_await sleep_for(1ms);
  co_await send_something(all);
  co_await std::move(receiving);
  seen = (*all.memory)[3];
}

TEST(SimMemory, that_was_received_into_belongs_to_the_program_again) {
  sim::World world;
  unsigned seen = 0;
  EXPECT_EQ(world.run(looks_after_the_end(seen)).failure, "");
  EXPECT_EQ(seen, 4U);
}

Task<void> cancels_and_looks(unsigned& seen) {
  Receiving all;
  (*all.memory)[3] = 7;
  auto receiving = spawn(receives(all));
  (void)co_await sleep_for(1ms);
  receiving.request_cancel();
  co_await std::move(receiving);
  seen = (*all.memory)[3];
}

TEST(SimMemory, of_a_receive_that_was_cancelled_belongs_to_the_program_again) {
  sim::World world;
  unsigned seen = 0;
  EXPECT_EQ(world.run(cancels_and_looks(seen)).failure, "");
  EXPECT_EQ(seen, 7U);
}

// Two have the same memory, one ends first, and what is sent may be read all the time.
Task<void> shares(unsigned& seen) {
  Receiving all;
  auto one = spawn(receives(all));
  auto other = spawn(receives(all));
  (void)co_await sleep_for(1ms);
  co_await send_something(all);
  (void)co_await sleep_for(1ms);
  co_await send_something(all);
  co_await std::move(one);
  co_await std::move(other);
  seen = (*all.memory)[3];
}

TEST(SimMemory, of_two_receives_is_written_by_both) {
  sim::World world;
  unsigned seen = 0;
  EXPECT_EQ(world.run(shares(seen)).failure, "");
  EXPECT_EQ(seen, 4U);
}

Task<void> looks_too_early(bool one_has_ended) {
  Receiving all;
  auto one = spawn(receives(all));
  auto other = spawn(receives(all));
  (void)co_await sleep_for(1ms);
  if (one_has_ended) co_await send_something(all);
  (void)co_await sleep_for(1ms);
  EXPECT_EQ((*all.memory)[3], 0);  // the mistake
  co_await send_something(all);
  co_await std::move(one);
  co_await std::move(other);
}

// Who looks too early gets what an earlier statx left there.
Task<void> fills(struct statx& status) {
  (void)co_await async_statx(AT_FDCWD, "/there", AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS, status);
}

Task<void> looks_at_a_status(bool too_early) {
  (void)co_await async_mkdirat(AT_FDCWD, "/there", 0755);
  const auto status = std::make_unique<struct statx>();
  auto filling = spawn(fills(*status));
  (void)co_await sleep_for(1us);
  if (too_early) {
    EXPECT_EQ(status->stx_mode, 0);  // the mistake
  }
  co_await std::move(filling);
  EXPECT_TRUE(S_ISDIR(status->stx_mode));
}

sim::WorldOptions with_slow_helpers() {
  sim::WorldOptions options;
  options.faults[sim::Fault::slow_uncancellable] = {.one_in = 1, .budget = 100};
  return options;
}

TEST(SimMemory, of_a_status_belongs_to_the_program_when_it_is_there) {
  EXPECT_EQ(sim::World(with_slow_helpers()).run(looks_at_a_status(false)).failure, "");
}

// A buffer that was given back is the kernel's: a view of it that was kept is a mistake.
Task<void> keeps_a_view(bool looks_too_late) {
  Receiving all;
  BufferPool pool = BufferPool::create({.count = 2, .size = 64}).value();
  RecvStream stream(all.pair.second.fd(), pool);
  std::span<const std::byte> view;
  for (int i = 0; i < 5; ++i) {
    co_await send_something(all);
    const auto lent = co_await stream.next();
    EXPECT_TRUE(lent.has_value());
    view = lent->bytes();
    EXPECT_EQ(view[3], std::byte{4});
  }
  if (looks_too_late) {
    EXPECT_EQ(view[3], std::byte{4});  // the mistake
  }
}

TEST(SimMemory, of_buffers_is_lent_to_the_program) {
  EXPECT_EQ(sim::World().run(keeps_a_view(false)).failure, "");
}

Task<void> frees_too_early() {
  Receiving all;
  auto receiving = spawn(receives(all));
  (void)co_await sleep_for(1ms);
  all.memory.reset();  // the mistake
  co_await send_something(all);
  co_await std::move(receiving);
}

class SimMemoryDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kernel_memory::is_watched) GTEST_SKIP() << "only the address sanitizer sees it";
  }
};

TEST_F(SimMemoryDeathTest, of_a_receive_in_flight_is_not_read) {
  EXPECT_DEATH((void)sim::World().run(looks_too_early(false)), "use-after-poison");
}

TEST_F(SimMemoryDeathTest, of_two_receives_is_not_read_after_the_first_end) {
  EXPECT_DEATH((void)sim::World().run(looks_too_early(true)), "use-after-poison");
}

TEST_F(SimMemoryDeathTest, of_a_status_is_not_read_before_it_is_there) {
  EXPECT_DEATH((void)sim::World(with_slow_helpers()).run(looks_at_a_status(true)), "use-after-poison");
}

TEST_F(SimMemoryDeathTest, of_a_buffer_that_was_given_back_is_not_read) {
  EXPECT_DEATH((void)sim::World().run(keeps_a_view(true)), "use-after-poison");
}

TEST_F(SimMemoryDeathTest, of_a_receive_in_flight_is_not_freed) {
  EXPECT_DEATH((void)sim::World().run(frees_too_early()), "heap-use-after-free");
}

}  // namespace
}  // namespace corering
