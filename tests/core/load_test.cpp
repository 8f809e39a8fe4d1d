/// load_test.cpp — many posts, many operations, many neighbours.
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::RunningWorker;
using namespace std::chrono_literals;

// ---- posts ----

Task<void> post_once(Worker& worker, std::atomic<std::uint64_t>& arrived) {
  const Result<void> hopped = co_await SwitchToWorker(worker);
  if (hopped) arrived.fetch_add(1, std::memory_order_relaxed);
}

/// A coroutine that is posted again and again without a new frame. It resumes on the worker, says so, and
/// waits for the next post.
class Reposted {
 public:
  explicit Reposted(std::atomic<std::uint64_t>& arrivals) : body_(count(arrivals, here_)) {
    node_.coroutine = body_.handle;
  }
  Reposted(Reposted&&) = delete;
  ~Reposted() { body_.handle.destroy(); }

  /// Returns true when the last post has arrived.
  [[nodiscard]] bool idle() const noexcept { return here_.load(std::memory_order_acquire); }
  [[nodiscard]] bool post_to(Worker& worker) noexcept {
    here_.store(false, std::memory_order_relaxed);
    return post(worker.loop(), node_);
  }

 private:
  struct Body {
    struct promise_type {
      Body get_return_object() noexcept {
        return Body(std::coroutine_handle<promise_type>::from_promise(*this));
      }
      std::suspend_always initial_suspend() const noexcept { return {}; }
      std::suspend_always final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      void unhandled_exception() const noexcept { std::terminate(); }
    };
    explicit Body(std::coroutine_handle<promise_type> handle) noexcept : handle(handle) {}
    std::coroutine_handle<promise_type> handle;
  };
  // The flag is set when the coroutine is suspended again. Only then may another thread post it.
  struct Arrive {
    explicit Arrive(std::atomic<bool>& here) noexcept : here(here) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {
      here.store(true, std::memory_order_release);
    }
    void await_resume() const noexcept {}
    std::atomic<bool>& here;
  };
  static Body count(std::atomic<std::uint64_t>& arrivals, std::atomic<bool>& here) {
    for (;;) {
      arrivals.fetch_add(1, std::memory_order_relaxed);
      co_await Arrive(here);
    }
  }

  std::atomic<bool> here_ = true;
  PostNode node_;
  Body body_;
};

// There are bursts with pauses in between, so that the workers fall asleep again and again. The watchdog is
// CTest's time limit.
TEST(Posts, from_four_threads_to_two_sleepy_workers_all_arrive_once) {
  constexpr std::uint64_t total = test::under_tsan ? 200'000 : 10'000'000;
  constexpr std::uint64_t per_thread = total / 4;
  std::array<std::atomic<std::uint64_t>, 4> arrived{};
  {
    RunningWorker first, second;
    std::vector<std::thread> posters;
    for (unsigned id = 0; id < 4; ++id) {
      posters.emplace_back([&, id] {
        std::vector<std::unique_ptr<Reposted>> coroutines;
        for (int i = 0; i < 64; ++i) coroutines.push_back(std::make_unique<Reposted>(arrived[id]));
        std::uint64_t posted = 0;
        std::uint64_t next_pause = 1000 + id * 100;
        for (std::size_t at = 0; posted < per_thread; at = (at + 1) % coroutines.size()) {
          while (!coroutines[at]->idle()) std::this_thread::yield();
          ASSERT_TRUE(coroutines[at]->post_to(posted % 2 == 0 ? first.worker : second.worker));
          if (++posted == next_pause) {  // the pauses are a part of the load
            std::this_thread::sleep_for(50us);
            next_pause += 20'000;
          }
        }
        for (const auto& coroutine : coroutines) {
          while (!coroutine->idle()) std::this_thread::yield();
        }
      });
    }
    for (std::thread& poster : posters) poster.join();
  }
  for (const auto& mine : arrived) EXPECT_EQ(mine, per_thread);
}

TEST(Posts, one_at_a_time_to_a_worker_that_sleeps_after_each) {
  std::atomic<std::uint64_t> arrived = 0;
  RunningWorker running;
  constexpr std::uint64_t count = test::under_tsan ? 2'000 : 20'000;
  for (std::uint64_t i = 0; i < count; ++i) sync_wait(post_once(running.worker, arrived));
  EXPECT_EQ(arrived, count);
}

