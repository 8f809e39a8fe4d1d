/// loop_test.cpp — one turn has more operations than the ring holds.
#include <vector>

#include "support/story.hpp"

namespace corering {
namespace {

Task<void> goes_to_the_kernel(int times, int& answered) {
  for (int i = 0; i < times; ++i) {
    const Result<void> done = co_await async_nop();
    if (done) ++answered;
  }
}

Task<void> many_at_once(int tasks, int& answered) {
  std::vector<JoinHandle<void>> running;
  for (int i = 0; i < tasks; ++i) running.push_back(spawn(goes_to_the_kernel(3, answered)));
  for (auto& one : running) co_await std::move(one);
}

TEST(Loop, takes_ten_times_the_queue_in_one_turn) {
  int answered = 0;
  test::run_on_a_worker_here(many_at_once(40, answered), {.sq_entries = 4, .cq_entries = 8});
  EXPECT_EQ(answered, 40 * 3);
}

}  // namespace
}  // namespace corering
