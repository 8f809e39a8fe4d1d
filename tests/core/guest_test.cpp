/// guest_test.cpp — a worker in somebody else's event loop: it is told in time, sleeps, and starves nobody.
#include <array>
#include <atomic>
#include <cerrno>
#include <optional>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::nothing;
using namespace std::chrono_literals;

/// The event loop of somebody else. It watches the worker's descriptor, and perhaps another one.
class OuterLoop {
 public:
  explicit OuterLoop(Worker& worker, std::uint32_t trigger = 0) : worker_(worker) {
    const Result<int> descriptor = worker.descriptor();
    EXPECT_TRUE(descriptor) << descriptor.error().message();
    if (descriptor) watch(*descriptor, EPOLLIN | trigger);
  }
  OuterLoop(OuterLoop&&) = delete;

  void watch(int fd, std::uint32_t events = EPOLLIN) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }

  /// Waits for one event, and returns its descriptor, or -1 if none comes in time.
  int wait(std::chrono::milliseconds at_most) {
    epoll_event event{};
    int count = 0;
    do count = ::epoll_wait(epoll_.get(), &event, 1, static_cast<int>(at_most.count()));
    while (count < 0 && errno == EINTR);
    return count == 1 ? event.data.fd : -1;
  }

  /// Sleeps until the worker calls, and gives it a turn. Returns false if it has ended, or never calls.
  bool serve() {
    if (wait(100s) < 0) {
      ADD_FAILURE() << "the worker has something to do, and its descriptor says nothing";
      return false;
    }
    ++turns;
    return worker_.turn().value();
  }
  template <class Condition>
  void serve_until(Condition condition) {
    while (!condition() && serve()) {
    }
  }
  void serve_to_the_end() {
    while (serve()) {
    }
  }
  /// Gives it turns until it does not call at once. Returns false if that does not come soon.
  bool comes_to_rest() {
    for (int i = 0; i < 20; ++i) {
      if (wait(0ms) < 0) return true;
      (void)worker_.turn();
    }
    return false;
  }

  int turns = 0;

 private:
  Worker& worker_;
  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
};

enum class On : std::uint8_t { best_ring, ring_of_5_19, ring_of_5_18, emulation };

std::uint32_t refused_flags(On on) {
  if (on == On::ring_of_5_19) return uapi::setup_single_issuer;
  if (on == On::ring_of_5_18) return uapi::setup_single_issuer | uapi::setup_coop_taskrun;
  return 0;
}