Task<void> count_up(std::uint64_t& count) {
  ++count;
  co_return;
}
Task<void> spawn_many(std::uint64_t many, std::uint64_t& ran) {
  for (std::uint64_t i = 0; i < many; ++i) spawn(count_up(ran)).detach();
  co_return;
}

TEST(Posts, a_worker_can_flood_itself) {
  constexpr std::uint64_t many = test::under_tsan ? 50'000 : 1'000'000;
  std::uint64_t ran = 0;
  {
    RunningWorker running;
    sync_wait(*running.worker.spawn(spawn_many(many, ran)));
  }
  EXPECT_EQ(ran, many);
}

// ---- more operations than the rings hold ----

Task<void> nop_and_count(int& done) {
  const Result<void> completed = co_await async_nop();
  if (completed) ++done;
}
Task<void> many_at_once(int many, int& done) {
  std::vector<JoinHandle<void>> running;
  for (int i = 0; i < many; ++i) running.push_back(spawn(nop_and_count(done)));
  for (auto& one : running) co_await std::move(one);
}

TEST(Operations, ten_times_the_submission_queue_in_one_turn_all_complete) {
  int done = 0;
  test::run_on_a_worker_here(many_at_once(2560, done));
  EXPECT_EQ(done, 2560);
}

TEST(Operations, tiny_rings_only_make_it_slower) {
  int done = 0;
  test::run_on_a_worker_here(many_at_once(1000, done), {.sq_entries = 4, .cq_entries = 8});
  EXPECT_EQ(done, 1000);
}

Task<void> receive_one(int fd, int& received) {
  std::array<std::byte, 1> buffer;
  const Result<std::size_t> got = co_await async_recv(fd, buffer);
  if (got && *got == 1) ++received;
}
Task<void> receive_everywhere(std::vector<test::SocketPair>& pairs, int& received) {
  std::vector<JoinHandle<void>> running;
  for (auto& pair : pairs) running.push_back(spawn(receive_one(pair.ours.get(), received)));
  (void)co_await async_nop();
  for (auto& pair : pairs) EXPECT_EQ(::write(pair.theirs.get(), "x", 1), 1);
  for (auto& one : running) co_await std::move(one);
}

// There are more completions than the CQ holds at once. The kernel keeps the rest, and we fetch them.
TEST(Operations, a_completion_queue_that_overflows_loses_nothing) {
  std::vector<test::SocketPair> pairs(100);
  int received = 0;
  test::run_on_a_worker_here(receive_everywhere(pairs, received), {.sq_entries = 4, .cq_entries = 8});
  EXPECT_EQ(received, 100);
}

Task<void> many_nops(int count) {
  for (int i = 0; i < count; ++i) EXPECT_TRUE(co_await async_nop());
}
TEST(Operations, a_million_in_a_row_do_not_grow_the_stack) {
  test::run_on_a_worker_here(many_nops(test::under_tsan ? 100'000 : 1'000'000));
}

// A refused operation is answered without the kernel. There is still one resume per turn, not one inside the
// other.
Task<void> many_refused(int& refused) {
  Worker::current()->request_stop();
  (void)co_await sleep_for(1h);
  for (int i = 0; i < 1'000'000; ++i) {
    const Result<void> answer = co_await async_nop();
    if (!answer) ++refused;
  }
}
TEST(Operations, a_million_refused_ones_do_not_grow_the_stack) {
  int refused = 0;
  {
    RunningWorker running;
    sync_wait(*running.worker.spawn(many_refused(refused)));
  }
  EXPECT_EQ(refused, 1'000'000);
}

Task<void> nothing() { co_return; }
// This task is always ready, because each join is answered in the same turn.
Task<void> always_ready(const bool& stop) {
  while (!stop) {
    co_await spawn(nothing());
  }
}
Task<void> timer_and_io(bool& stop, int& nops) {
  for (int i = 0; i < 5; ++i) {
    (void)co_await sleep_for(10ms);
    const Result<void> completed = co_await async_nop();
    if (completed) ++nops;
  }
  stop = true;
}
Task<void> noisy_neighbours(int& nops) {
  bool stop = false;
  JoinHandle<void> first = spawn(always_ready(stop));
  JoinHandle<void> second = spawn(always_ready(stop));
  co_await timer_and_io(stop, nops);
  co_await std::move(first);
  co_await std::move(second);
}
TEST(Fairness, coroutines_that_are_always_ready_starve_neither_timer_nor_io) {
  int nops = 0;
  test::run_on_a_worker_here(noisy_neighbours(nops));
  EXPECT_EQ(nops, 5);
}

}  // namespace
}  // namespace corering
