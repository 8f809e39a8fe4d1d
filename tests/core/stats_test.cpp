/// stats_test.cpp — what workers count, and how Prometheus reads it.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <optional>
#include <regex>
#include <sstream>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "engine/loop_times.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

Task<void> some_nops(int count) {
  for (int i = 0; i < count; ++i) (void)co_await async_nop();
}

TEST(Stats, of_a_worker_count_what_it_did) {
  test::RunningWorker running;
  const WorkerStats before = running.worker.stats();
  for (int i = 0; i < 5; ++i) sync_wait(running.worker.spawn(some_nops(20)).value());
  const WorkerStats after = running.worker.stats();
  EXPECT_EQ(after.worker, running.worker.name());
  EXPECT_EQ(after.kernel, running.worker.kernel_name());
  EXPECT_EQ(after.posts - before.posts, 5U);
  EXPECT_GE(after.submitted - before.submitted, 99U) << "the last result may come before the next enter";
  EXPECT_GE(after.turns - before.turns, 100U);
  EXPECT_GE(after.enters - before.enters, 99U);
  EXPECT_LE(after.sleeps, after.enters);
  EXPECT_EQ(after.failed_enters, 0U);
  EXPECT_TRUE(after.operations.empty()) << "nobody has asked for times";
}

TEST(Stats, of_a_worker_tell_what_waits) {
  test::RunningWorker running;
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  const test::SocketPair pair;
  std::array<std::byte, 1> into{};
  const auto receives = [](int fd, std::span<std::byte> buffer) -> Task<void> {
    (void)co_await async_recv(fd, buffer);
  };
  JoinHandle<void> waiting = running.worker.spawn(receives(pair.ours.get(), into)).value();
  sync_wait(running.worker.spawn(some_nops(10)).value());
  EXPECT_GE(running.worker.stats().in_flight, 1U);
  trace::stop();
  waiting.request_cancel();
  sync_wait(std::move(waiting));
}

Task<void> one_error() { EXPECT_FALSE(co_await async_close(Fd(1'000'000))); }

OperationCount counted(const WorkerStats& stats, std::string_view kind) {
  const auto found = std::ranges::find(stats.operation_counts, kind, &OperationCount::kind);
  return found == stats.operation_counts.end() ? OperationCount() : *found;
}

void expect_counts(const WorkerStats& stats, std::string_view kind, std::uint64_t begun,
                   std::uint64_t failed) {
  const OperationCount count = counted(stats, kind);
  EXPECT_EQ(count.begun, begun) << kind;
  EXPECT_EQ(count.failed, failed) << kind;
}

TEST(Stats, count_operations_by_kind_without_being_asked) {
  test::RunningWorker running;
  sync_wait(running.worker.spawn(some_nops(50)).value());
  sync_wait(running.worker.spawn(one_error()).value());
  const test::SocketPair pair;
  std::array<std::byte, 1> into{};
  const auto receives = [](int fd, std::span<std::byte> buffer) -> Task<void> {
    EXPECT_EQ((co_await async_recv(fd, buffer)).error(), std::errc::operation_canceled);
  };
  JoinHandle<void> waiting = running.worker.spawn(receives(pair.ours.get(), into)).value();
  while (counted(running.worker.stats(), "recv").begun == 0) std::this_thread::yield();
  waiting.request_cancel();
  sync_wait(std::move(waiting));
  const WorkerStats stats = running.worker.stats();
  expect_counts(stats, "nop", 50, 0);
  expect_counts(stats, "close", 1, 1);
  expect_counts(stats, "recv", 1, 1);
  expect_counts(stats, "send", 0, 0);
  for (const OperationCount& count : stats.operation_counts)
    EXPECT_GT(count.begun, 0U) << count.kind << " is there, but did not happen";
  WorkerStats twice = stats;
  twice += stats;
  expect_counts(twice, "nop", 100, 0);
  expect_counts(twice, "recv", 2, 2);
}

Task<void> sends_without_copying(int from, int to) {
  constexpr std::string_view text = "text";
  EXPECT_TRUE(co_await async_send_zc(from, std::as_bytes(std::span(text))));
  std::array<std::byte, 4> into{};
  EXPECT_TRUE(co_await async_recv(to, into));
  EXPECT_TRUE(co_await async_timeout(std::chrono::milliseconds(1)));
}

