/// fork_test.cpp — what a forked child does to the workers of its parent: nothing.
#include <sys/wait.h>
#include <unistd.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

/// Forks, lets the child do `act`, and returns how the child ended.
int status_of_child(const std::function<void()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    act();
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(Fork, leaves_a_worker_to_the_parent) {
  std::optional<Worker> worker(std::in_place);
  ASSERT_TRUE(worker->start());
  EXPECT_EQ(status_of_child([&worker] {
              worker->request_stop();
              worker.reset();  // as exit() destroys what is static
            }),
            0);
  EXPECT_EQ(sync_wait(worker->spawn(test::just(7)).value()), 7) << "it goes on, and then it ends";
}

TEST(Fork, leaves_a_pool_to_the_parent) {
  std::optional<WorkerPool> pool(std::in_place, WorkerPoolOptions{.workers = 2});
  ASSERT_TRUE(pool->start());
  EXPECT_EQ(status_of_child([&pool] { pool.reset(); }), 0);
}

TEST(Fork, lets_a_child_make_its_own_worker) {
  if (test::under_tsan) GTEST_SKIP() << "the thread sanitizer lets no forked child start threads";
  Worker worker;
  ASSERT_TRUE(worker.start());
  EXPECT_EQ(status_of_child([] {
              Worker own;
              if (!own.start() || sync_wait(own.spawn(test::just(3)).value()) != 3) ::_exit(1);
            }),
            0);
}

// Whoever has the descriptor can write to it, for example a child that was forked by other means.
TEST(Fork, and_strangers_who_write_to_the_eventfd_do_not_hold_up_the_end) {
  struct Noting : Kernel {
    Kernel& real = default_kernel();
    int eventfd = -1;
    int open_ring(RingParams& p, std::unique_ptr<KernelRing>& r) noexcept override {
      return real.open_ring(p, r);
    }
    int open_eventfd() noexcept override { return eventfd = real.open_eventfd(); }
    int wake(int fd) noexcept override { return real.wake(fd); }
    void nap(Duration d) noexcept override { real.nap(d); }
    void close(int fd) noexcept override { real.close(fd); }
    TimePoint now() const noexcept override { return real.now(); }
  } kernel;
  Worker worker({.kernel = &kernel});
  ASSERT_TRUE(worker.start());
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(kernel.real.wake(kernel.eventfd), 0);
    EXPECT_EQ(sync_wait(worker.spawn(test::just(i)).value()), i);
  }
  worker.request_stop();
  worker.join();
}

TEST(ForkDeathTest, says_that_a_child_may_not_post_to_the_parents_worker) {
  const auto posts_in_a_child = [] {
    Worker worker;
    if (!worker.start()) return;
    for (int i = 0; i < 1000; ++i) {  // until the worker sleeps when we fork
      const int status = status_of_child([&worker] { (void)worker.spawn(test::nothing()); });
      if (WIFSIGNALED(status)) std::abort();
    }
  };
  EXPECT_DEATH(posts_in_a_child(), "after fork\\(\\): the child may only call exec or _exit");
}

}  // namespace
}  // namespace corering
