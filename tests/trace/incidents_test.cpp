/// incidents_test.cpp — programs that are slow for a reason, and what `iotrace why` says about them.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "iotrace/why.hpp"
#include "support/cheating_kernel.hpp"
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"
#include "support/streaming.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;
using iotrace::Cause;
using iotrace::Explanation;
using iotrace::Operation;
using iotrace::Trace;
using test::turns;

// ---- how an incident is recorded, and asked about ----

/// Records what `program` does.
Trace recorded(const std::function<void()>& program) {
  EXPECT_TRUE(trace::start(std::size_t{1} << 16));
  program();
  trace::stop();
  return iotrace::make_trace(trace::recording());
}

Trace recorded(Task<void> task, WorkerOptions options = {}) {
  return recorded([&] { EXPECT_TRUE(run(std::move(task), std::move(options))); });
}

bool is_slower(const Operation* one, const Operation& other) {
  return one == nullptr || other.end() - other.begin() > one->end() - one->begin();
}

/// Returns the slowest operation of the kind, whose cause is asked for.
Explanation why_slow(const Trace& trace, std::string_view kind) {
  const Operation* slowest = nullptr;
  for (const Operation& operation : trace.operations) {
    if (name_of_operation(operation) == kind && is_slower(slowest, operation)) slowest = &operation;
  }
  if (slowest == nullptr) return {Cause::nothing_unusual, "there is no " + std::string(kind)};
  Explanation told = explain(trace, *slowest);
  std::printf("  %s: %s\n", std::string(name_of(told.cause)).c_str(), told.text.c_str());
  return told;
}

std::chrono::nanoseconds cpu_time_of_thread() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

/// The last incident lost its processor while it computed. A machine that runs several others may take it
/// away without a word: then even the thread's CPU time goes on.
bool lost_its_processor = false;  // NOLINT: one incident at a time

/// Computes for so long.
void compute(std::chrono::nanoseconds how_long) {
  const auto began = Clock::now();
  const auto end = cpu_time_of_thread() + how_long;
  while (cpu_time_of_thread() < end) {
  }
  if (Clock::now() - began > 2 * how_long + 500us) lost_its_processor = true;
}

/// Returns for how long the calling thread could have run, but had no processor.
std::chrono::nanoseconds time_without_processor() {
  std::ifstream file("/proc/thread-self/schedstat");
  long long ran = 0, waited = 0;
  file >> ran >> waited;
  return std::chrono::nanoseconds(waited);
}

/// Says whether the cause is the one that was planted.
testing::AssertionResult is_cause(const Explanation& told, Cause wanted) {
  if (told.cause == wanted) return testing::AssertionSuccess();
  return testing::AssertionFailure() << name_of(told.cause) << ": " << told.text;
}

/// Remembers whether what is between its making and now was disturbed by other programs.
class Disturbance {
 public:
  Disturbance() : before_(time_without_processor()) { lost_its_processor = false; }
  [[nodiscard]] bool was_there() const {
    return lost_its_processor || time_without_processor() - before_ > 1ms;
  }

 private:
  std::chrono::nanoseconds before_;
};

/// Records the incident and asks why its slowest operation of the kind was slow. If others had the processor,
/// the incident may not be what made it slow. Then it is tried again, and at last the test is skipped.
template <class Incident>
void expect_cause(const Incident& incident, std::string_view kind, Cause wanted,
                  std::string_view words = "") {
  Explanation told;
  for (int i = 0; i < 30; ++i) {
    const Disturbance disturbance;
    told = why_slow(incident(), kind);
    const bool is_right = told.cause == wanted && told.text.find(words) != std::string::npos;
    if (is_right) return;
    if (!disturbance.was_there()) break;
    if (i == 29) GTEST_SKIP() << "others had the processor each time: " << told.text;
  }
  EXPECT_TRUE(is_cause(told, wanted));
  EXPECT_NE(told.text.find(words), std::string::npos) << told.text;
}

void byte_to(int fd) { EXPECT_EQ(::send(fd, "x", 1, 0), 1); }

Task<void> receives(int fd) {
  std::array<std::byte, 64> buffer;
  (void)co_await async_recv(fd, buffer);
}