/// Each kind of ring, watched by level and by edge.
class Guest : public testing::TestWithParam<std::tuple<On, std::uint32_t>> {
 protected:
  Guest() {
    kernel.on_open_ring = [](const RingParams& asked) {
      return (asked.flags & refused_flags(std::get<0>(GetParam()))) != 0 ? -EINVAL : 0;
    };
  }
  test::FaultyKernel kernel;
  Worker worker{{.kernel = std::get<0>(GetParam()) == On::emulation ? &emulated_kernel() : &kernel}};
  OuterLoop loop{worker, std::get<1>(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(On, Guest,
                         testing::Combine(testing::Values(On::best_ring, On::ring_of_5_19, On::ring_of_5_18,
                                                          On::emulation),
                                          testing::Values(0U, static_cast<std::uint32_t>(EPOLLET))));

Task<void> adds_one(std::atomic<int>& sum) {
  (void)co_await async_nop();
  ++sum;
}

// ---- nothing is lost ----

TEST_P(Guest, is_told_of_each_post_while_the_other_loop_sleeps) {
  std::atomic<int> sum = 0;
  std::vector<std::jthread> posters;
  for (int i = 0; i < 3; ++i) {
    posters.emplace_back([this, &sum] {
      for (int j = 0; j < 300; ++j) sync_wait(worker.spawn(adds_one(sum)).value());  // one at a time
      for (int j = 0; j < 300; ++j) worker.spawn(adds_one(sum)).value().detach();    // and many at once
    });
  }
  loop.serve_until([&sum] { return sum == 3 * 600; });
  EXPECT_EQ(sum, 3 * 600);
  EXPECT_TRUE(loop.comes_to_rest());
}

TEST_P(Guest, is_told_of_what_its_own_thread_posts_between_two_turns) {
  std::atomic<int> sum = 0;
  for (int i = 0; i < 100; ++i) {
    worker.spawn(adds_one(sum)).value().detach();
    loop.serve_until([&sum, i] { return sum > i; });
  }
  EXPECT_EQ(sum, 100);
}

Task<void> echoes(const Fd& socket, int times, int& done) {
  for (; done < times; ++done) {
    std::array<std::byte, 8> buffer{};
    const Result<std::size_t> got = co_await async_recv(socket.get(), buffer);
    if (!got || *got == 0) co_return;
    (void)co_await async_send(socket.get(), std::span(buffer).first(*got));
  }
}

TEST_P(Guest, is_told_of_what_the_kernel_has_completed) {
  test::SocketPair sockets;
  int done = 0;
  worker.spawn(echoes(sockets.ours, 500, done)).value().detach();
  const std::jthread peer([&sockets] {
    char letter = 'x';
    for (int i = 0; i < 500; ++i) {
      ASSERT_EQ(test::sys::write(sockets.theirs.get(), &letter, 1), 1);
      ASSERT_EQ(test::sys::read(sockets.theirs.get(), &letter, 1), 1);
    }
  });
  loop.serve_until([&done] { return done == 500; });
  EXPECT_EQ(done, 500);
  EXPECT_LE(loop.turns, 5 * 500) << "it turns when there is something to do";
}

Task<void> reads_counts(int eventfd, int times, std::atomic<int>& done) {
  for (; done < times; ++done) {
    std::uint64_t count = 0;
    (void)co_await async_read(eventfd, std::as_writable_bytes(std::span(&count, 1)), current_position);
  }
}

// The kernel loses a wake of an eventfd that is written because another one has been written.
TEST_P(Guest, is_told_of_what_ends_because_an_eventfd_was_written) {
  const Fd event(::eventfd(0, EFD_CLOEXEC));
  std::atomic<int> done = 0;
  worker.spawn(reads_counts(event.get(), 20, done)).value().detach();
  const std::jthread writer([&event, &done] {
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(::eventfd_write(event.get(), 1), 0);
      while (done == i) std::this_thread::yield();
    }
  });
  loop.serve_until([&done] { return done == 20; });
  EXPECT_EQ(done, 20);
}

// ---- time ----

Task<void> sleeps(Duration how_long, int& awake) {
  const TimePoint begin = os::now();
  EXPECT_TRUE(co_await sleep_for(how_long));
  EXPECT_GE(os::now() - begin, how_long);
  ++awake;
}
Task<void> is_timed_out_by_the_ring(Duration how_long, int& awake) {
  const TimePoint begin = os::now();
  EXPECT_TRUE(co_await async_timeout(how_long));
  EXPECT_GE(os::now() - begin, how_long);
  ++awake;
}
Task<void> sleeps_with_a_deadline(Duration deadline, int& awake) {
  const Result<void> slept = co_await with_timeout(deadline, sleep_for(1h));
  EXPECT_FALSE(slept);
  ++awake;
}

TEST_P(Guest, keeps_its_timers_whichever_comes_first) {
  int awake = 0;
  worker.spawn(sleeps_with_a_deadline(30ms, awake)).value().detach();
  ASSERT_TRUE(loop.serve());
  for (const Duration how_long : {10ms, 3ms, 20ms, 0ms, 1ms}) {
    worker.spawn(sleeps(how_long, awake)).value().detach();
  }
  loop.serve_until([&awake] { return awake == 6; });
  EXPECT_EQ(awake, 6);
  EXPECT_LE(loop.turns, 30) << "it does not turn round and round until the time has come";
}

TEST_P(Guest, is_told_of_the_rings_own_timeouts) {
  int awake = 0;
  for (const Duration how_long : {10ms, 3ms, 1ms}) {
    worker.spawn(is_timed_out_by_the_ring(how_long, awake)).value().detach();
  }
  loop.serve_until([&awake] { return awake == 3; });
  EXPECT_EQ(awake, 3);
  EXPECT_LE(loop.turns, 20) << "it does not turn round and round until the time has come";
}

// A deadline that moves away with each operation, as that of a server's connections does.
Task<void> nops_with_deadlines(int times) {
  for (int i = 0; i < times; ++i) EXPECT_TRUE(co_await with_timeout(1h, async_nop()));
}

TEST_P(Guest, rests_when_a_deadline_is_given_up) {
  JoinHandle<void> task = worker.spawn(nops_with_deadlines(100)).value();
  loop.serve_until([&task] { return task.done(); });
  EXPECT_TRUE(loop.comes_to_rest());
}

// ---- the end ----

TEST_P(Guest, ends_when_it_is_told_to_and_stays_readable) {
  int awake = 0;
  worker.spawn(sleeps_with_a_deadline(1h, awake)).value().detach();
  ASSERT_TRUE(loop.serve());
  const std::jthread stopper([this] { worker.request_stop(); });
  loop.serve_to_the_end();
  EXPECT_EQ(awake, 1) << "what it waited for was cancelled";
  EXPECT_FALSE(worker.turn().value());
  EXPECT_FALSE(worker.spawn(nothing()));
  OuterLoop late(worker);
  EXPECT_EQ(late.wait(100s), worker.descriptor().value());
}

TEST_P(Guest, ends_when_it_is_destroyed_in_its_sleep) {
  const int open_before = test::open_descriptors();
  int awake = 0;
  std::optional<Worker> other;
  other.emplace();
  {
    OuterLoop around(*other);
    other->spawn(sleeps_with_a_deadline(1h, awake)).value().detach();
    ASSERT_TRUE(around.serve());
    ASSERT_TRUE(around.comes_to_rest());
  }
  other.reset();
  EXPECT_EQ(awake, 1);
  EXPECT_EQ(test::open_descriptors(), open_before);
}

// ---- nobody spins, nobody starves ----

TEST_P(Guest, says_nothing_while_nothing_happens) {
  test::SocketPair sockets;
  int done = 0, awake = 0;
  worker.spawn(echoes(sockets.ours, 1, done)).value().detach();
  worker.spawn(sleeps_with_a_deadline(1h, awake)).value().detach();
  ASSERT_TRUE(loop.serve());
  ASSERT_TRUE(loop.comes_to_rest());
  EXPECT_EQ(loop.wait(50ms), -1);
  worker.request_stop();
  loop.serve_to_the_end();
}

/// Goes to the kernel and back, or from one coroutine to the other, for as long as it is let.
Task<void> keeps_the_kernel_busy(const std::atomic<bool>& may_end, int& rounds) {
  for (; !may_end; ++rounds) (void)co_await async_nop();
}
Task<void> keeps_the_worker_busy(const std::atomic<bool>& may_end, int& rounds, Event& mine, Event& other) {
  for (; !may_end; ++rounds) {
    mine.reset();
    other.set();
    (void)co_await mine.wait();
  }
  other.set();
}

TEST_P(Guest, shares_its_thread_with_a_loop_that_is_as_busy) {
  std::atomic<bool> may_end = false;
  int with_kernel = 0, alone = 0, others = 0;
  Event first, second;
  const Fd always_readable(::eventfd(1, EFD_CLOEXEC));
  loop.watch(always_readable.get());
  JoinHandle<void> one = worker.spawn(keeps_the_kernel_busy(may_end, with_kernel)).value();
  JoinHandle<void> two = worker.spawn(keeps_the_worker_busy(may_end, alone, first, second)).value();
  JoinHandle<void> three = worker.spawn(keeps_the_worker_busy(may_end, alone, second, first)).value();
  for (int i = 0; i < 1000 && !(one.done() && two.done() && three.done()); ++i) {
    if (loop.wait(100s) == always_readable.get()) {
      ++others;
    } else {
      ASSERT_TRUE(worker.turn().value());
    }
    may_end = with_kernel >= 100 && alone >= 100 && others >= 100;
  }
  EXPECT_TRUE(one.done() && two.done() && three.done());
  EXPECT_GE(with_kernel, 100);
  EXPECT_GE(alone, 100);
  EXPECT_GE(others, 100);
}

// ---- out of the ordinary ----

Task<void> hops_between(Worker& one, Worker& other, int times) {
  for (int i = 0; i < times; ++i) {
    EXPECT_TRUE(co_await SwitchToWorker(one));
    EXPECT_TRUE(co_await SwitchToWorker(other));
  }
}

TEST(GuestOutOfTheOrdinary, two_workers_are_guests_of_the_same_loop) {
  Worker first, second;
  OuterLoop loop(first);
  const int other = second.descriptor().value();
  loop.watch(other);
  JoinHandle<void> task = first.spawn(hops_between(second, first, 100)).value();
  while (!task.done()) {
    const int who = loop.wait(100s);
    ASSERT_GE(who, 0);
    ASSERT_TRUE((who == other ? second : first).turn().value());
  }
}

Task<void> completes_many_at_once(int count) {
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < count; ++i) all.push_back(spawn(test::turns(2)));
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

TEST(GuestOutOfTheOrdinary, more_completes_than_its_ring_can_hold) {
  for (Kernel* const kernel : {&default_kernel(), &emulated_kernel()}) {
    Worker worker({.sq_entries = 4, .cq_entries = 4, .kernel = kernel});
    OuterLoop loop(worker, EPOLLET);
    JoinHandle<void> task = worker.spawn(completes_many_at_once(1000)).value();
    loop.serve_until([&task] { return task.done(); });
    EXPECT_TRUE(task.done());
  }
}

TEST(GuestOutOfTheOrdinary, the_kernel_is_short_of_memory_for_a_while) {
  test::FaultyKernel kernel;
  int refusals = 0;
  kernel.on_enter = [&refusals](unsigned) { return refusals > 0 && refusals-- > 0 ? -EAGAIN : 0; };
  Worker worker({.sq_entries = 4, .kernel = &kernel});
  OuterLoop loop(worker);
  refusals = 20;
  JoinHandle<void> task = worker.spawn(completes_many_at_once(20)).value();
  loop.serve_until([&task] { return task.done(); });
  EXPECT_TRUE(task.done());
  EXPECT_EQ(refusals, 0);
}

TEST(GuestOutOfTheOrdinary, a_turn_with_patience_sleeps_in_the_ring) {
  Worker worker;
  OuterLoop loop(worker);
  int awake = 0;
  worker.spawn(test::then_stop(sleeps(5ms, awake))).value().detach();
  int turns = 0;
  while (worker.turn(100s).value()) ++turns;
  EXPECT_EQ(awake, 1);
  EXPECT_LE(turns, 20) << "it does not turn round and round";
}

TEST(GuestOutOfTheOrdinary, nobody_wakes_a_worker_whose_descriptor_nobody_has) {
  test::FaultyKernel kernel;
  Worker worker({.kernel = &kernel});
  ASSERT_TRUE(worker.turn().value());
  std::atomic<int> sum = 0;
  std::jthread([&] { worker.spawn(adds_one(sum)).value().detach(); }).join();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(worker.turn().value());
  EXPECT_EQ(sum, 1);
  EXPECT_EQ(kernel.wakes, 0);
}

/// A kernel that has no descriptors left for doorbells, at first.
struct WithoutDoorbells : test::FaultyKernel {
  int open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept override {
    return refusals-- > 0 ? -EMFILE : test::FaultyKernel::open_doorbell(ring, doorbell);
  }
  int refusals = 1;
};

TEST(GuestOutOfTheOrdinary, a_descriptor_that_is_refused_can_be_asked_for_again) {
  const int open_before = test::open_descriptors();
  WithoutDoorbells kernel;
  Worker worker({.kernel = &kernel});
  const Result<int> refused = worker.descriptor();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), std::errc::too_many_files_open);
  EXPECT_NE(refused.error().message().find("RLIMIT_NOFILE"), std::string::npos) << refused.error().message();
  EXPECT_EQ(test::open_descriptors(), open_before);
  const Result<int> granted = worker.descriptor();
  ASSERT_TRUE(granted);
  EXPECT_EQ(worker.descriptor().value(), *granted) << "it stays the same";
}

