/// worker_pool_test.cpp — many workers, one start and one end.
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/tasks.hpp"
#include "support/working.hpp"

namespace corering {
namespace {

using test::nothing;
using test::which_thread;

using test::RunningWorker;
using namespace std::chrono_literals;

TEST(WorkerPool, starts_every_worker_with_its_number) {
  WorkerPool pool({.workers = 3});
  std::atomic<unsigned> seen = 0;
  ASSERT_TRUE(pool.start([&](Worker&, std::size_t i) { seen |= 1U << i; }));
  EXPECT_EQ(seen, 0b111U);
  EXPECT_NE(&pool.next(), &pool.next());
}

TEST(WorkerPool, pins_and_names_its_workers) {
  WorkerPool pool({.workers = 2, .pin = true, .worker = {.name = "pool"}});
  ASSERT_TRUE(pool.start());
  auto name = []() -> Task<std::string> {
    std::array<char, 16> text{};
    pthread_getname_np(pthread_self(), text.data(), text.size());
    co_return std::string(text.data());
  };
  EXPECT_EQ(sync_wait(*pool[1].spawn(name())), "pool/1");
}

TEST(WorkerPool, stops_the_others_when_one_cannot_start) {
  test::FaultyKernel kernel;
  std::atomic<int> rings = 0;
  kernel.on_open_ring = [&](const RingParams&) { return ++rings == 2 ? -ENOMEM : 0; };
  WorkerPool pool({.workers = 3, .worker = {.kernel = &kernel}});
  EXPECT_EQ(pool.start().error(), std::errc::not_enough_memory);
  EXPECT_FALSE(pool[0].spawn(nothing()));
}

}  // namespace
}  // namespace corering
