/// signals_test.cpp — signals are awaited on a worker.
#include <csignal>
#include <fcntl.h>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using test::RunningWorker;

Task<void> takes_signals(Signals& signals, std::vector<int>& taken, OneShot& first) {
  for (int i = 0; i < 2; ++i) {
    const Result<int> signal = co_await signals.next();
    EXPECT_TRUE(signal);
    if (signal) taken.push_back(*signal);
    if (i == 0) first.set();
  }
  const Result<int> cut = co_await with_timeout(1ms, signals.next());
  EXPECT_EQ(cut.error(), std::errc::timed_out);
}

TEST(Signals, are_awaited) {
  Result<Signals> signals = Signals::block({SIGUSR1, SIGUSR2});
  ASSERT_TRUE(signals);
  ::kill(::getpid(), SIGUSR2);
  std::vector<int> taken;
  OneShot first;
  test::FaultyKernel kernel;
  std::jthread sender([&first, &kernel] {
    first.wait();  // if two signals are there, the lower number comes first
    kernel.wait_until_asleep();
    ::kill(::getpid(), SIGUSR1);
  });
  test::run_on_a_worker_here(takes_signals(*signals, taken, first), {.kernel = &kernel});
  EXPECT_EQ(taken, (std::vector<int>{SIGUSR2, SIGUSR1}));
}

TEST(Signals, that_do_not_exist_are_refused) {
  EXPECT_EQ(Signals::block({SIGUSR1, 12345}).error(), std::errc::invalid_argument);
}

Task<void> dumps_and_stops(Signals& signals, std::span<Worker* const> workers, int output, int input,
                           std::string& text) {
  JoinHandle<void> dumping = spawn(dump_tasks_on(signals, workers, output));
  ::kill(::getpid(), SIGUSR1);
  std::array<std::byte, 4096> buffer;
  const Result<std::size_t> got = co_await async_read(input, buffer, current_position);
  EXPECT_TRUE(got);
  if (got) text.assign(reinterpret_cast<const char*>(buffer.data()), *got);
  dumping.request_cancel();
  co_await std::move(dumping);
}

TEST(Signals, make_a_dump_of_every_worker) {
  Result<Signals> signals = Signals::block({SIGUSR1});
  ASSERT_TRUE(signals);
  std::array<int, 2> fds{};
  ASSERT_EQ(::pipe2(fds.data(), O_CLOEXEC), 0);
  const Fd reader(fds[0]);
  const Fd writer(fds[1]);
  RunningWorker other({.name = "other"});
  Worker* const workers[] = {&other.worker};
  std::string text;
  test::run_on_a_worker_here(dumps_and_stops(*signals, workers, writer.get(), reader.get(), text));
  EXPECT_TRUE(text.starts_with("worker other: 0 tasks")) << text;
}

TEST(Signals, are_refused_when_another_thread_would_get_them) {
  OneShot begin, end;
  std::thread other([&begin, &end] {
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);  // whatever this thread has inherited
    begin.set();
    end.wait();
  });
  begin.wait();
  const Result<Signals> signals = Signals::block({SIGHUP});
  EXPECT_EQ(signals.error(), make_error_code(SignalsErrc::threads_run_already)) << signals.error().message();
  EXPECT_EQ(signals.error(), std::errc::operation_not_permitted);
  sigset_t now;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
  EXPECT_EQ(::sigismember(&now, SIGHUP), 0) << "and this thread is as before";
  end.set();
  other.join();
}

Task<void> blocks_next_to(BlockingPool& pool) {
  const auto entries = co_await list_directory(pool, "/");  // now the pool has a thread
  EXPECT_TRUE(entries);
  const Result<Signals> signals = Signals::block({SIGWINCH});
  EXPECT_TRUE(signals) << signals.error().message();
}

TEST(Signals, may_be_blocked_next_to_threads_that_block_them) {
  BlockingPool pool;
  test::run_on_a_worker_here(blocks_next_to(pool));
}

}  // namespace
}  // namespace corering