TEST(GuestOutOfTheOrdinary, no_ring_is_asked_for_that_cannot_be_watched) {
  Worker worker;
  ASSERT_TRUE(worker.descriptor());
  EXPECT_EQ(worker.setup_flags() & uapi::setup_defer_taskrun, 0U);
}

// ---- wrong use ----

TEST(GuestDeathTest, a_worker_that_has_turned_has_a_ring_that_cannot_be_watched) {
  Worker worker;
  ASSERT_TRUE(worker.turn().value());
  EXPECT_DEATH((void)worker.descriptor(), "descriptor\\(\\) was called after turn\\(\\).*guest_test\\.cpp");
}

TEST(GuestDeathTest, the_turns_are_made_where_the_descriptor_was_asked_for) {
  Worker worker;
  ASSERT_TRUE(worker.descriptor());
  EXPECT_DEATH(std::jthread([&worker] { (void)worker.turn(); }).join(),
               "on a second thread.*guest_test\\.cpp");
}

Task<void> turns_itself(Worker& worker) {
  (void)worker.turn();
  co_return;
}

void a_task_turns_its_worker() {
  Worker worker;
  worker.spawn(turns_itself(worker)).value().detach();
  (void)worker.turn();
}

TEST(GuestDeathTest, a_task_does_not_turn_its_own_worker) {
  EXPECT_DEATH(a_task_turns_its_worker(), "by a task of the worker.*guest_test\\.cpp");
}

TEST(GuestDeathTest, a_worker_with_its_own_thread_is_nobodys_guest) {
  test::RunningWorker running;
  EXPECT_DEATH((void)running.worker.descriptor(), "or on a worker that start\\(\\) runs.*guest_test\\.cpp");
}

}  // namespace
}  // namespace corering
