/// loop_test.cpp — one turn has more operations than the ring holds.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::turns;

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

TEST(Loop, takes_ten_times_the_queue_in_one_turn) {
  const auto many = []() -> Task<void> {
    std::vector<JoinHandle<void>> running;
    for (int i = 0; i < 40; ++i) running.push_back(spawn(turns(3)));
    for (auto& one : running) co_await std::move(one);
  };
  run_on_a_worker_here(many(), {.sq_entries = 4, .cq_entries = 8});
}

}  // namespace
}  // namespace corering
