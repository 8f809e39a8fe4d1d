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

TEST_F(SimMemoryDeathTest, of_a_receive_in_flight_is_not_freed) {
  EXPECT_DEATH((void)sim::World().run(frees_too_early()), "heap-use-after-free");
}

}  // namespace
}  // namespace corering
