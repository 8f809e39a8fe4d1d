/// machine_test.cpp — what a machine has beside files and sockets: threads of a pool, names, signals,
/// children.
#include <array>
#include <chrono>
#include <csignal>
#include <dirent.h>
#include <netdb.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <vector>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

namespace corering {
namespace {

using namespace std::chrono_literals;

std::string text_of(const Result<std::vector<Address>>& found) {
  if (!found) return found.error().category().name() + (":" + std::to_string(found.error().value()));
  std::string text;
  for (const Address& one : *found) text += (text.empty() ? "" : " ") + one.to_string();
  return text;
}
std::string failed(int error) { return "corering.lookup:" + std::to_string(error); }

// ---- names ----

Task<void> looks_up(std::vector<std::string>& texts) {
  BlockingPool pool;
  for (const auto& [host, service] : {std::pair("db", "5432"), std::pair("localhost", "http"),
                                      std::pair("10.1.2.3", "1"), std::pair("::1", "65535")})
    texts.push_back(text_of(co_await lookup(pool, host, service)));
  texts.push_back(text_of(co_await lookup(pool, "", "7000")));
  texts.push_back(text_of(co_await lookup(pool, "nobody", "80")));
  texts.push_back(text_of(co_await lookup(pool, "db", "gopherspace")));
}

TEST(SimMachine, looks_up_the_names_that_it_was_told) {
  sim::World world;
  world.name_host("db", {"10.0.0.7", "fd00::7"});
  std::vector<std::string> texts;
  EXPECT_EQ(world.run(looks_up(texts)).failure, "");
  const std::vector<std::string> expected = {"10.0.0.7:5432",    "[fd00::7]:5432",   "127.0.0.1:80",
                                             "10.1.2.3:1",       "[::1]:65535",      "0.0.0.0:7000 [::]:7000",
                                             failed(EAI_NONAME), failed(EAI_SERVICE)};
  ASSERT_EQ(texts.size(), 7U);
  EXPECT_EQ(texts[0], expected[0] + " " + expected[1]);
  EXPECT_EQ(std::vector(texts.begin() + 1, texts.end()), std::vector(expected.begin() + 2, expected.end()));
}

TEST(SimMachine, may_fail_to_look_a_name_up_for_now) {
  sim::WorldOptions options;
  options.faults[sim::Fault::lookup_fails] = {.one_in = 1, .budget = 1};
  sim::World world(options);
  world.name_host("db", {"10.0.0.7"});
  std::vector<std::string> texts;
  EXPECT_EQ(world.run(looks_up(texts)).failure, "");
  ASSERT_EQ(texts.size(), 7U);
  EXPECT_EQ(texts[0], failed(EAI_AGAIN));
  EXPECT_EQ(texts[1], "127.0.0.1:80") << "once only";
}

// ---- threads of a pool ----

Task<void> offloads(BlockingPool& pool, int number, std::vector<int>& order) {
  const Result<int> got = co_await offload(pool, [number] { return number; });
  if (got) order.push_back(*got);
}

Task<void> offloads_many(std::vector<int>& order) {
  BlockingPool pool({.max_threads = 3});
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < 7; ++i) all.push_back(spawn(offloads(pool, i, order)));
  for (JoinHandle<void>& one : all) co_await std::move(one);
  EXPECT_EQ(pool.threads(), 0U);
}

std::vector<int> order_of(std::uint64_t seed) {
  std::vector<int> order;
  EXPECT_EQ(sim::World({.seed = seed}).run(offloads_many(order)).failure, "");
  return order;
}

TEST(SimMachine, runs_the_jobs_of_a_pool_when_the_seed_says) {
  const std::vector<int> first = order_of(1);
  EXPECT_EQ(first.size(), 7U);
  EXPECT_EQ(first, order_of(1));
  bool is_another_order = false;
  for (std::uint64_t seed = 2; seed < 20; ++seed)
    is_another_order = is_another_order || order_of(seed) != first;
  EXPECT_TRUE(is_another_order);
}

/// Seven jobs, of which the last one is cancelled when it has no thread yet.
Task<void> withdraws(BlockingPool& pool, std::vector<int>& order) {
  std::vector<JoinHandle<void>> all;
  for (int i = 0; i < 7; ++i) all.push_back(spawn(offloads(pool, i, order)));
  (void)co_await async_nop();
  all.back().request_cancel();
  for (JoinHandle<void>& one : all) co_await std::move(one);
}

TEST(SimMachine, does_not_run_a_job_that_was_cancelled_in_line) {
  for (std::uint64_t seed = 1; seed < 10; ++seed) {
    std::vector<int> order;
    BlockingPool pool({.max_threads = 1});
    EXPECT_EQ(sim::World({.seed = seed}).run(withdraws(pool, order)).failure, "");
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  }
}

/// It is cancelled, and so withdrawn, before the only thread has begun it.
Task<void> is_cancelled_at_once(BlockingPool& pool) {
  std::vector<int> none;
  auto job = spawn(offloads(pool, 1, none));
  (void)co_await async_nop();
  job.request_cancel();
  co_await std::move(job);
  EXPECT_TRUE(none.empty());
}

// What the first world had planned ends with it, and counts no longer.
TEST(SimMachine, leaves_a_pool_as_it_was) {
  BlockingPool pool({.max_threads = 1});
  for (std::uint64_t seed = 1; seed < 10; ++seed) {
    EXPECT_EQ(sim::World({.seed = seed}).run(is_cancelled_at_once(pool)).failure, "");
    std::vector<int> order;
    EXPECT_EQ(sim::World({.seed = seed}).run(offloads(pool, 5, order)).failure, "");
    EXPECT_EQ(order, std::vector<int>{5});
  }
}

Task<void> drops_a_pool() {
  {
    BlockingPool pool;
    co_await is_cancelled_at_once(pool);
  }
  (void)co_await sleep_for(1s);  // what was planned for it comes now
}

TEST(SimMachine, runs_nothing_for_a_pool_that_has_gone) {
  EXPECT_EQ(sim::World().run(drops_a_pool()).failure, "");
}

Task<void> offloads_what_throws() {
  BlockingPool pool;
  (void)co_await offload(pool, [] { throw std::runtime_error("thrown by a job"); });
}

TEST(SimMachine, lets_the_exception_of_a_job_out) {
  EXPECT_THROW((void)sim::World().run(offloads_what_throws()), std::runtime_error);
}

Task<void> lists(std::string& text) {
  (void)co_await async_mkdirat(AT_FDCWD, "/some", 0755);
  (void)co_await async_mkdirat(AT_FDCWD, "/some/inner", 0755);
  (void)co_await async_mkdirat(AT_FDCWD, "/some/inner/hidden", 0755);
  Result<File> file = co_await File::create("/some/file");
  if (file) (void)co_await file->close();
  BlockingPool pool;
  const auto all = co_await list_directory(pool, "/some");
  for (const DirectoryEntry& one : all.value()) text += one.name + (one.type == DT_DIR ? "/ " : " ");
  const auto none = co_await list_directory(pool, "/nowhere");
  EXPECT_EQ(none.error(), std::errc::no_such_file_or_directory);
  const auto not_one = co_await list_directory(pool, "/some/file");
  EXPECT_EQ(not_one.error(), std::errc::not_a_directory);
  const auto empty = co_await list_directory(pool, "");
  EXPECT_EQ(empty.error(), std::errc::no_such_file_or_directory);
}

TEST(SimMachine, lists_its_own_directories) {
  sim::World world;
  std::string text;
  EXPECT_EQ(world.run(lists(text)).failure, "");
  EXPECT_EQ(text, "file inner/ ");
}

// ---- signals ----

Task<void> awaits_signals(std::vector<int>& got) {
  Signals signals = Signals::block({SIGTERM, SIGHUP}).value();
  for (int i = 0; i < 2; ++i) {
    const Result<int> signal = co_await signals.next();
    got.push_back(signal.value_or(-1));
  }
  const Result<int> none = co_await with_timeout(1h, signals.next());
  EXPECT_EQ(none.error(), std::errc::timed_out);
}

TEST(SimMachine, sends_signals) {
  sim::World world;
  world.after(5ms, [&world] { world.send_signal(SIGTERM); });
  world.after(10ms, [&world] {
    for (int i = 0; i < 2; ++i) world.send_signal(SIGHUP);  // they count once
  });
  std::vector<int> got;
  EXPECT_EQ(world.run(awaits_signals(got)).failure, "");
  EXPECT_EQ(got, (std::vector<int>{SIGTERM, SIGHUP}));
}

TEST(SimMachine, ignores_signals_as_the_system_does) {
  sim::World world;
  world.after(5ms, [&world] {
    for (const int signal : {SIGCHLD, SIGCONT, SIGURG, SIGWINCH}) world.send_signal(signal);
  });
  const auto sleeps = []() -> Task<void> { (void)co_await sleep_for(1h); };
  EXPECT_EQ(world.run(sleeps()).failure, "");
}

Task<void> blocks_without_a_descriptor() {
  const Result<Signals> signals = Signals::block({SIGTERM});
  EXPECT_EQ(signals.error(), std::errc::too_many_files_open);
  (void)co_await sleep_for(1h);
}

// As on Linux, where the signals are blocked before there is a descriptor.
TEST(SimMachine, blocks_signals_also_when_there_is_no_descriptor) {
  sim::WorldOptions options;
  options.faults[sim::Fault::emfile] = {.one_in = 1, .budget = 1};
  sim::World world(options);
  world.after(5ms, [&world] { world.send_signal(SIGTERM); });
  EXPECT_EQ(world.run(blocks_without_a_descriptor()).failure, "");
}

TEST(SimMachine, calls_never_what_is_planned_for_never) {
  sim::World world;
  bool is_called = false;
  const auto plans = [](sim::World& here, bool& called) -> Task<void> {
    (void)co_await sleep_for(1h);
    here.after(std::chrono::hours::max(), [&called] { called = true; });
    (void)co_await sleep_for(1h);
  };
  EXPECT_EQ(world.run(plans(world, is_called)).failure, "");
  EXPECT_FALSE(is_called);
}

TEST(SimMachine, ends_a_program_with_a_signal_that_it_has_not_blocked) {
  sim::World world;
  world.after(5ms, [&world] { world.send_signal(SIGTERM); });
  const auto sleeps = []() -> Task<void> { (void)co_await sleep_for(1h); };
  EXPECT_THROW((void)world.run(sleeps()), std::logic_error);
  EXPECT_LT(world.elapsed(), 1h);
}

// ---- children ----

std::optional<sim::ChildPlan> known_programs(const std::vector<std::string>& arguments) {
  const std::string& program = arguments.front();
  if (program == "date") return sim::ChildPlan{.output = "a day\n", .error = "a warning\n"};
  if (program == "false") return sim::ChildPlan{.code = 1};
  if (program == "crashes") return sim::ChildPlan{.signal = SIGSEGV};
  if (program == "talks") return sim::ChildPlan{.output = std::string(200'000, 'x')};
  if (program == "sort") return sim::ChildPlan{.output = "sorted\n", .reads_to_the_end = true};
  if (program == "daemon") return sim::ChildPlan{.runs_for = std::chrono::hours::max()};
  if (program == "sleeps") return sim::ChildPlan{.runs_for = 10h};
  return std::nullopt;
}

constexpr ChildOptions piped = {.input = ChildOptions::Stream::pipe,
                                .output = ChildOptions::Stream::pipe,
                                .error = ChildOptions::Stream::pipe};

Task<std::string> reads_all(PipeReader& from) {
  std::string text;
  for (std::array<std::byte, 512> buffer;;) {
    const Result<std::size_t> got = co_await from.read(buffer);
    if (!got || *got == 0) break;
    text.append(reinterpret_cast<const char*>(buffer.data()), *got);
  }
  co_return text;
}

Task<Result<std::string>> as_result(PipeReader& from) { co_return co_await reads_all(from); }

std::string text_of(const Result<ChildExit>& exit) {
  if (!exit) return exit.error().message();
  return exit->code ? "code " + std::to_string(*exit->code)
                    : "signal " + std::to_string(exit->signal.value_or(0));
}

Task<void> runs(std::string program, std::string& told) {
  Result<Child> child = Child::spawn({program}, piped);
  if (!child) {
    told = child.error().message();
    co_return;
  }
  told = co_await reads_all(*child->output());
  told += co_await reads_all(*child->error());
  const Result<ChildExit> exit = co_await child->wait();
  told += text_of(exit);
  const Result<ChildExit> again = co_await child->wait();
  EXPECT_EQ(again.error(), std::errc::no_child_process);
  EXPECT_EQ(child->kill(SIGTERM).error(), std::errc::no_such_process);
}

std::string told_by(const std::string& program) {
  sim::World world;
  world.on_spawn(known_programs);
  std::string told;
  EXPECT_EQ(world.run(runs(program, told)).failure, "");
  return told;
}

TEST(SimMachine, has_children_that_write_and_end) {
  EXPECT_EQ(told_by("date"), "a day\na warning\ncode 0");
  EXPECT_EQ(told_by("false"), "code 1");
  EXPECT_EQ(told_by("crashes"), "signal " + std::to_string(SIGSEGV));
  EXPECT_EQ(told_by("talks").size(), 200'006U) << "more than a pipe holds";
  EXPECT_EQ(told_by("unheard-of"), "No such file or directory");
}

Task<void> feeds(std::string& told) {
  Child child = Child::spawn({"sort"}, piped).value();
  const std::vector<std::byte> much(150'000);
  const Result<void> written = co_await child.input()->write_all(much);
  EXPECT_TRUE(written.has_value());
  const Result<Result<ChildExit>> early = co_await with_timeout(1h, child.wait());
  told = early && *early ? text_of(*early) : "no end";
  told += " " + co_await reads_all(*child.output());
}

TEST(SimMachine, has_children_that_end_after_their_input) {
  sim::World world;
  world.on_spawn(known_programs);
  std::string told;
  EXPECT_EQ(world.run(feeds(told)).failure, "");
  EXPECT_EQ(told, "code 0 sorted\n");
}

Task<void> kills(std::string& told, std::vector<int>& signals_got) {
  Signals signals = Signals::block({SIGCHLD}).value();
  Child child = Child::spawn({"sleeps"}).value();
  const auto too_early = co_await with_timeout(1min, child.wait());
  EXPECT_EQ(too_early.error(), std::errc::timed_out);
  EXPECT_TRUE(child.kill(SIGCONT));
  EXPECT_TRUE(child.kill(SIGTERM));
  const Result<ChildExit> exit = co_await child.wait();
  told = text_of(exit);
  const Result<int> signal = co_await signals.next();
  signals_got.push_back(signal.value_or(-1));
}

TEST(SimMachine, has_children_that_can_be_killed) {
  sim::World world;
  world.on_spawn(known_programs);
  std::string told;
  std::vector<int> signals;
  EXPECT_EQ(world.run(kills(told, signals)).failure, "");
  EXPECT_EQ(told, "signal " + std::to_string(SIGTERM));
  EXPECT_EQ(signals, std::vector<int>{SIGCHLD});
  EXPECT_LT(world.elapsed(), 1h);
}

// Whoever has the reading end gets everything, also when nobody waits for the child.
Task<void> keeps_only_the_output(std::size_t& got) {
  std::optional<PipeReader> output;
  {
    Child child = Child::spawn({"talks"}, piped).value();
    (void)co_await sleep_for(1s);  // the pipe is full
    output.emplace(std::move(*child.output()));
  }
  const auto text = co_await with_timeout(1h, as_result(*output));
  got = text ? text->size() : 0;
}

TEST(SimMachine, has_children_that_go_on_without_their_handle) {
  sim::World world;
  world.on_spawn(known_programs);
  std::size_t got = 0;
  EXPECT_EQ(world.run(keeps_only_the_output(got)).failure, "");
  EXPECT_EQ(got, 200'000U);
}

Task<void> kills_and_closes(std::string& told, bool kills_it) {
  Child child = Child::spawn({"talks"}, piped).value();
  (void)co_await sleep_for(1s);
  if (kills_it) {
    EXPECT_TRUE(child.kill(SIGKILL));
  }
  (void)co_await child.output()->close();
  const Result<ChildExit> exit = co_await child.wait();
  told = text_of(exit);
}

TEST(SimMachine, has_children_that_end_by_the_first_signal) {
  for (const bool kills_it : {true, false}) {
    sim::World world;
    world.on_spawn(known_programs);
    std::string told;
    EXPECT_EQ(world.run(kills_and_closes(told, kills_it)).failure, "");
    EXPECT_EQ(told, "signal " + std::to_string(kills_it ? SIGKILL : SIGPIPE));
  }
}

/// It has not begun to write when the signal comes, or when nobody reads any more.
Task<void> ends_before_it_writes(std::string& told, bool kills_it) {
  Child child = Child::spawn({"date"}, piped).value();
  if (kills_it) {
    EXPECT_TRUE(child.kill(SIGKILL));
    told += co_await reads_all(*child.output());
  } else {
    (void)co_await child.output()->close();
  }
  told += co_await reads_all(*child.error());
  const Result<ChildExit> exit = co_await child.wait();
  told += text_of(exit);
}

TEST(SimMachine, has_children_that_write_nothing_after_a_signal) {
  for (const bool kills_it : {true, false}) {
    sim::World world;
    world.on_spawn(known_programs);
    std::string told;
    EXPECT_EQ(world.run(ends_before_it_writes(told, kills_it)).failure, "");
    EXPECT_EQ(told, "signal " + std::to_string(kills_it ? SIGKILL : SIGPIPE));
  }
}

Task<void> outlives(std::string& told) {
  Child child = Child::spawn({"daemon"}).value();
  (void)co_await sleep_for(1000h);
  EXPECT_EQ(child.kill(SIGSTOP).error(), std::errc::operation_not_supported);
  siginfo_t info{};
  info.si_pid = 77;
  const auto pidfd_of_none = co_await async_waitid(P_PIDFD, 0, info, WEXITED);
  EXPECT_EQ(pidfd_of_none.error(), std::errc::bad_file_descriptor);
  const auto nothing_asked = co_await async_waitid(P_PID, static_cast<id_t>(child.pid()), info, WNOHANG);
  EXPECT_EQ(nothing_asked.error(), std::errc::invalid_argument);
  const auto runs_still =
      co_await async_waitid(P_PID, static_cast<id_t>(child.pid()), info, WEXITED | WNOHANG);
  EXPECT_TRUE(runs_still.has_value());
  EXPECT_EQ(info.si_pid, 0);
  EXPECT_TRUE(child.kill(SIGKILL));
  const auto seen = co_await async_waitid(P_PID, static_cast<id_t>(child.pid()), info, WEXITED | WNOWAIT);
  EXPECT_TRUE(seen.has_value());
  EXPECT_EQ(info.si_pid, child.pid());
  EXPECT_EQ(info.si_code, CLD_KILLED);
  const Result<ChildExit> exit = co_await child.wait();
  told = text_of(exit);
  const auto gone = co_await async_waitid(P_PID, static_cast<id_t>(child.pid()), info, WEXITED);
  EXPECT_EQ(gone.error(), std::errc::no_child_process);
}

TEST(SimMachine, has_children_that_run_for_ever_and_are_waited_for) {
  sim::World world;
  world.on_spawn(known_programs);
  std::string told;
  EXPECT_EQ(world.run(outlives(told)).failure, "");
  EXPECT_EQ(told, "signal " + std::to_string(SIGKILL));
}

// The mistake is the usual one: nobody reads what the child writes.
Task<void> waits_without_reading() {
  Child child = Child::spawn({"talks"}, piped).value();
  (void)co_await child.wait();
}

TEST(SimMachine, tells_who_waits_for_a_child_whose_pipe_is_full) {
  sim::World world;
  world.on_spawn(known_programs);
  const sim::RunReport report = world.run(waits_without_reading());
  EXPECT_NE(report.failure.find("deadlock"), std::string::npos);
  EXPECT_NE(report.failure.find("waitid"), std::string::npos) << report.failure;
}

// ---- the seed decides ----

std::uint64_t hash_of(std::uint64_t seed) {
  sim::World world({.seed = seed, .workers = 2, .faults = sim::Faults::swarm(seed)});
  world.on_spawn(known_programs);
  world.name_host("db", {"10.0.0.7"});
  std::string told;
  const auto uses_all = [](std::string& into) -> Task<void> {
    co_await runs("talks", into);
    std::vector<std::string> texts;
    co_await looks_up(texts);
  };
  const sim::RunReport report = world.run(uses_all(told));
  EXPECT_EQ(report.failure, "") << seed;
  return report.hash;
}

TEST(SimMachine, does_the_same_for_the_same_seed) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) EXPECT_EQ(hash_of(seed), hash_of(seed)) << seed;
}

}  // namespace
}  // namespace corering
