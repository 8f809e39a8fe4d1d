/// shutdown_test.cpp — stopping at every moment, and what delays the end of a worker.
#include <array>
#include <sys/mman.h>
#include <thread>

#include <gtest/gtest.h>

#include "support/story.hpp"
#include "support/tasks.hpp"

namespace corering {
namespace {

using test::nothing;

using namespace std::chrono_literals;
using test::RunningWorker;

/// Counts the operations of a script and stops the worker at a given one.
struct Script {
  int stop_at;
  int operations = 0;
  TimePoint stopped_at;
  std::uint16_t port;
  Fd file;
  std::array<std::byte, 512> buffer{};

  void step() {
    if (++operations != stop_at) return;
    stopped_at = os::now();
    Worker::current()->request_stop();
  }
};

Task<void> echo_once(Fd client) {
  std::array<std::byte, 64> buffer;
  for (;;) {
    const Result<std::size_t> got = co_await async_recv(client.get(), buffer);
    if (!got || *got == 0) co_return;
    const Result<std::size_t> sent = co_await async_send(client.get(), std::span(buffer).first(*got));
    if (!sent) co_return;
  }
}
Task<Result<void>> serves(TaskGroup& group, int listener) {
  for (;;) {
    Result<Fd> client = co_await async_accept(listener);
    if (!client) co_return std::unexpected(client.error());
    group.spawn(echo_once(std::move(*client)));
  }
}
Task<Result<void>> talks(Script& script, const sockaddr* address, socklen_t length) {
  const Fd socket(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  script.step();
  const Result<void> connected = co_await async_connect(socket.get(), address, length);
  if (!connected) co_return connected;
  for (int i = 0; i < 4; ++i) {
    script.step();
    const Result<std::size_t> sent =
        co_await async_send(socket.get(), std::as_bytes(std::span("hello")), MSG_WAITALL);
    if (!sent) co_return std::unexpected(sent.error());
    script.step();
    const Result<std::size_t> got = co_await with_timeout(1h, async_recv(socket.get(), script.buffer));
    if (!got) co_return std::unexpected(got.error());
  }
  co_return Result<void>();
}
Task<Result<void>> works_with_files(Script& script) {
  for (int i = 0; i < 4; ++i) {
    script.step();
    const Result<std::size_t> written = co_await async_write(script.file.get(), script.buffer, 0);
    if (!written) co_return std::unexpected(written.error());
    script.step();
    const auto [read, synced] =
        co_await when_all(async_read(script.file.get(), script.buffer, 0), async_fsync(script.file.get()));
    if (!read) co_return std::unexpected(read.error());
    script.step();
    const auto first = co_await when_any(sleep_for(Duration(1000)), async_nop(), sleep_for(1h));
    (void)first;
    const bool over = co_await is_cancelled();
    if (over) co_return failure(ECANCELED);
  }
  co_return Result<void>();
}
Task<void> repeats(Script& script, int rounds) {
  const test::Listener listener(script.port);
  EXPECT_TRUE(listener.bound) << "the port is free again: " << strerror(errno);
  for (int round = 0; round < rounds; ++round) {
    const Result<void> ended = co_await with_group([&](TaskGroup& group) -> Task<Result<void>> {
      group.spawn(serves(group, listener.fd.get()));
      const auto [talk, work] =
          co_await when_all(talks(script, listener.get(), sizeof listener.address), works_with_files(script));
      group.cancel();
      if (!talk) co_return talk;
      co_return work;
    });
    if (!ended) break;
  }
  Worker::current()->request_stop();
}

TEST(Stop, at_each_of_500_operations_ends_soon_and_leaves_nothing) {
  const int descriptors = test::open_descriptors();
  const std::uint16_t port = test::port_to_rebind();
  for (int stop_at = 1; stop_at <= 500; ++stop_at) {
    Script script{
        .stop_at = stop_at,
        .port = port,
        .file = Fd(::memfd_create("script", MFD_CLOEXEC))};  // a busy disk's fsync would count as ours
    {
      Worker worker;
      const Result<void> ran = worker.run([&](Worker&) { spawn(repeats(script, 1'000)).detach(); });
      ASSERT_TRUE(ran) << ran.error().message();
    }
    ASSERT_GE(script.operations, stop_at);
    ASSERT_LT(os::now() - script.stopped_at, 1s) << "stopped at operation " << stop_at;
    script.file.reset();
    ASSERT_EQ(test::open_descriptors(), descriptors) << "stopped at operation " << stop_at;
  }
}

Task<void> cleans_up(std::vector<std::string>& steps) {
  const Result<void> slept = co_await sleep_for(1h);
  steps.push_back(slept ? "slept" : "cancelled");
  const auto says_goodbye = [](std::vector<std::string>& into) -> Task<void> {
    const Result<void> flushed = co_await sleep_for(5ms);
    into.push_back(flushed ? "goodbye" : "cut off");
    const Result<void> nop = co_await async_nop();
    into.push_back(nop ? "done" : "cut off");
  };
  co_await shield(says_goodbye(steps));
  const Result<void> after = co_await async_nop();
  steps.push_back(after ? "goes on" : "no more");
}

TEST(Stop, lets_shielded_clean_up_finish) {
  std::vector<std::string> steps;
  {
    RunningWorker running;
    running.worker.spawn(cleans_up(steps))->detach();
    sync_wait(*running.worker.spawn(nothing()));
  }
  EXPECT_EQ(steps, (std::vector<std::string>{"cancelled", "goodbye", "done", "no more"}));
}

Task<void> shielded_for_ever(int fd, std::error_code& ended) {
  std::array<std::byte, 1> buffer;
  const Result<std::size_t> got = co_await shield(async_recv(fd, buffer));
  if (!got) ended = got.error();
}

// The shield does not end by itself. After the patience it is named, and its task is cancelled.
TEST(Stop, names_and_cancels_what_is_shielded_too_long) {
  test::SocketPair pair;
  std::error_code ended;
  std::vector<TaskDump> reports;
  unsigned line = 0;
  {
    RunningWorker running(
        {.stop_patience = 20ms, .on_stuck = [&](const TaskDump& dump) { reports.push_back(dump); }});
    line = __LINE__ + 1;
    running.worker.spawn(shielded_for_ever(pair.ours.get(), ended))->detach();
    sync_wait(*running.worker.spawn(nothing()));
  }
  EXPECT_EQ(ended, std::errc::operation_canceled);
  ASSERT_GE(reports.size(), 1U);
  ASSERT_EQ(reports[0].tasks.size(), 1U);
  const TaskInfo& stuck = reports[0].tasks[0];
  EXPECT_EQ(stuck.waits_for, "recv (fd " + std::to_string(pair.ours.get()) + ")");
  EXPECT_TRUE(stuck.shielded);
  EXPECT_GE(stuck.waiting.value(), 19ms);
  ASSERT_GE(stuck.awaits.size(), 1U);
  EXPECT_NE(std::string(stuck.awaits[0].file_name()).find("shutdown_test.cpp"), std::string::npos);
  EXPECT_EQ(stuck.spawned_at.line(), line);
}

Task<void> waits_over_there_in_a_shield(Worker& there, Event& never, std::error_code& ended) {
  const auto waits = [](Worker& to, Event& event, std::error_code& how) -> Task<void> {
    (void)co_await SwitchToWorker(to);
    const Result<void> waited = co_await event.wait();
    if (!waited) how = waited.error();
  };
  co_await shield(waits(there, never, ended));
}

// Nothing but the visitor itself is there: no operation, no timer, and its shield belongs to another worker.
TEST(Stop, waits_for_a_visitor_that_only_the_end_of_its_patience_sends_home) {
  Event never;
  std::error_code ended;
  RunningWorker home;
  std::optional<JoinHandle<void>> visitor;
  {
    RunningWorker there({.stop_patience = 10ms, .on_stuck = [](const TaskDump&) {}});
    visitor = std::move(*home.worker.spawn(waits_over_there_in_a_shield(there.worker, never, ended)));
    while (there.worker.dump_tasks(1h)->tasks.empty()) std::this_thread::yield();
  }
  sync_wait(std::move(*visitor));
  EXPECT_EQ(ended, std::errc::operation_canceled);
}

Task<void> blocks_elsewhere(BlockingPool& pool, SharedEvent& begun, SharedEvent& gate) {
  const auto wait = [&begun, &gate] {
    begun.set();
    gate.wait_blocking();
  };
  (void)co_await offload(pool, wait);
}

Task<Result<void>> sleeps_a_little() { co_return co_await sleep_for(30ms); }
Task<void> shielded_in_every_way(Worker& there, Event& begun, std::vector<std::string>& ends) {
  const auto note = [&ends](const char* what, const Result<void>& result) {
    ends.push_back(std::string(what) + (result ? "" : ": " + result.error().message()));
  };
  begun.set();
  const auto [one, two] = co_await shield(when_all(sleeps_a_little(), sleeps_a_little()));
  note("when_all", one && two ? Result<void>() : failure(ECANCELED));
  note("group", co_await shield(with_group([](TaskGroup& group) -> Task<void> {
         group.spawn(sleeps_a_little());
         co_return;
       })));
  note("abroad", co_await shield(sleep_for(30ms).on(there)));
}

TEST(Stop, spares_what_is_inside_a_shield_wherever_it_is) {
  std::vector<std::string> ends;
  Event begun;
  {
    RunningWorker there;
    RunningWorker running;
    running.worker.spawn(shielded_in_every_way(there.worker, begun, ends))->detach();
    sync_wait(*running.worker.spawn(nothing()));
  }
  EXPECT_EQ(ends, (std::vector<std::string>{"when_all", "group", "abroad"}));
}

TEST(Stop, of_the_worker_that_is_visited_spares_a_shielded_visitor) {
  std::error_code ended;
  bool finished = false;
  RunningWorker home;
  const auto visits_shielded = [](Worker& to, bool& done) -> Task<void> {
    done = (co_await shield(sleep_for(50ms).on(to))).has_value();
  };
  std::optional<JoinHandle<void>> visitor;
  {
    RunningWorker there;
    visitor = std::move(*home.worker.spawn(visits_shielded(there.worker, finished)));
    while (there.worker.dump_tasks(1h)->tasks.empty()) std::this_thread::yield();
  }
  sync_wait(std::move(*visitor));
  EXPECT_TRUE(finished);
}

// A shield on another worker no longer protects its task, either, and the task is named.
Task<void> shielded_abroad(Worker& there) {
  const auto leaves = [](Worker& to) -> Task<void> {
    (void)co_await SwitchToWorker(to);
    (void)co_await shield(sleep_for(1h));
  };
  (void)co_await with_timeout(1h, leaves(there));
}

TEST(Stop, loses_patience_with_what_is_abroad_too) {
  RunningWorker there;
  std::vector<TaskDump> reports;
  {
    RunningWorker home(
        {.stop_patience = 20ms, .on_stuck = [&](const TaskDump& dump) { reports.push_back(dump); }});
    home.worker.spawn(shielded_abroad(there.worker))->detach();
    while (there.worker.dump_tasks(1h)->tasks.empty()) std::this_thread::yield();
  }
  ASSERT_GE(reports.size(), 1U);
  ASSERT_EQ(reports[0].tasks.size(), 1U);
  EXPECT_EQ(reports[0].tasks[0].waits_for, "something on another worker");
}

// It leaves the worker while that worker is already stopping. The scope that must be closed there is
// cancelled from the start.
Task<void> leaves_while_it_stops(Worker& there, std::error_code& ended) {
  (void)co_await sleep_for(1h);
  const auto later = [](Worker& to, std::error_code& into) -> Task<void> {
    const Result<void> slept = co_await sleep_for(1h).on(to);
    if (!slept) into = slept.error();
  };
  spawn(later(there, ended)).detach();
}

TEST(Stop, cancels_what_leaves_the_worker_meanwhile) {
  RunningWorker there;
  std::error_code ended;
  std::atomic<int> reports = 0;
  {
    RunningWorker home({.stop_patience = 10s, .on_stuck = [&](const TaskDump&) { ++reports; }});
    home.worker.spawn(leaves_while_it_stops(there.worker, ended))->detach();
    sync_wait(*home.worker.spawn(nothing()));
  }
  EXPECT_EQ(ended, std::errc::operation_canceled);
  EXPECT_EQ(reports, 0);
}

TEST(Stop, of_a_worker_that_never_ran_knows_no_shields) {
  std::vector<std::error_code> ends;
  RunningWorker there;
  const auto tries_everything = [](Worker& other, std::vector<std::error_code>& into) -> Task<void> {
    std::array<std::byte, 1> buffer;
    const Result<std::size_t> read = co_await shield(async_read(0, buffer, 0));
    const Result<void> slept = co_await shield(sleep_for(1ms));
    const Result<void> abroad = co_await sleep_for(1h).on(other);
    into = {read.error(), slept.error(), abroad.error()};
  };
  {
    Worker never;
    never.spawn(tries_everything(there.worker, ends))->detach();
  }
  EXPECT_EQ(ends, std::vector<std::error_code>(3, std::error_code(ECANCELED, std::system_category())));
}

TEST(Stop, with_no_patience_reports_now_and_then_only) {
  BlockingPool pool;
  SharedEvent begun, gate;
  std::atomic<int> reports = 0;
  const TimePoint began = os::now();
  {
    RunningWorker running({.stop_patience = Duration::zero(), .on_stuck = [&](const TaskDump&) {
                             if (++reports == 10) gate.set();
                           }});
    running.worker.spawn(blocks_elsewhere(pool, begun, gate))->detach();
    begun.wait_blocking();
  }
  EXPECT_GE(reports, 10);
  EXPECT_LE(reports, 2 + (os::now() - began) / 10ms);
}

// If something cannot be cancelled, the worker names it again and again, and waits for it.
TEST(Stop, names_what_cannot_be_cancelled_until_it_ends) {
  BlockingPool pool;
  SharedEvent begun, gate;
  std::atomic<int> reports = 0;
  std::string text;
  {
    RunningWorker running({.stop_patience = 5ms, .on_stuck = [&](const TaskDump& dump) {
                             text = dump.to_string();
                             if (++reports == 3) gate.set();
                           }});
    running.worker.spawn(blocks_elsewhere(pool, begun, gate))->detach();
    begun.wait_blocking();
  }
  EXPECT_GE(reports, 3);  // more, if the function takes longer to return than the worker's patience
  EXPECT_NE(text.find("waits for a function on a blocking pool, for 0."), std::string::npos) << text;
  EXPECT_NE(text.find("shutdown_test.cpp"), std::string::npos) << text;
}

// Passes on what is printed, and opens the gate when it is the message.
void stop_with_something_stuck() {
  std::array<int, 2> fds{};
  if (test::sys::pipe2(fds.data(), O_CLOEXEC) != 0) std::abort();
  const Fd shown(::dup(STDERR_FILENO));
  ::dup2(fds[1], STDERR_FILENO);
  BlockingPool pool;
  SharedEvent begun, gate;
  std::jthread reader([&gate, &shown, from = fds[0]] {
    std::string text;
    std::array<char, 256> some{};
    while (text.find("cannot stop yet") == std::string::npos) {
      const ssize_t length = test::sys::read(from, some.data(), some.size());
      if (length <= 0 ||
          test::sys::write(shown.get(), some.data(), static_cast<std::size_t>(length)) != length)
        std::_Exit(1);
      text.append(some.data(), static_cast<std::size_t>(length));
    }
    gate.set();
  });
  {
    RunningWorker running({.stop_patience = 1ms});
    running.worker.spawn(blocks_elsewhere(pool, begun, gate))->detach();
    begun.wait_blocking();
  }
  std::_Exit(0);
}

TEST(StopDeathTest, prints_what_holds_it_up_unless_somebody_else_does) {
  EXPECT_EXIT(stop_with_something_stuck(), testing::ExitedWithCode(0),
              "cannot stop yet, worker corering: 1 tasks");
}

Task<void> visits(Worker& there, std::error_code& ended) {
  const Result<void> slept = co_await sleep_for(1h).on(there);
  if (!slept) ended = slept.error();
}

TEST(Stop, calls_back_who_is_on_another_worker) {
  RunningWorker there;
  std::error_code ended;
  {
    RunningWorker home;
    home.worker.spawn(visits(there.worker, ended))->detach();
    sync_wait(*home.worker.spawn(nothing()));
  }
  EXPECT_EQ(ended, std::errc::operation_canceled);
}

Task<void> is_visited_then_goes_on(Worker& there, std::error_code& ended, bool& went_on) {
  co_await visits(there, ended);
  went_on = (co_await async_nop()).has_value();
}

TEST(Stop, sends_visitors_home_without_cancelling_them) {
  RunningWorker home;
  std::error_code ended;
  bool went_on = false;
  std::optional<JoinHandle<void>> visitor;
  {
    RunningWorker there;
    visitor = std::move(*home.worker.spawn(is_visited_then_goes_on(there.worker, ended, went_on)));
    while (there.worker.dump_tasks(1h)->tasks.empty()) std::this_thread::yield();
  }
  sync_wait(std::move(*visitor));
  EXPECT_EQ(ended, std::errc::operation_canceled);
  EXPECT_TRUE(went_on);
}

}  // namespace
}  // namespace corering