/// Keeps the worker after it has made `fd` ready.
Task<void> keeps_the_worker(int fd, std::function<void()> keep) {
  (void)co_await async_nop();
  byte_to(fd);
  keep();
  (void)co_await async_nop();
}

Task<void> one_keeps_another_waiting(const test::SocketPair& pair, std::function<void()> keep) {
  auto slow = spawn(receives(pair.ours.get()));
  (void)co_await async_nop();
  co_await spawn(keeps_the_worker(pair.theirs.get(), std::move(keep)));
  co_await std::move(slow);
}

// ---- the worker ----

TEST(Why, names_a_long_task) {
  const test::SocketPair pair;
  const auto incident = [&] { return recorded(one_keeps_another_waiting(pair, [] { compute(2ms); })); };
  expect_cause(incident, "recv", Cause::long_task, "keeps_the_worker (incidents_test.cpp:");
}

TEST(Why, names_a_call_that_blocks_the_worker) {
  const test::SocketPair pair;
  const Trace trace = recorded(one_keeps_another_waiting(pair, [] { std::this_thread::sleep_for(30ms); }));
  EXPECT_TRUE(is_cause(why_slow(trace, "recv"), Cause::blocking_call));
}

TEST(Why, names_a_processor_that_others_have) {
  cpu_set_t allowed, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  unsigned cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) ++cpu;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  std::atomic<bool> stop = false;
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      ::sched_setaffinity(0, sizeof one, &one);
      while (!stop) {
      }
    });
  }
  const test::SocketPair pair;
  Trace trace;
  std::thread here([&] {
    ::sched_setaffinity(0, sizeof one, &one);
    trace = recorded(one_keeps_another_waiting(pair, [] { compute(20ms); }));
  });
  here.join();
  stop = true;
  for (std::thread& other : others) other.join();
  EXPECT_TRUE(is_cause(why_slow(trace, "recv"), Cause::run_queue_delay));
}

Task<void> computes_a_little() {
  (void)co_await async_nop();
  compute(50us);
}

Task<void> many_compute(const test::SocketPair& pair) {
  auto slow = spawn(receives(pair.ours.get()));
  (void)co_await async_nop();
  std::vector<JoinHandle<void>> many;
  for (int i = 0; i < 60; ++i) many.push_back(spawn(computes_a_little()));
  byte_to(pair.theirs.get());
  (void)co_await async_nop();
  for (auto& one : many) co_await std::move(one);
  co_await std::move(slow);
}

TEST(Why, names_the_many_that_came_first) {
  const test::SocketPair pair;
  const auto incident = [&] { return recorded(many_compute(pair)); };
  expect_cause(incident, "recv", Cause::queued_behind_others);
}

Task<void> handles(Fd connection) {
  std::array<std::byte, 8> buffer;
  (void)co_await async_recv(connection, buffer);
  compute(100us);
  (void)co_await async_nop();
}

Task<void> accepts_all(const test::Listener& listener, int count) {
  std::vector<Fd> connections;
  for (int i = 0; i < count; ++i) {
    Result<Fd> connection = co_await async_accept(listener.fd);
    EXPECT_TRUE(connection);
    connections.push_back(std::move(*connection));
  }
  std::vector<JoinHandle<void>> handlers;
  for (Fd& connection : connections) handlers.push_back(spawn(handles(std::move(connection))));
  for (auto& handler : handlers) co_await std::move(handler);
}

Trace one_of_two_workers_accepts() {
  const test::Listener listener;
  std::vector<Fd> clients;
  for (int i = 0; i < 24; ++i) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(clients.back().get(), listener.get(), sizeof listener.address), 0);
    byte_to(clients.back().get());
  }
  return recorded([&] {
    test::FaultyKernel kernel;
    Worker idle({.kernel = &kernel});
    EXPECT_TRUE(idle.start());
    kernel.wait_until_asleep();
    EXPECT_TRUE(run(accepts_all(listener, 24)));
    idle.request_stop();
    idle.join();
  });
}

TEST(Why, names_a_worker_that_takes_all_connections) {
  expect_cause([] { return one_of_two_workers_accepts(); }, "recv", Cause::accept_imbalance);
}