// A notification that the bytes were copied looks like an error, and a timeout answers with one.
TEST(Stats, take_no_success_for_a_failure) {
  const Fd to(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      from(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {::htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t length = sizeof name;
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  ASSERT_EQ(::bind(to.get(), address, length) + ::getsockname(to.get(), address, &length), 0);
  ASSERT_EQ(::connect(from.get(), address, length), 0);
  test::RunningWorker running;
  sync_wait(running.worker.spawn(sends_without_copying(from.get(), to.get())).value());
  const WorkerStats stats = running.worker.stats();
  expect_counts(stats, "timeout", 1, 0);
  EXPECT_EQ(counted(stats, "send_zc").failed, 0U);
  EXPECT_EQ(counted(stats, "recv").failed, 0U);
}

// While something is recorded, operations begin and end on other ways.
TEST(Stats, count_operations_while_recording_and_in_chains) {
  test::RunningWorker running;
  ASSERT_TRUE(trace::start({.level = trace::Level::full}));
  const auto chained = []() -> Task<void> { (void)co_await chain(async_nop(), async_nop(), async_nop()); };
  sync_wait(running.worker.spawn(some_nops(7)).value());
  sync_wait(running.worker.spawn(one_error()).value());
  sync_wait(running.worker.spawn(chained()).value());
  trace::stop();
  const WorkerStats stats = running.worker.stats();
  expect_counts(stats, "nop", 10, 0);
  expect_counts(stats, "close", 1, 1);
}

TEST(Stats, keep_times_while_somebody_asks) {
  test::RunningWorker running;
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  sync_wait(running.worker.spawn(some_nops(50)).value());
  sync_wait(running.worker.spawn(one_error()).value());
  trace::stop();
  EXPECT_FALSE(trace::counts());
  const WorkerStats stats = running.worker.stats();
  const auto nops = std::ranges::find(stats.operations, "nop", &TimeStats::kind);
  ASSERT_NE(nops, stats.operations.end());
  EXPECT_EQ(nops->count(), 50U);
  EXPECT_EQ(nops->errors, 0U);
  EXPECT_GT(nops->quantile(0.5), Duration::zero());
  EXPECT_LT(nops->quantile(0.5), std::chrono::seconds(10));
  EXPECT_LE(nops->quantile(0.5), nops->quantile(0.99));
  const auto closes = std::ranges::find(stats.operations, "close", &TimeStats::kind);
  ASSERT_NE(closes, stats.operations.end());
  EXPECT_EQ(closes->errors, 1U);
  EXPECT_GE(stats.turn.count(), 50U);
  EXPECT_GE(stats.completed, 51U);
  for (const trace::ThreadRecording& thread : trace::snapshot())
    EXPECT_TRUE(thread.events.empty()) << "histograms only";
}

/// What others read of the only worker that is called so.
std::optional<WorkerStats> seen_from_outside(const std::string& worker) {
  const Result<Fd> times = open_times(::getpid());
  if (!times) return std::nullopt;
  const auto all = read_times(*times).value();
  const auto found = std::ranges::find(all, worker, &WorkerStats::worker);
  return found == all.end() ? std::nullopt : std::optional(*found);
}

std::uint64_t count_of(const WorkerStats& stats, const std::string& kind) {
  const auto found = std::ranges::find(stats.operations, kind, &TimeStats::kind);
  return found == stats.operations.end() ? 0 : found->count();
}

TEST(Stats, keep_times_where_another_process_reads_them) {
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  for (const int nops : {50, 20}) {  // the second worker gets the first one's place
    test::RunningWorker running({.name = "seen"});
    sync_wait(running.worker.spawn(some_nops(nops)).value());
    const std::uint64_t before = running.worker.stats().turn.count();
    const std::optional<WorkerStats> seen = seen_from_outside("seen");
    ASSERT_TRUE(seen);
    EXPECT_EQ(count_of(*seen, "nop"), static_cast<std::uint64_t>(nops));
    EXPECT_GE(seen->turn.count(), before) << "the worker may still end a turn";
    EXPECT_LE(seen->turn.count(), running.worker.stats().turn.count());
  }
  trace::stop();
  EXPECT_FALSE(seen_from_outside("seen")) << "the worker has ended";
}

TEST(Stats, in_a_child_are_not_those_of_the_parent) {
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  test::RunningWorker running({.name = "parents"});
  sync_wait(running.worker.spawn(some_nops(10)).value());
  const pid_t child = ::fork();
  if (child == 0) {
    const bool has_none = open_times(::getpid()).error().value() == ENOENT;
    (void)trace::start({.level = trace::Level::hist});
    (void)run(some_nops(5));
    ::_exit(has_none && open_times(::getpid()) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(count_of(seen_from_outside("parents").value(), "nop"), 10U);
  trace::stop();
}

TEST(Stats, say_what_cannot_be_read_from_outside) {
  EXPECT_EQ(open_times(2'147'483'647).error().value(), ESRCH);
  EXPECT_EQ(read_times(Fd(::memfd_create("corering-times", 0))).error().value(), EBADMSG) << "it is empty";
}

/// Memory of that many bytes whose head says that it holds times.
Fd times_of_length(off_t bytes) {
  Fd fd(::memfd_create("corering-times", MFD_CLOEXEC));
  const TimesMemory::Head head{
      .magic = TimesMemory::magic, .version = TimesMemory::version, .pid = 1, .slot_bytes = LoopTimes::bytes};
  EXPECT_EQ(test::sys::pwrite(fd.get(), &head, sizeof head, 0), static_cast<ssize_t>(sizeof head));
  EXPECT_EQ(::ftruncate(fd.get(), bytes), 0);
  return fd;
}

TEST(Stats, of_memory_that_ends_with_or_within_its_head_are_none) {
  for (const off_t bytes : {sizeof(TimesMemory::Head), std::size_t{4095}, TimesMemory::head_bytes,
                            TimesMemory::head_bytes + LoopTimes::bytes - 1}) {
    const auto all = read_times(times_of_length(bytes));
    ASSERT_TRUE(all) << bytes;
    EXPECT_TRUE(all->empty()) << bytes;
  }
}

// The times of such a worker are its own.
TEST(Stats, of_a_process_that_may_write_no_files_are_not_shared) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    if (::setrlimit(RLIMIT_FSIZE, &none) != 0) ::_exit(1);
    const TimesMemory::Slot slot = TimesMemory::take(LoopTimes::bytes);
    const bool is_shared = open_times(::getpid()).has_value();
    ::_exit(slot.memory != nullptr && slot.index == TimesMemory::most_slots && !is_shared ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

const TimeStats* stage_of(const std::vector<TimeStats>& all, std::string_view kind, std::string_view stage) {
  const auto found =
      std::ranges::find_if(all, [&](const TimeStats& one) { return one.kind == kind && one.stage == stage; });
  return found == all.end() ? nullptr : &*found;
}

TEST(Stats, keep_the_stages_of_operations) {
  test::RunningWorker running;
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  sync_wait(running.worker.spawn(some_nops(300)).value());
  trace::stop();
  const WorkerStats stats = running.worker.stats();
  const TimeStats* const batch = stage_of(stats.operation_stages, "nop", "batch");
  const TimeStats* const kernel = stage_of(stats.operation_stages, "nop", "kernel");
  const TimeStats* const resume = stage_of(stats.operation_stages, "nop", "resume");
  ASSERT_TRUE(batch != nullptr && kernel != nullptr && resume != nullptr);
  EXPECT_GE(batch->count(), 299U) << "only the first one may have begun before anybody looked";
  EXPECT_EQ(kernel->count(), 300U);
  EXPECT_EQ(resume->count(), 300U);
  const TimeStats& total = stats.operations.at(0);
  EXPECT_EQ(total.count(), 300U);
  EXPECT_GE(total.quantile(1), batch->quantile(1));
  EXPECT_GE(total.quantile(1) * 1.05, kernel->quantile(1));
  EXPECT_LE(total.quantile(0.5), (batch->quantile(1) + kernel->quantile(1) + resume->quantile(1)) * 1.1);
}

Task<void> computes_for(Duration time) {
  (void)co_await async_nop();
  const TimePoint end = os::now() + time;
  while (os::now() < end) {
  }
}

TEST(Stats, keep_how_long_coroutines_run_and_wait_for_their_worker) {
  using namespace std::chrono_literals;
  test::RunningWorker running;
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  sync_wait(running.worker.spawn(some_nops(1)).value());
  const JoinHandle<void> long_one = running.worker.spawn(computes_for(30ms)).value();
  for (int i = 0; i < 5; ++i) sync_wait(async_nop().on(running.worker));
  trace::stop();
  const WorkerStats stats = running.worker.stats();
  for (const char* const stage : {"queue", "dispatch", "wake_to_run", "run"})
    ASSERT_NE(stage_of(stats.worker_stages, "worker", stage), nullptr) << stage;
  const auto longest = [&](const char* stage) {
    return stage_of(stats.worker_stages, "worker", stage)->quantile(1);
  };
  EXPECT_EQ(stage_of(stats.worker_stages, "worker", "queue")->count(), 7U);
  EXPECT_EQ(stage_of(stats.worker_stages, "worker", "dispatch")->count(), 7U);
  EXPECT_GE(longest("run"), 30ms);
  EXPECT_LT(longest("queue"), 1h);
  EXPECT_LE(longest("queue"), longest("wake_to_run") * 1.05);
  EXPECT_GE(stats.stalls, 1U);
  EXPECT_GE(stats.turn.quantile(1), 30ms);
}

Task<void> sleeps_for_ever() { (void)co_await sleep_until(TimePoint::max()); }

// A turn is over when turn() returns, also one that had nothing for the kernel: what its caller does until
// the next one is not the worker's.
TEST(Stats, of_a_turn_end_with_it) {
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  Worker worker;
  JoinHandle<void> handle = worker.spawn(sleeps_for_ever()).value();
  for (std::uint64_t turns = 1; turns <= 3; ++turns) {
    EXPECT_TRUE(worker.turn().value());
    EXPECT_EQ(worker.stats().turn.count(), turns);
  }
  trace::stop();
  handle.request_cancel();
}

TEST(Stats, are_in_the_trace_file_when_the_worker_has_ended) {
  const test::TemporaryDirectory directory;
  ASSERT_TRUE(trace::start({.level = trace::Level::hist, .file = directory / "t.crt"}));
  test::run_on_a_worker_here(some_nops(100));
  trace::stop();
  const trace::Recording read = trace::open_recording(directory / "t.crt").value();
  const auto count_of = [&read](std::string_view kind, std::string_view stage) -> std::uint64_t {
    const auto found = std::ranges::find_if(
        read.times, [&](const trace::RecordedTimes& one) { return one.kind == kind && one.stage == stage; });
    return found == read.times.end() ? 0 : found->ticks->count();
  };
  EXPECT_EQ(count_of("nop", "total"), 100U);
  EXPECT_EQ(count_of("nop", "kernel"), 100U);
  EXPECT_GE(count_of("worker", "run"), 100U);
  EXPECT_GE(count_of("worker", "turn"), 100U);
  ASSERT_FALSE(read.times.empty());
  EXPECT_GT(read.times[0].ns_per_tick, 0);
  EXPECT_EQ(read.times[0].tid, ::gettid());
}

TEST(Stats, keep_how_long_a_worker_takes_to_wake) {
  test::RunningWorker running;
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  const TimeStats* wake = nullptr;
  WorkerStats stats;
  // It sleeps between two posts sooner or later.
  for (int i = 0; i < 10'000 && wake == nullptr; ++i) {
    sync_wait(running.worker.spawn(some_nops(1)).value());
    stats = running.worker.stats();
    wake = stage_of(stats.worker_stages, "worker", "wake");
  }
  trace::stop();
  ASSERT_NE(wake, nullptr);
  EXPECT_LT(wake->quantile(1), std::chrono::hours(1));
}

// A read of the page cache is resumed by nobody, and a cancelled operation has another use for the same
// words.
TEST(Stats, keep_nothing_of_what_was_not_resumed) {
  const test::SocketPair pair;
  std::array<std::byte, 1> into{};
  const auto receives = [](int fd, std::span<std::byte> buffer) -> Task<void> {
    (void)co_await async_recv(fd, buffer);
  };
  test::RunningWorker running;
  JoinHandle<void> waiting = running.worker.spawn(receives(pair.ours.get(), into)).value();
  sync_wait(running.worker.spawn(some_nops(2)).value());
  ASSERT_TRUE(trace::start({.level = trace::Level::hist}));
  waiting.request_cancel();
  sync_wait(std::move(waiting));
  trace::stop();
  const WorkerStats stats = running.worker.stats();
  for (const TimeStats& times : stats.operation_stages)
    EXPECT_LT(times.quantile(1), std::chrono::minutes(10)) << times.kind << ' ' << times.stage;
  for (const TimeStats& times : stats.operations) EXPECT_EQ(times.count(), 1U) << times.kind;
}

TEST(Stats, of_several_workers_add_up) {
  const auto histogram = std::make_shared<trace::Histogram>();
  histogram->add(1000);
  const WorkerStats one{.turns = 3,
                        .operations = {{.kind = "read", .errors = 1, .ticks = histogram}},
                        .operation_stages = {{.kind = "read", .stage = "batch", .ticks = histogram},
                                             {.kind = "read", .stage = "kernel", .ticks = histogram}}};
  WorkerStats sum = one;
  sum += one;
  sum += WorkerStats{.turns = 1, .operations = {{.kind = "send", .ticks = histogram}}};
  EXPECT_EQ(sum.turns, 7U);
  ASSERT_EQ(sum.operations.size(), 2U);
  EXPECT_EQ(sum.operations[0].count(), 2U);
  EXPECT_EQ(sum.operations[0].errors, 2U);
  EXPECT_EQ(sum.operations[1].count(), 1U);
  ASSERT_EQ(sum.operation_stages.size(), 2U);
  EXPECT_EQ(sum.operation_stages[1].count(), 2U);
  EXPECT_EQ(histogram->count(), 1U) << "what was added stays as it was";
}

TEST(Stats, of_a_pool_are_those_of_its_workers) {
  WorkerPool pool({.workers = 2});
  ASSERT_TRUE(pool.start());
  EXPECT_EQ(pool.stats().size(), 2U);
  EXPECT_EQ(pool.stats()[1].worker, pool[1].name());
}

// Each line is a comment, or a name, labels and a number; each name has its type before its samples.
TEST(Stats, are_written_as_prometheus_reads_them) {
  const auto histogram = std::make_shared<trace::Histogram>();
  histogram->add(2'000'000);
  const WorkerStats stats{.worker = "a\"b\\c\nd",
                          .kernel = "io_uring",
                          .turns = 42,
                          .operations = {{.kind = "read", .ticks = histogram}},
                          .operation_stages = {{.kind = "read", .stage = "kernel", .ticks = histogram}},
                          .worker_stages = {{.kind = "worker", .stage = "run", .ticks = histogram}},
                          .turn = {.kind = "turn", .ticks = histogram}};
  const std::string text = write_prometheus(std::span(&stats, 1));
  EXPECT_NE(text.find(R"(corering_turns_total{worker="a\"b\\c\nd",kernel="io_uring"} 42)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("# TYPE corering_turns_total counter\n"), std::string::npos);
  EXPECT_NE(text.find("operation=\"read\",quantile=\"0.99\"} 0.0020"), std::string::npos) << text;
  EXPECT_NE(text.find("operation=\"read\",stage=\"kernel\",quantile=\"0.99\"} 0.0020"), std::string::npos)
      << text;
  EXPECT_NE(text.find("stage=\"run\",quantile=\"0.99\"} 0.0020"), std::string::npos) << text;
  const std::regex line(
      R"(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z]+="([^"\\]|\\.)*"(,[a-z]+="([^"\\]|\\.)*")*\} [0-9.]+)");
  std::istringstream lines(text);
  for (std::string one; std::getline(lines, one);) EXPECT_TRUE(std::regex_match(one, line)) << one;
}

}  // namespace
}  // namespace corering
