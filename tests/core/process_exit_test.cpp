/// process_exit_test.cpp — exit() in a task ends the process, whatever is running.
#include <cstdlib>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

Task<void> exits() {
  (void)co_await async_nop();
  std::exit(7);
}
Task<void> sleeps() { (void)co_await sleep_for(Duration::max()); }

void expect_exit(void (*story)()) { EXPECT_EXIT(story(), testing::ExitedWithCode(7), "^$"); }

TEST(ExitDeathTest, in_the_task_of_main_ends_the_process) {
  expect_exit([] { (void)run(exits()); });
}

TEST(ExitDeathTest, in_a_task_of_another_thread_ends_the_process) {
  expect_exit([] {
    Worker worker;
    (void)worker.start();
    worker.spawn(sleeps())->detach();
    sync_wait(*worker.spawn(exits()));
  });
}

TEST(ExitDeathTest, leaves_a_static_worker_to_the_system) {
  expect_exit([] {
    (void)run(test::nothing());  // a worker that was there before makes no difference
    static Worker worker;
    (void)worker.start();
    worker.spawn(sleeps())->detach();
    sync_wait(*worker.spawn(exits()));
  });
}

TEST(ExitDeathTest, leaves_a_static_pool_and_its_server_to_the_system) {
  expect_exit([] {
    static WorkerPool pool({.workers = 2, .worker = {}});
    (void)pool.start();
    const auto answers = [](TcpStream stream) -> Task<void> {
      (void)stream;
      co_await exits();
    };
    static Result<TcpServer> server = serve(pool, Address::loopback(0), answers);
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    (void)::connect(client.get(), server->address().get(), server->address().length());
    char byte = 0;
    (void)!::read(client.get(), &byte, 1);
    for (;;) ::pause();
  });
}

}  // namespace
}  // namespace corering