/// Tries to connect until somebody listens.
Task<void> connects_at_last(std::uint16_t port, std::optional<test::Listener>& listener) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  for (int i = 0; i < 20; ++i) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (i == 12) listener.emplace(port);
    const auto connected =
        co_await async_connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (connected) co_return;
    (void)co_await sleep_for(500us);
  }
}

Explanation why_last(const Trace& trace, std::string_view kind) {
  const Operation* last = nullptr;
  for (const Operation& operation : trace.operations) {
    if (name_of_operation(operation) == kind) last = &operation;
  }
  return last != nullptr ? explain(trace, *last) : Explanation{Cause::nothing_unusual, "none"};
}

TEST(Why, names_a_storm_of_tries) {
  std::optional<test::Listener> listener;
  const std::uint16_t port = test::port_to_rebind();
  const Trace trace = recorded(connects_at_last(port, listener));
  const Explanation told = why_last(trace, "connect");
  EXPECT_TRUE(is_cause(told, Cause::retry_storm));
  EXPECT_NE(told.text.find("Connection refused"), std::string::npos) << told.text;
}

// ---- the kernel ----

TEST(Why, names_a_helper_thread) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd from(ends[0]), to(ends[1]);
  std::atomic<bool> begins = false;
  std::thread writer([&] {
    begins.wait(false);
    std::this_thread::sleep_for(10ms);
    EXPECT_EQ(::write(to.get(), "x", 1), 1);
  });
  const auto reads = [&begins](const Fd& pipe) -> Task<void> {
    std::array<std::byte, 8> buffer;
    begins = true;
    begins.notify_one();
    (void)co_await async_read(pipe, buffer, FileOffset::at_current_position()).forced_async();
  };
  const Trace trace = recorded(reads(from));
  writer.join();
  EXPECT_TRUE(is_cause(why_slow(trace, "read"), Cause::lent_to_helper));
}

/// A kernel whose calls that hand something over take long.
struct SlowKernel : test::FaultyKernel {
  explicit SlowKernel(std::chrono::milliseconds how_slow) {
    on_enter = [how_slow](unsigned to_submit) {
      if (to_submit > 0) std::this_thread::sleep_for(how_slow);
      return 0;
    };
    on_read_now = [](int, void*, std::size_t, std::int64_t) { return -EAGAIN; };
  }
};

Task<void> reads_what_is_cold(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_EQ(::pwrite(file.get(), "cold", 4, 0), 4);
  std::array<std::byte, 4> buffer;
  (void)co_await async_read_cached(file, buffer, 0);
}

TEST(Why, names_a_page_that_is_not_in_the_cache) {
  const test::TemporaryDirectory directory;
  SlowKernel kernel(5ms);
  expect_cause([&] { return recorded(reads_what_is_cold(directory / "cold"), {.kernel = &kernel}); }, "read",
               Cause::page_cache_miss);
}

Task<void> syncs(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  (void)co_await async_fsync(file);
}

TEST(Why, names_a_slow_fsync) {
  const test::TemporaryDirectory directory;
  SlowKernel kernel(5ms);
  expect_cause([&] { return recorded(syncs(directory / "file"), {.kernel = &kernel}); }, "fsync",
               Cause::slow_sync);
}

Task<void> overflows(std::vector<test::SocketPair>& pairs) {
  std::vector<JoinHandle<void>> many;
  for (const auto& pair : pairs) many.push_back(spawn(receives(pair.ours.get())));
  co_await turns(3);
  for (const auto& pair : pairs) byte_to(pair.theirs.get());
  for (auto& one : many) co_await std::move(one);
}

TEST(Why, names_a_completion_queue_that_was_too_small) {
  std::vector<test::SocketPair> pairs(64);
  const auto incident = [&] { return recorded(overflows(pairs), {.sq_entries = 4, .cq_entries = 4}); };
  expect_cause(incident, "recv", Cause::cq_overflow);
}

Task<void> sends_more_than_fits(int fd) {
  std::vector<std::byte> much(4U << 20);
  std::size_t sent = 0;
  while (sent < much.size()) {
    const auto got = co_await async_send(fd, std::span(much).subspan(sent));
    if (!got) co_return;
    sent += *got;
  }
}

void read_late(int fd) {
  std::vector<char> buffer(1U << 20);
  std::this_thread::sleep_for(20ms);
  for (std::size_t all = 0; all < (4U << 20);) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return;
    all += static_cast<std::size_t>(got);
  }
}

