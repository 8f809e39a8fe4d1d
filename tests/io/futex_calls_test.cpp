/// futex_calls_test.cpp — waiting for a word of memory.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using test::error_of;
using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> wakes_everybody() {
  std::atomic<std::uint32_t> word = 0;
  std::vector<JoinHandle<std::error_code>> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(spawn(error_of(async_futex_wait(word, 0))));
  co_await turns(2);
  const Result<unsigned> woken = co_await async_futex_wake(word, UINT32_MAX);
  EXPECT_EQ(woken, 3U);
  for (auto& one : waiting) (void)co_await std::move(one);
}

TEST(Futex, wakes_everybody_who_waits) {
  if (!test::kernel_has(Opcode::futex_wait)) GTEST_SKIP() << Need(Opcode::futex_wait).unmet().message();
  run_on_a_worker_here(wakes_everybody());
}

}  // namespace
}  // namespace corering
