/// heap_test.cpp — what the library does not allocate. This is a separate program, because it counts every
/// allocation.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace {
std::atomic<std::uint64_t> allocations = 0;
}

#if defined(CORERING_TEST_TSAN) || defined(__SANITIZE_ADDRESS__) || defined(CORERING_TEST_ASAN)
// The sanitizers bring their own operator new, and call this hook after every malloc.
extern "C" void __sanitizer_malloc_hook(const volatile void*, std::size_t) {
  allocations.fetch_add(1, std::memory_order_relaxed);
}
#else
// It is not inlined. Otherwise g++ sees a free() of what operator new returned, and takes that for a
// mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace corering {
namespace {

using test::RunningWorker;

TEST(Heap, is_really_counted) {
  const std::uint64_t before = allocations;
  const auto one = std::make_unique<std::string>(100, 'x');
  EXPECT_EQ(allocations - before, 2U) << one->size();
}

Task<void> post_once(Worker& worker, std::atomic<std::uint64_t>& arrived) {
  const Result<void> hopped = co_await SwitchToWorker(worker);
  if (hopped) arrived.fetch_add(1, std::memory_order_relaxed);
}
Task<void> count_up(std::uint64_t& count) {
  ++count;
  co_return;
}

Task<void> mixed_operations(int fd, int count) {
  std::array<std::byte, 64> buffer;
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(co_await async_nop());
    EXPECT_TRUE(co_await async_read(fd, buffer, 0));
    EXPECT_TRUE(co_await sleep_for(Duration(1)));
  }
}

Task<void> warm_then_count(int fd, std::uint64_t& counted) {
  co_await mixed_operations(fd, 50);
  const std::uint64_t before = allocations;
  co_await mixed_operations(fd, 2000);
  counted = allocations - before;
}

TEST(Heap, an_awaited_operation_allocates_nothing) {
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::uint64_t counted = 1;
  test::run_on_a_worker_here(warm_then_count(file.get(), counted));
  EXPECT_EQ(counted, 0U);
}

TEST(Heap, a_hop_allocates_nothing) {
  RunningWorker running;
  std::atomic<std::uint64_t> arrived = 0;
  const auto hop = [&](int count) {
    for (int i = 0; i < count; ++i) {
      sync_wait(post_once(running.worker, arrived));
      sync_wait(async_nop().on(running.worker));
    }
  };
  hop(1000);
  const std::uint64_t before = allocations;
  hop(1000);
  EXPECT_EQ(allocations - before, 0U);
}

// ---- combinators, deadlines, locks ----

// This holds even the first time: only the ready queue and the timer heap must be warmed up.
Task<void> combine(int fd, std::uint64_t& counted) {
  std::array<std::byte, 64> first, second;
  Mutex mutex;
  Event event(true);
  (void)co_await sleep_for(Duration(1));
  // Without optimization, the first use of an error's category registers a destructor that does nothing.
  (void)co_await with_timeout(Duration(1), sleep_for(std::chrono::hours(1)));
  const std::uint64_t before = allocations;
  for (int i = 0; i < 100; ++i) {
    const auto [one, two, nop] =
        co_await when_all(async_read(fd, first, 0), async_read(fd, second, 64), async_nop());
    EXPECT_TRUE(one && two && nop);
    const auto any = co_await when_any(async_nop(), async_read(fd, first, 0), sleep_until(TimePoint::max()));
    EXPECT_NE(any.index, 2U);
    EXPECT_TRUE(co_await with_timeout(std::chrono::hours(1), async_read(fd, first, 0)));
    EXPECT_TRUE(co_await with_deadline(TimePoint::max(), async_nop()));
    EXPECT_TRUE(co_await shield(async_nop()));
    const Result<Mutex::Guard> guard = co_await mutex.lock();
    EXPECT_TRUE(co_await event.wait());
    const Result<Mutex::Guard> cut = co_await with_timeout(Duration(1), mutex.lock());
    EXPECT_FALSE(cut) << "locked, and a deadline that passes";
  }
  counted = allocations - before;
}
TEST(Heap, combinators_of_operations_deadlines_and_locks_allocate_nothing) {
  NEEDS_IO_URING("the emulated one keeps what waits on the heap");
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::uint64_t counted = 1;
  test::run_on_a_worker_here(combine(file.get(), counted));
  EXPECT_EQ(counted, 0U);
}

Task<void> hold(OneShot& gate) {
  gate.wait();
  co_return;
}

// The worker is held until all tasks are posted, so every flood needs the same number of frames. Later floods
// reuse the frames of the first one. Only what the two threads keep back can be missing: at most two
// magazines of 62 each for each of two sizes of frame, and some magazines.
TEST(Heap, tasks_that_are_born_here_and_die_there_reuse_a_bounded_number_of_frames) {
  RunningWorker running;
  std::uint64_t ran = 0;
  const auto flood = [&] {
    OneShot gate;
    auto held = running.worker.spawn(hold(gate));
    for (int i = 0; i < 2000; ++i) running.worker.spawn(count_up(ran))->detach();
    auto last = running.worker.spawn(count_up(ran));
    gate.set();
    sync_wait(std::move(*held));
    sync_wait(std::move(*last));
  };
  flood();
  const std::uint64_t before = allocations;
  for (int i = 0; i < 200; ++i) flood();
  EXPECT_LE(allocations - before, 2U * 2 * 2 * 62 + 64) << "for 400,000 tasks";
}

}  // namespace
}  // namespace corering