TEST(Why, names_a_peer_that_does_not_read) {
  const test::SocketPair pair;
  const auto incident = [&] {
    std::thread peer([&] { read_late(pair.theirs.get()); });
    Trace trace = recorded(sends_more_than_fits(pair.ours.get()));
    peer.join();
    return trace;
  };
  expect_cause(incident, "send", Cause::peer_reads_slowly);
}

TEST(Why, names_a_submission_queue_that_is_full) {
  test::FaultyKernel kernel;
  auto begin = Clock::now();
  kernel.on_enter = [&](unsigned to_submit) {
    return to_submit > 2 && Clock::now() - begin < 100ms ? -EBUSY : 0;
  };
  const auto many = []() -> Task<void> {
    std::vector<JoinHandle<void>> all;
    for (int i = 0; i < 12; ++i) all.push_back(spawn(turns(1)));
    for (auto& one : all) co_await std::move(one);
  };
  expect_cause(
      [&] {
        begin = Clock::now();
        return recorded(many(), {.sq_entries = 4, .cq_entries = 64, .kernel = &kernel});
      },
      "nop", Cause::sq_full);
}

// ---- what is shared ----

Task<void> locks(Mutex& mutex, Duration how_long) {
  const auto guard = co_await mutex.lock();
  EXPECT_TRUE(guard);
  if (how_long > 0ms) (void)co_await sleep_for(how_long);
}

TEST(Why, names_a_lock_that_is_held) {
  const auto both = []() -> Task<void> {
    Mutex mutex;
    auto holder = spawn(locks(mutex, 10ms));
    (void)co_await async_nop();
    co_await spawn(locks(mutex, 0ms));
    co_await std::move(holder);
  };
  expect_cause([&] { return recorded(both()); }, "mutex", Cause::lock_held);
}

TEST(Why, names_a_channel_that_is_full) {
  const auto sends = [](Channel<int>& channel) -> Task<void> {
    for (int i = 0; i < 3; ++i) (void)co_await channel.send(i);
  };
  const auto both = [&]() -> Task<void> {
    Channel<int> channel(1);
    auto sender = spawn(sends(channel));
    (void)co_await sleep_for(10ms);
    for (int i = 0; i < 3; ++i) (void)co_await channel.receive();
    co_await std::move(sender);
  };
  expect_cause([&] { return recorded(both()); }, "room", Cause::channel_full);
}

Task<void> takes_the_next(RecvStream& stream) { (void)co_await stream.next(); }

Task<void> has_no_buffer() {
  BufferPool pool = test::make_pool({.count = 2, .size = 16});
  test::SocketPair one, two;
  RecvStream slow(one.ours.get(), pool), hungry(two.ours.get(), pool);
  co_await test::arm(slow);
  co_await test::arm(hungry);
  test::send_text(one.theirs.get(), std::string(100, 'x'));
  co_await turns(3);
  Result<LentBuffer> first = co_await slow.next();
  Result<LentBuffer> second = co_await slow.next();
  test::send_text(two.theirs.get(), "hungry");
  auto waits = spawn(takes_the_next(hungry));
  (void)co_await sleep_for(10ms);
  first = LentBuffer();
  second = LentBuffer();
  co_await std::move(waits);
}

TEST(Why, names_a_pool_of_buffers_that_is_empty) {
  const Trace trace = recorded(has_no_buffer());
  const Explanation by_event = why_slow(trace, "event");
  const Explanation by_stream = why_slow(trace, "stream");
  EXPECT_TRUE(by_event.cause == Cause::no_buffers || by_stream.cause == Cause::no_buffers)
      << by_event.text << by_stream.text;
}

Task<void> runs_elsewhere(BlockingPool& pool) {
  (void)co_await offload(pool, [] { std::this_thread::sleep_for(10ms); });
}

TEST(Why, names_a_pool_of_threads_that_is_busy) {
  BlockingPool pool({.max_threads = 1});
  const auto three = [](BlockingPool& threads) -> Task<void> {
    std::vector<JoinHandle<void>> all;
    for (int i = 0; i < 4; ++i) all.push_back(spawn(runs_elsewhere(threads)));
    for (auto& one : all) co_await std::move(one);
  };
  expect_cause([&] { return recorded(three(pool)); }, "pool", Cause::pool_exhausted);
}

