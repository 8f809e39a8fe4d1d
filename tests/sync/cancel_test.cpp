/// cancel_test.cpp — every operation, cancelled in every way at every moment; and races with the
/// cancellation.
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <ranges>
#include <set>
#include <stop_token>
#include <thread>

#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::RunningWorker;
using namespace std::chrono_literals;

// ---- the operations ----

/// What the operations work on. It is made again for each case, and everything is closed at its end.
struct Props {
  test::TemporaryDirectory directory;
  std::string path = directory / "file";
  test::SocketPair empty;  ///< nothing to receive on `ours`
  test::SocketPair full;   ///< no room to send on `ours`
  test::Listener listener;
  Fd pipe_reader, pipe_writer;
  Fd file;
  Fd tcp_peer;
  std::array<std::byte, 16> buffer{};
  struct statx status{};
  std::atomic<std::uint32_t> word = 0;
  pid_t child = 0;

  Props() : file(test::sys::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    std::array<int, 2> fds{};
    EXPECT_EQ(test::sys::pipe2(fds.data(), O_CLOEXEC), 0);
    pipe_reader = Fd(fds[0]);
    pipe_writer = Fd(fds[1]);
    const std::vector<char> much(1 << 20);
    while (test::sys::send(full.ours.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
    }
  }
};

/// An operation, and the action that lets it complete if it waits.
struct OperationCase {
  const char* name;
  std::function<Task<std::error_code>(Props&)> run;
  std::function<void(Props&)> complete = [](Props&) {};
  std::optional<Need> need = std::nullopt;  ///< without it, it fails at once with a message that says so
};

using test::error_of;

void send_byte(int fd) { EXPECT_EQ(test::sys::write(fd, "x", 1), 1); }
void drain(int fd) {
  std::vector<char> much(1 << 20);
  while (test::sys::recv(fd, much.data(), much.size(), MSG_DONTWAIT) > 0) {
  }
}
void connect_to(const test::Listener& listener) {
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(test::sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
}

Task<std::error_code> connects(Props& props) {
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Result<void> connected =
      co_await async_connect(client.get(), props.listener.get(), sizeof props.listener.address);
  co_return connected ? std::error_code() : connected.error();
}
Task<std::error_code> closes(Props& props) {
  const Result<void> closed = co_await async_close(Fd(test::sys::dup(props.file.get())));
  co_return closed ? std::error_code() : closed.error();
}
Task<std::error_code> joins(Props& props) {
  const Result<std::size_t> got = co_await spawn([](Props& those) -> Task<Result<std::size_t>> {
    co_return co_await async_recv(those.empty.ours.get(), those.buffer);
  }(props));
  co_return got ? std::error_code() : got.error();
}

/// Sends until nothing goes any more, and will not go later either: nothing is under way, so the peer's
/// window is closed. The peer must have a receive buffer of a fixed size; otherwise the kernel enlarges it
/// later.
void fill_for_good(int fd) {
  const std::vector<char> much(1 << 20);
  tcp_info info{};
  do {
    for (const std::size_t length : {much.size(), std::size_t{1}}) {
      while (test::sys::send(fd, much.data(), length, MSG_DONTWAIT) > 0) {
      }
    }
    if (test::is_simulated()) return;  // nothing is under way, and windows have one size
    socklen_t size = sizeof info;
    ASSERT_EQ(test::sys::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  } while (info.tcpi_unacked > 0 || test::sys::send(fd, much.data(), 1, MSG_DONTWAIT) > 0);
}

Task<std::error_code> sends_on_a_full_connection(Props& props) {
  test::Listener listener;
  const int small = 16 << 10;
  EXPECT_EQ(test::sys::setsockopt(listener.fd.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(test::sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
  props.tcp_peer = Fd(test::sys::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  fill_for_good(client.get());
  co_return co_await error_of(async_send_zc(client, props.buffer));
}
Task<std::error_code> receives_into_a_pool(Props& props) {
  Result<BufferPool> pool = BufferPool::create({.count = 1, .size = 16});
  const std::error_code outcome = co_await error_of(async_recv(props.empty.ours.get(), *pool));
  EXPECT_EQ(pool->in_kernel(), 1U);
  co_return outcome;
}
Task<std::error_code> receives_from_a_stream(Props& props) {
  Result<BufferPool> pool = BufferPool::create({.count = 1, .size = 16});
  RecvStream stream(props.empty.ours.get(), *pool);
  co_return co_await error_of(stream.next());
}
Task<std::error_code> accepts_from_a_stream(Props& props) {
  AcceptStream stream(props.listener.fd.get());
  co_return co_await error_of(stream.next());
}
Task<std::error_code> waits_for_a_child(Props& props) {
  Result<Child> child = Child::spawn({"sleep", "1000"});
  EXPECT_TRUE(child);
  props.child = child->pid();
  const std::error_code outcome = co_await error_of(child->wait());
  if (outcome) {
    EXPECT_TRUE(child->kill(SIGKILL));
    const auto reaped = co_await shield(child->wait());
    EXPECT_TRUE(reaped);
  }
  co_return outcome;
}
Task<std::error_code> runs_a_chain(Props& props) {
  const auto done =
      co_await chain(async_nop(), async_recv(props.empty.ours.get(), props.buffer), async_nop());
  if (!done) co_return done.error();
  const Result<std::size_t>& received = std::get<1>(*done);
  co_return received ? std::error_code() : received.error();
}
Task<std::error_code> waits_at_an_inbox(Props&) {
  NumberInbox inbox;
  co_return co_await error_of(inbox.receive());
}

const std::vector<OperationCase>& operations() {
  static const std::vector<OperationCase> all = {
      {"nop", [](Props&) { return error_of(async_nop()); }},
      {"openat", [](Props& p) { return error_of(async_openat(AT_FDCWD, p.path.c_str(), O_RDONLY)); }},
      {"read", [](Props& p) { return error_of(async_read(p.pipe_reader.get(), p.buffer, current_position)); },
       [](Props& p) { send_byte(p.pipe_writer.get()); }},
      {"write", [](Props& p) { return error_of(async_write(p.file.get(), p.buffer, 0)); }},
      {"fsync", [](Props& p) { return error_of(async_fsync(p.file.get())); }},
      {"statx",
       [](Props& p) { return error_of(async_statx(p.file.get(), "", AT_EMPTY_PATH, STATX_SIZE, p.status)); }},
      {"close", closes},
      {"accept", [](Props& p) { return error_of(async_accept(p.listener.fd.get())); },
       [](Props& p) { connect_to(p.listener); }},
      {"connect", connects},
      {"recv", [](Props& p) { return error_of(async_recv(p.empty.ours.get(), p.buffer)); },
       [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"send", [](Props& p) { return error_of(async_send(p.full.ours.get(), p.buffer)); },
       [](Props& p) { drain(p.full.theirs.get()); }},
      {"poll", [](Props& p) { return error_of(async_poll(p.empty.ours.get(), POLLIN)); },
       [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"async_cancel", [](Props& p) { return error_of(async_cancel(p.file.get())); }},
      {"recv into a pool", receives_into_a_pool, [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"recv stream", receives_from_a_stream, [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"accept stream", accepts_from_a_stream, [](Props& p) { connect_to(p.listener); }},
      {"poll stream",
       [](Props& p) -> Task<std::error_code> {
         PollStream stream(p.empty.ours.get(), POLLIN);
         co_return co_await error_of(stream.next());
       },
       [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"recvfrom",
       [](Props& p) { return error_of(async_recvfrom(p.empty.ours, p.buffer, nullptr, nullptr)); },
       [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"send_zc", sends_on_a_full_connection, [](Props& p) { drain(p.tcp_peer.get()); }},
      {"splice",
       [](Props& p) { return error_of(async_splice(p.pipe_reader, current_position, p.file, 0, 1)); },
       [](Props& p) { send_byte(p.pipe_writer.get()); }},
      {"timeout", [](Props&) { return error_of(async_timeout(1h)); }},
      {"futex_wait", [](Props& p) { return error_of(async_futex_wait(p.word, 0)); }, [](Props&) {},
       Opcode::futex_wait},
      {"waitid", waits_for_a_child, [](Props& p) { ::kill(p.child, SIGKILL); }},
      {"chain", runs_a_chain, [](Props& p) { send_byte(p.empty.theirs.get()); }},
      {"inbox", waits_at_an_inbox},
      {"sleep", [](Props&) { return error_of(sleep_for(1h)); }},
      {"join", joins, [](Props& p) { send_byte(p.empty.theirs.get()); }},
  };
  return all;
}

/// A world has neither splice nor futexes nor processes (docs/SIMULATION.md, "Not modelled").
bool is_there(const OperationCase& operation) {
  static const std::set<std::string> not_modelled = {"splice", "futex_wait", "waitid"};
  return !test::is_simulated() || !not_modelled.contains(operation.name);
}

// ---- the ways to be cancelled ----

enum class Way { group, stop_token, deadline, loser };
enum class Moment { before_submit, in_flight, completed };

/// What the operation and the code that cancels it share in one case.
struct Scene {
  test::FaultyKernel kernel;
  Event now;  ///< set to cancel, for the ways that wait for it
  std::stop_source stop;
  std::error_code outcome;
  bool ended = false;
};

constexpr auto patience = 30s;  // long on the real clock

Task<void> attempt(const OperationCase& operation, Props& props, Scene& scene) {
  scene.outcome = co_await operation.run(props);
  scene.ended = true;
}

Task<Result<void>> fails_when_told(Event& now) {
  (void)co_await now.wait();
  co_return failure(EIO);
}
Task<void> in_a_group(const OperationCase& operation, Props& props, Scene& scene) {
  const Result<void> result = co_await with_group([&](TaskGroup& group) -> Task<Result<void>> {
    group.spawn(attempt(operation, props, scene));
    co_return co_await fails_when_told(scene.now);
  });
  EXPECT_EQ(result.error(), std::errc::io_error) << "the failure, not what it cancelled";
}
Task<void> under_a_token(const OperationCase& operation, Props& props, Scene& scene) {
  co_await with_stop_token(scene.stop.get_token(), attempt(operation, props, scene));
}
Task<void> under_a_deadline(const OperationCase& operation, Props& props, Scene& scene) {
  (void)co_await with_timeout(patience, attempt(operation, props, scene));
}
Task<void> in_a_race(const OperationCase& operation, Props& props, Scene& scene) {
  (void)co_await when_any(attempt(operation, props, scene), scene.now.wait());
}

Task<void> in_this_way(Way way, const OperationCase& operation, Props& props, Scene& scene) {
  switch (way) {
    case Way::group:
      return in_a_group(operation, props, scene);
    case Way::stop_token:
      return under_a_token(operation, props, scene);
    case Way::deadline:
      return under_a_deadline(operation, props, scene);
    case Way::loser:
      return in_a_race(operation, props, scene);
  }
  std::abort();
}

void cancel(Way way, Scene& scene) {
  if (way == Way::stop_token) scene.stop.request_stop();
  if (way == Way::deadline) scene.kernel.pass_time(patience);
  scene.now.set();
}

Task<void> turns(int count) {
  for (int i = 0; i < count; ++i) (void)co_await async_nop();
}

Task<void> play(Way way, Moment moment, const OperationCase& operation, Props& props, Scene& scene) {
  JoinHandle<void> playing = spawn(in_this_way(way, operation, props, scene));
  if (moment == Moment::before_submit) {
    // We come after it in the ready queue. By then it has filled its SQE, or armed its timer.
    for (int i = 0; i < 4; ++i) co_await spawn(turns(0));
  } else {
    co_await turns(4);
  }
  // "completed" means that the kernel has completed it. Nobody has looked at its answer when we cancel.
  if (moment == Moment::completed) operation.complete(props);
  cancel(way, scene);
  co_await std::move(playing);
}

class Cancelled : public testing::TestWithParam<std::tuple<Way, Moment>> {};

TEST_P(Cancelled, every_operation_ends_and_leaks_nothing) {
  const auto [way, moment] = GetParam();
  for (const OperationCase& operation : operations() | std::views::filter(is_there)) {
    SCOPED_TRACE(operation.name);
    const int descriptors = test::open_descriptors();
    {
      Props props;
      Scene scene;
      test::run_on_a_worker_here(play(way, moment, operation, props, scene), {.kernel = &scene.kernel});
      EXPECT_TRUE(scene.ended);
      if (operation.need && !test::kernel_has(*operation.need)) {
        EXPECT_EQ(scene.outcome, std::errc::operation_not_supported) << scene.outcome.message();
      } else if (scene.outcome) {
        EXPECT_TRUE(is_cancellation(scene.outcome)) << scene.outcome.message();
        if (way == Way::deadline) {
          EXPECT_EQ(scene.outcome, std::errc::timed_out);
        } else {
          EXPECT_EQ(scene.outcome, std::errc::operation_canceled);
        }
      }
    }
    EXPECT_EQ(test::open_descriptors(), descriptors);
  }
}

// An operation that waits for something must have been cancelled. It must not have waited until it ended by
// itself.
class CancelledWhileItWaits : public testing::TestWithParam<std::tuple<Way, Moment>> {};
TEST_P(CancelledWhileItWaits, is_told_so) {
  const auto [way, moment] = GetParam();
  for (const OperationCase& operation : operations() | std::views::filter(is_there)) {
    // Operations that are done at once need not notice the cancellation.
    static const std::set<std::string> quick = {"nop",   "openat",  "write",        "fsync", "statx",
                                                "close", "connect", "async_cancel", "splice"};
    if (quick.contains(operation.name)) continue;
    if (operation.need && !test::kernel_has(*operation.need)) continue;  // it fails at once
    SCOPED_TRACE(operation.name);
    Props props;
    Scene scene;
    test::run_on_a_worker_here(play(way, moment, operation, props, scene), {.kernel = &scene.kernel});
    EXPECT_TRUE(is_cancellation(scene.outcome)) << scene.outcome.message();
  }
}

std::string case_name(const testing::TestParamInfo<std::tuple<Way, Moment>>& info) {
  static constexpr std::array ways = {"by_a_group", "by_a_stop_token", "by_a_deadline", "as_a_loser"};
  static constexpr std::array moments = {"before_submit", "in_flight", "completed"};
  return std::string(ways[static_cast<std::size_t>(std::get<0>(info.param))]) + "_" +
         moments[static_cast<std::size_t>(std::get<1>(info.param))];
}
const auto every_way = testing::Values(Way::group, Way::stop_token, Way::deadline, Way::loser);
INSTANTIATE_TEST_SUITE_P(In, Cancelled,
                         testing::Combine(every_way, testing::Values(Moment::before_submit, Moment::in_flight,
                                                                     Moment::completed)),
                         case_name);
INSTANTIATE_TEST_SUITE_P(In, CancelledWhileItWaits,
                         testing::Combine(every_way,
                                          testing::Values(Moment::before_submit, Moment::in_flight)),
                         case_name);

// ---- not begun, parked ----

Task<void> in_a_cancelled_scope(int& refused, int& closed) {
  std::stop_source stopped;
  stopped.request_stop();
  const auto body = [](int& no, int& yes) -> Task<void> {
    const Result<void> nop = co_await async_nop();
    if (!nop) ++no;
    const Result<void> slept = co_await sleep_for(1h);
    if (!slept) ++no;
    Event never;
    const Result<void> waited = co_await never.wait();
    if (!waited) ++no;
    const bool knows = co_await is_cancelled();
    if (knows) ++no;
    const Result<void> close = co_await async_close(Fd(test::sys::dup(0)));
    if (close) ++yes;
  };
  co_await with_stop_token(stopped.get_token(), body(refused, closed));
}

TEST(CancelledScope, refuses_what_begins_in_it_but_closing) {
  const int descriptors = test::open_descriptors();
  int refused = 0, closed = 0;
  test::run_on_a_worker_here(in_a_cancelled_scope(refused, closed));
  EXPECT_EQ(refused, 4);
  EXPECT_EQ(closed, 1);
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

// The kernel takes nothing for a while. Parked operations are cancelled without it.
Task<void> parked_and_cancelled(std::atomic<bool>& refusing, int fd, std::vector<std::error_code>& outcomes) {
  std::array<std::byte, 8> buffer;
  std::stop_source stop;
  std::vector<Task<std::error_code>> many;
  for (int i = 0; i < 20; ++i) many.push_back(error_of(async_recv(fd, buffer)));
  const auto cancels = [](std::stop_source& source, std::atomic<bool>& flag) -> Task<void> {
    co_await spawn(turns(0));
    source.request_stop();
    flag = false;
  };
  refusing = true;
  JoinHandle<void> canceller = spawn(cancels(stop, refusing));
  outcomes = co_await with_stop_token(stop.get_token(), when_all(std::move(many)));
  co_await std::move(canceller);
}

TEST(CancelledScope, takes_parked_operations_back) {
  test::FaultyKernel kernel;
  std::atomic<bool> refusing = false;
  kernel.on_enter = [&](unsigned to_submit) { return refusing && to_submit > 0 ? -EBUSY : 0; };
  test::SocketPair pair;
  std::vector<std::error_code> outcomes;
  test::run_on_a_worker_here(parked_and_cancelled(refusing, pair.ours.get(), outcomes),
                             {.sq_entries = 4, .cq_entries = 8, .kernel = &kernel});
  ASSERT_EQ(outcomes.size(), 20U);
  for (const std::error_code& outcome : outcomes) EXPECT_EQ(outcome, std::errc::operation_canceled);
}

Task<void> joins_in_a_chain(int depth) {
  if (depth == 0) {
    (void)co_await sleep_for(1h);
  } else {
    co_await spawn(joins_in_a_chain(depth - 1));
  }
}
TEST(CancelledScope, at_the_end_of_a_long_chain_of_joins_does_not_grow_the_stack) {
  RunningWorker running;
  auto chain = running.worker.spawn(joins_in_a_chain(50'000));
  while (running.worker.dump_tasks(1h)->tasks.size() <= 50'000) {
  }
  chain->request_cancel();
  sync_wait(std::move(*chain));
}

// ---- races ----

Task<void> accepts_or_not(int listener, std::stop_token token, int& accepted) {
  const Result<Fd> client = co_await with_stop_token(token, async_accept(listener));
  if (client) ++accepted;
}
Task<void> races(test::Listener& listener, int count, int& accepted) {
  for (int i = 0; i < count; ++i) {
    std::stop_source stop;
    JoinHandle<void> accepting = spawn(accepts_or_not(listener.fd.get(), stop.get_token(), accepted));
    (void)co_await async_nop();
    connect_to(listener);  // the kernel accepts; nobody has seen it yet
    stop.request_stop();
    co_await std::move(accepting);
  }
}

TEST(Races, of_accept_and_cancel_leak_no_descriptor) {
  constexpr int count = 10'000;
  const int descriptors = test::open_descriptors();
  int accepted = 0;
  {
    test::Listener listener;
    test::run_on_a_worker_here(races(listener, count, accepted));
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
  EXPECT_GT(accepted, 0) << "some came before the cancellation";
}

/// A thread that requests a stop as soon as it is shown a source.
class Stopper {
 public:
  ~Stopper() {
    show(&quit_);
    thread_.join();
  }
  void show(std::stop_source* source) { shown_.store(source, std::memory_order_release); }

 private:
  void live() {
    for (;;) {
      std::stop_source* const source = shown_.exchange(nullptr, std::memory_order_acq_rel);
      if (source == &quit_) return;
      if (source == nullptr) {
        std::this_thread::yield();
        continue;
      }
      source->request_stop();
      acknowledged_.fetch_add(1, std::memory_order_release);
    }
  }

 public:
  std::atomic<std::uint64_t> acknowledged_ = 0;

 private:
  std::stop_source quit_;
  std::atomic<std::stop_source*> shown_ = nullptr;
  std::thread thread_{[this] { live(); }};
};

// The stop and the natural end come at the same moment, from different threads.
Task<void> stopped_or_done(int count, Stopper& stopper, int fd, int peer, int& stopped, int& done) {
  std::array<std::byte, 1> buffer;
  for (int i = 0; i < count; ++i) {
    std::stop_source stop;
    stopper.show(&stop);
    if (i % 2 == 0) send_byte(peer);
    const Result<std::size_t> got = co_await with_stop_token(stop.get_token(), async_recv(fd, buffer));
    ++(got ? done : stopped);
    if (i % 2 == 0 && !got) {
      const Result<std::size_t> rest = co_await async_recv(fd, buffer);
      EXPECT_TRUE(rest) << "the byte is still there";
    }
    // The source lives until the other thread no longer uses it.
    while (stopper.acknowledged_.load(std::memory_order_acquire) != static_cast<std::uint64_t>(i) + 1) {
      std::this_thread::yield();
    }
  }
}

TEST(Races, of_a_stop_from_another_thread_and_the_natural_end) {
  constexpr int count = 100'000;
  int stopped = 0, done = 0;
  test::SocketPair pair;
  Stopper stopper;
  test::run_on_a_worker_here(
      stopped_or_done(count, stopper, pair.ours.get(), pair.theirs.get(), stopped, done));
  EXPECT_EQ(stopped + done, count);
  EXPECT_GE(stopped, count / 2) << "without a byte only the stop ends it";
}

// A strand that keeps hopping is found wherever it is.
Task<int> wanders(Worker& first, Worker& second) {
  int hops = 0;
  for (;; ++hops) {
    Worker& next = hops % 2 == 0 ? first : second;
    const Result<void> hopped = co_await SwitchToWorker(next);
    if (!hopped) co_return hops;
    const Result<void> nop = co_await async_nop();
    if (!nop) co_return hops;
  }
}
TEST(Races, of_a_stop_and_a_strand_that_hops) {
  constexpr int rounds = test::under_tsan ? 200 : 2'000;
  RunningWorker first, second;
  int total = 0;
  for (int round = 0; round < rounds; ++round) {
    auto wandering = first.worker.spawn(wanders(first.worker, second.worker));
    ASSERT_TRUE(wandering);
    // Not so that the test is right: so that the stop comes at another moment each time.
    if (round % 3 != 0) std::this_thread::sleep_for(std::chrono::microseconds(round % 97));
    wandering->request_cancel();
    total += sync_wait(std::move(*wandering));
  }
  EXPECT_GT(total, 0);
}

Task<Result<int>> wanders_for(Worker& other, Duration duration) {
  const auto away = [](Worker& there) -> Task<Result<int>> {
    const Result<void> hopped = co_await SwitchToWorker(there);
    if (!hopped) co_return std::unexpected(hopped.error());
    const Result<void> slept = co_await sleep_for(1h);
    if (!slept) co_return std::unexpected(slept.error());
    co_return 0;
  };
  co_return co_await with_timeout(duration, away(other));
}
Task<void> deadlines_abroad(Worker& other, int count) {
  Worker* const home = Worker::current();
  for (int i = 0; i < count; ++i) {
    const Result<int> result = co_await wanders_for(other, std::chrono::microseconds(i % 300));
    EXPECT_FALSE(result);
    if (!result) {
      EXPECT_EQ(result.error(), std::errc::timed_out) << result.error().message();
    }
    EXPECT_EQ(Worker::current(), home) << "a deadline's end is at home";
  }
}
TEST(Races, of_a_deadline_and_a_coroutine_that_is_on_another_worker) {
  RunningWorker other;
  test::run_on_a_worker_here(deadlines_abroad(other.worker, test::under_tsan ? 200 : 1'000));
}

}  // namespace
}  // namespace corering
