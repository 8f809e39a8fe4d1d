/// worker_test.cpp — the life of a worker: started, stepped, never started, stopped.
#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <sys/stat.h>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/tasks.hpp"
#include "support/working.hpp"

namespace corering {
namespace {

using test::nothing;
using test::tells;
using test::which_thread;

using test::RunningWorker;
using namespace std::chrono_literals;

TEST(Worker, runs_its_init_callback_on_its_own_thread_before_start_returns) {
  Worker worker;
  std::thread::id ran_on;
  Worker* current = nullptr;
  ASSERT_TRUE(worker.start([&](Worker&) {
    ran_on = std::this_thread::get_id();
    current = Worker::current();
  }));
  EXPECT_NE(ran_on, std::thread::id());
  EXPECT_NE(ran_on, std::this_thread::get_id());
  EXPECT_EQ(current, &worker);
  EXPECT_EQ(Worker::current(), nullptr);
}

TEST(Worker, takes_durations_in_any_unit) {
  Worker worker({.spin_before_sleep = std::chrono::hours::max(), .stop_patience = std::chrono::hours::max()});
  ASSERT_TRUE(worker.start());
  EXPECT_TRUE(worker.dump_tasks(std::chrono::hours::max()));
  sync_wait(*worker.spawn(nothing()));
}

TEST(Worker, a_turn_of_unlimited_patience_sleeps_until_something_comes) {
  Worker worker;
  const auto stops_later = []() -> Task<void> {
    (void)co_await sleep_for(20ms);
    Worker::current()->request_stop();
  };
  worker.spawn(stops_later())->detach();
  int turns = 0;
  while (worker.turn(std::chrono::hours::max()).value_or(false)) ++turns;
  EXPECT_LT(turns, 50) << "it does not turn round and round";
}

TEST(Worker, starts_coroutines_from_the_init_callback_without_a_hop) {
  std::thread::id callback_thread, coroutine_thread;
  auto note = [](std::thread::id& id) -> Task<void> {
    id = std::this_thread::get_id();
    co_return;
  };
  {
    Worker worker;
    ASSERT_TRUE(worker.start([&](Worker&) {
      callback_thread = std::this_thread::get_id();
      spawn(note(coroutine_thread)).detach();
    }));
  }
  EXPECT_EQ(coroutine_thread, callback_thread);
}

TEST(Worker, passes_on_what_its_init_callback_throws_and_ends) {
  Worker worker;
  EXPECT_THROW((void)worker.start([](Worker&) { throw std::runtime_error("from init"); }),
               std::runtime_error);
  EXPECT_FALSE(worker.spawn(nothing()));
}

TEST(Worker, run_on_the_callers_thread_ends_when_stopped) {
  Worker worker;
  bool ran = false;
  auto stops = [](Worker& own, bool& flag) -> Task<void> {
    flag = true;
    own.request_stop();
    co_return;
  };
  EXPECT_TRUE(worker.run([&](Worker& own) { spawn(stops(own, ran)).detach(); }));
  EXPECT_TRUE(ran);
}

Task<void> one_nop(bool& done) {
  EXPECT_TRUE(co_await async_nop());
  done = true;
}

TEST(Worker, can_be_stepped_turn_by_turn) {
  bool done = false;
  Worker worker;
  auto handle = worker.spawn(one_nop(done));
  ASSERT_TRUE(handle);
  int turns = 0;
  while (!done && turns < 100) {
    const Result<bool> alive = worker.turn();
    ASSERT_TRUE(alive && *alive);
    ++turns;
  }
  EXPECT_TRUE(done);
  EXPECT_LE(turns, 3);
  worker.request_stop();
  for (int i = 0; i < 100; ++i) {
    if (!*worker.turn(1ms)) return;
  }
  FAIL() << "a stopped worker goes on for ever";
}

TEST(Worker, an_idle_turn_sleeps_no_longer_than_its_patience) {
  Worker worker;
  ASSERT_TRUE(worker.turn());
  const TimePoint begin = os::now();
  ASSERT_TRUE(worker.turn(20ms));
  EXPECT_GE(os::now() - begin, 20ms);
}

Task<void> expect_current(Worker& worker, int& right) {
  for (int i = 0; i < 3; ++i) {
    const Result<void> completed = co_await async_nop();
    if (completed && Worker::current() == &worker) ++right;
  }
}

TEST(Worker, two_of_them_can_be_stepped_by_one_thread) {
  int right = 0;
  Worker first, second;
  first.spawn(expect_current(first, right))->detach();
  second.spawn(expect_current(second, right))->detach();
  for (int turn = 0; turn < 20; ++turn) {
    ASSERT_TRUE(first.turn() && second.turn());
    EXPECT_EQ(Worker::current(), nullptr) << "between the turns the thread has no worker";
  }
  EXPECT_EQ(right, 6);
}

Task<void> runs_another_worker(bool& ran) {
  Worker* const outer = Worker::current();
  Worker inner;
  auto stops = [](Worker& own, bool& flag) -> Task<void> {
    flag = (co_await async_nop()).has_value();
    own.request_stop();
  };
  EXPECT_TRUE(inner.run([&](Worker& own) { spawn(stops(own, ran)).detach(); }));
  EXPECT_EQ(Worker::current(), outer);
  EXPECT_TRUE(co_await async_nop());
}

TEST(Worker, can_run_inside_a_coroutine_of_another) {
  bool ran = false;
  test::run_on_a_worker_here(runs_another_worker(ran));
  EXPECT_TRUE(ran);
}

TEST(WorkerDeathTest, a_second_life_is_refused_with_advice) {
  EXPECT_DEATH(
      {
        Worker worker;
        (void)worker.start();
        worker.request_stop();
        worker.join();
        (void)worker.start();
      },
      "lives once.*worker_test\\.cpp");
}

TEST(WorkerDeathTest, stepping_a_worker_that_has_its_own_thread_is_refused) {
  EXPECT_DEATH(
      {
        Worker worker;
        (void)worker.start();
        (void)worker.turn();
      },
      "call it on one thread only.*worker_test\\.cpp");
}

TEST(Worker, takes_a_submission_queue_larger_than_the_usual_completion_queue) {
  bool done = false;
  test::run_on_a_worker_here(one_nop(done), {.sq_entries = 8192});
  EXPECT_TRUE(done);
}

TEST(Worker, is_pinned_where_asked) {
  RunningWorker running({.cpu = 0});
  auto processors = []() -> Task<int> {
    cpu_set_t set{};
    sched_getaffinity(0, sizeof set, &set);
    co_return CPU_ISSET(0, &set) ? CPU_COUNT(&set) : 0;
  };
  EXPECT_EQ(sync_wait(*running.worker.spawn(processors())), 1);
}

TEST(Worker, carries_its_name) {
  RunningWorker running({.name = "a-name-longer-than-fifteen"});
  auto name = []() -> Task<std::string> {
    std::array<char, 16> text{};
    pthread_getname_np(pthread_self(), text.data(), text.size());
    co_return std::string(text.data());
  };
  EXPECT_EQ(sync_wait(*running.worker.spawn(name())), "a-name-longer-t");
}

TEST(WorkerDeathTest, joining_itself_ends_the_program_with_advice) {
  EXPECT_DEATH(
      {
        Worker worker;
        (void)worker.run([](Worker& own) { own.join(); });
      },
      "cannot wait for itself.*worker_test\\.cpp");
}

TEST(NeverStarted, destroys_cleanly_and_closes_nothing) {
  const int descriptors = test::open_descriptors();
  {
    const Worker worker;
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
  EXPECT_GE(::fcntl(0, F_GETFD), 0);
}

// Spawned tasks run in order. So when the second one has ended, the first one has posted its hop.
TEST(NeverStarted, tells_a_coroutine_that_hopped_to_it) {
  Result<void> told;
  {
    RunningWorker elsewhere;
    Worker never;
    elsewhere.worker.spawn(tells(told, never))->detach();
    sync_wait(*elsewhere.worker.spawn(nothing()));
  }
  ASSERT_FALSE(told);
  EXPECT_EQ(told.error(), std::errc::operation_canceled);
}

Task<void> nop_over_there(Worker& there, Result<void>& told, Worker*& ended_on) {
  told = co_await async_nop().on(there);
  ended_on = Worker::current();
}

// The thread that destroys the worker gives the refusal. The coroutine still goes home with it.
TEST(NeverStarted, sends_a_coroutine_of_another_worker_home) {
  Result<void> told;
  Worker* ended_on = nullptr;
  RunningWorker home;
  std::optional<JoinHandle<void>> away;
  {
    Worker never;
    away = std::move(*home.worker.spawn(nop_over_there(never, told, ended_on)));
    sync_wait(*home.worker.spawn(nothing()));
  }
  sync_wait(std::move(*away));
  EXPECT_EQ(told.error(), std::errc::operation_canceled);
  EXPECT_EQ(ended_on, &home.worker);
}

TEST(NeverStarted, runs_spawned_tasks_with_every_operation_refused) {
  std::error_code refused;
  auto task = [](std::error_code& error) -> Task<void> {
    const Result<void> result = co_await async_nop();
    if (!result) error = result.error();
  };
  {
    Worker worker;
    worker.spawn(task(refused))->detach();
  }
  EXPECT_EQ(refused, std::errc::operation_canceled);
}

Task<void> receives(int fd, std::error_code& ended) {
  std::array<std::byte, 16> buffer;
  const Result<std::size_t> got = co_await async_recv(fd, buffer);
  if (!got) ended = got.error();
}

Task<void> sleeps(std::error_code& ended) {
  const Result<void> slept = co_await sleep_for(1h);
  if (!slept) ended = slept.error();
}

TEST(Stop, cancels_what_is_in_flight_and_asleep) {
  const int descriptors = test::open_descriptors();
  std::error_code received, slept;
  {
    test::SocketPair pair;
    RunningWorker running;
    auto receiving = running.worker.spawn(receives(pair.ours.get(), received));
    auto sleeping = running.worker.spawn(sleeps(slept));
    sync_wait(*running.worker.spawn(nothing()));
    running.worker.request_stop();
    sync_wait(std::move(*receiving));
    sync_wait(std::move(*sleeping));
  }
  EXPECT_EQ(received, std::errc::operation_canceled);
  EXPECT_EQ(slept, std::errc::operation_canceled);
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

TEST(Stop, before_start_ends_the_worker_at_once) {
  Worker worker;
  worker.request_stop();
  ASSERT_TRUE(worker.start());
  worker.join();
}

TEST(Stop, may_be_asked_for_by_many_and_often) {
  Worker worker;
  ASSERT_TRUE(worker.start());
  std::thread other([&] { worker.request_stop(); });
  worker.request_stop();
  worker.request_stop();
  other.join();
  worker.join();
}

Worker* stopped_by_signal = nullptr;

TEST(Stop, may_be_asked_for_by_a_signal_handler) {
  Worker worker;
  stopped_by_signal = &worker;
  std::signal(SIGUSR2, [](int) { stopped_by_signal->request_stop(); });
  ASSERT_TRUE(worker.start());
  std::raise(SIGUSR2);
  worker.join();
  std::signal(SIGUSR2, SIG_DFL);
}

// A write that has begun in the kernel's own threads completes in full. The wait for it must not occupy a
// processor.
Task<void> writes_slowly(int fd, std::span<const std::byte> data, std::atomic<bool>& ended) {
  (void)co_await IoOperation<std::size_t>(Request{.addr = detail::address_of(data.data()),
                                                  .fd = fd,
                                                  .len = detail::clamp_length(data.size()),
                                                  .head = head(Opcode::write) | 1U << 12});  // IOSQE_ASYNC
  ended = true;
}
off_t size_of(const Fd& file) {
  struct stat status{};
  return ::fstat(file.get(), &status) == 0 ? status.st_size : -1;
}

TEST(Stop, waits_for_what_cannot_be_cancelled_without_spinning) {
  const test::TemporaryDirectory directory;
  const Fd file(test::sys::open((directory / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::vector<std::byte> data(256U << 20);
  test::FaultyKernel kernel;
  std::atomic<int> enters = 0;
  kernel.on_enter = [&](unsigned) { return ++enters, 0; };
  std::atomic<bool> ended = false;
  const TimePoint began = os::now();
  {
    RunningWorker running({.kernel = &kernel});
    running.worker.spawn(writes_slowly(file.get(), data, ended))->detach();
    while (size_of(file) == 0 && !ended) std::this_thread::yield();  // until the write is under way
  }
  const auto cancels = (os::now() - began) / 10ms;
  EXPECT_LE(enters, 20 + 6 * cancels) << "a few enters per cancel, one cancel each 10 ms";
}

Task<void> closes_after(int fd, bool& closed) {
  (void)co_await sleep_for(1h);
  closed = (co_await async_close(Fd(fd))).has_value();
}

TEST(Stop, lets_clean_up_code_close_its_descriptors) {
  const int descriptors = test::open_descriptors();
  bool closed = false;
  {
    RunningWorker running;
    running.worker.spawn(closes_after(::dup(0), closed))->detach();
    sync_wait(*running.worker.spawn(nothing()));
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

Task<void> accepts(int listener) {
  const Result<Fd> accepted = co_await async_accept(listener);
  EXPECT_FALSE(accepted);
}

// Closing a ring is not a barrier. Unless the accept has really ended, the port stays taken.
TEST(Stop, frees_a_listening_port_at_once) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  address.sin_port = htons(test::port_to_rebind());
  for (int round = 0; round < 50; ++round) {
    Fd listener(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(test::sys::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
        << strerror(errno);
    ASSERT_EQ(test::sys::listen(listener.get(), 8), 0);
    socklen_t length = sizeof address;
    test::sys::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
    RunningWorker running;
    running.worker.spawn(accepts(listener.get()))->detach();
    running.worker.spawn(nothing())->detach();
  }
}

}  // namespace
}  // namespace corering
