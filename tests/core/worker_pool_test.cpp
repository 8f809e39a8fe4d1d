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

// ---- a pool that does not come up ----

/// Gives no ring to the second worker that asks.
struct OneRing : test::FaultyKernel {
  std::atomic<int> rings = 0;
  OneRing() {
    on_open_ring = [this](const RingParams&) { return ++rings == 2 ? -ENOMEM : 0; };
  }
};
Task<void> visits(Worker& other, std::error_code& told) {
  const Result<void> went = co_await async_nop().on(other);
  told = went ? std::error_code() : went.error();
}
TEST(WorkerPool, that_does_not_come_up_ends_tasks_that_wait_for_workers_that_never_ran) {
  OneRing kernel;
  WorkerPool pool({.workers = 3, .worker = {.kernel = &kernel}});
  std::error_code told;
  const Result<void> started = pool.start([&](Worker& worker, std::size_t index) {
    if (index == 0) worker.spawn(visits(pool[2], told)).value().detach();
  });
  EXPECT_EQ(started.error(), std::errc::not_enough_memory);
  EXPECT_EQ(told, std::errc::operation_canceled);
}
TEST(WorkerPool, whose_callback_throws_ends_them_too) {
  std::error_code told;
  {
    WorkerPool pool({.workers = 3});
    const auto start = [&] {
      return pool.start([&](Worker& worker, std::size_t index) {
        if (index == 0) worker.spawn(visits(pool[2], told)).value().detach();
        if (index == 1) throw std::runtime_error("no database");
      });
    };
    EXPECT_THROW((void)start(), std::runtime_error);
  }
  EXPECT_EQ(told, std::errc::operation_canceled);
}

}  // namespace
}  // namespace corering