// ---- time, and ends ----

TEST(Why, names_a_timer_that_is_late) {
  const auto both = []() -> Task<void> {
    auto sleeper = spawn([]() -> Task<void> { (void)co_await sleep_for(2ms); }());
    (void)co_await async_nop();
    compute(20ms);
    co_await std::move(sleeper);
  };
  expect_cause([&] { return recorded(both()); }, "sleep", Cause::late_timer);
}

TEST(Why, names_a_cancel_that_came_late) {
  test::CheatingKernel kernel;
  int missed = 0;
  kernel.on_request = [&missed](Sqe& sqe) {
    if (sqe.opcode == static_cast<std::uint8_t>(Opcode::async_cancel) && missed++ == 0) sqe.addr = 8;
  };
  const test::SocketPair pair;
  const auto cancelled = [](int fd) -> Task<void> { (void)co_await with_timeout(2ms, receives(fd)); };
  expect_cause(
      [&] {
        missed = 0;
        return recorded(cancelled(pair.ours.get()), {.kernel = &kernel});
      },
      "recv", Cause::cancelled_late);
}

TEST(Why, names_a_deadline_that_was_set_further_out) {
  const test::SocketPair pair;
  const auto outer = [](int fd) -> Task<void> { (void)co_await with_timeout(5ms, receives(fd)); };
  const Trace trace = recorded(outer(pair.ours.get()));
  const Explanation told = why_slow(trace, "recv");
  EXPECT_TRUE(is_cause(told, Cause::deadline_inherited));
  EXPECT_NE(told.text.find("incidents_test.cpp:"), std::string::npos) << told.text;
}

TEST(Why, names_a_stop) {
  const test::SocketPair pair;
  const Trace trace = recorded([&] {
    Worker worker;
    EXPECT_TRUE(worker.start());
    auto waits = worker.spawn(receives(pair.ours.get()));
    EXPECT_TRUE(sync_wait(async_nop().on(worker)));
    worker.request_stop();
    worker.join();
    EXPECT_TRUE(waits);
  });
  EXPECT_TRUE(is_cause(why_slow(trace, "recv"), Cause::stop_in_progress));
}

// ---- nothing ----

/// The operations of the kind by how long they took; the one in the middle is as they usually are.
Explanation why_usual(const Trace& trace, std::string_view kind) {
  std::vector<const Operation*> all;
  for (const Operation& operation : trace.operations) {
    if (name_of_operation(operation) == kind && operation.has_ended) all.push_back(&operation);
  }
  if (all.empty()) return {Cause::count_, "there is none"};
  std::ranges::sort(all, {}, [](const Operation* one) { return one->end() - one->begin(); });
  return explain(trace, *all[all.size() / 2]);
}

Task<void> does_usual_things(const std::string& path, const test::SocketPair& pair) {
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_EQ(::pwrite(file.get(), "warm", 4, 0), 4);
  std::array<std::byte, 8> buffer;
  for (int i = 0; i < 40; ++i) {
    (void)co_await async_nop();
    (void)co_await async_read(file, buffer, 0);
    (void)co_await async_send(pair.theirs, std::span(buffer).first(1));
    (void)co_await async_recv(pair.ours, buffer);
    (void)co_await sleep_for(10us);
  }
}

TEST(Why, finds_nothing_unusual_in_twenty_runs_in_which_nothing_is) {
  const test::TemporaryDirectory directory;
  for (int run_number = 0; run_number < 20; ++run_number) {
    const test::SocketPair pair;
    const Disturbance disturbance;
    const Trace trace = recorded(does_usual_things(directory / "warm", pair));
    for (const char* const kind : {"nop", "read", "send", "recv", "sleep"}) {
      const Explanation told = why_usual(trace, kind);
      // That others had the processor is no false answer, when they had.
      const bool is_starved = told.text.find("no processor") != std::string::npos && disturbance.was_there();
      if (is_starved) continue;
      EXPECT_TRUE(is_cause(told, Cause::nothing_unusual)) << " in run " << run_number << ", " << kind;
    }
  }
}

}  // namespace
}  // namespace corering
