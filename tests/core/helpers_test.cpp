/// helpers_test.cpp — the kernel's helper threads (io-wq): how many there may be, and what goes to them.
#include <array>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <corering/engine/ring_resource.hpp>
#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using test::RunningWorker;

/// Returns how many helpers the process has, of every worker. Their names end with a thread's number in the
/// outermost pid namespace, which a container does not know, so that part is not looked at.
std::size_t helpers_now() {
  std::size_t count = 0;
  std::error_code gone;  // threads end while we look
  for (const auto& one : std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::string is;
    std::getline(std::ifstream(one.path() / "comm"), is);
    if (is.starts_with("iou-wrk-")) ++count;
  }
  return count;
}

/// Helpers that were there before, of workers that ended, may still end: then there are none of ours.
std::size_t helpers_since(std::size_t before) {
  const std::size_t now = helpers_now();
  return now > before ? now - before : 0;
}

/// Returns whether there were so many within 10 s.
bool come_to_be(std::size_t many, std::size_t before) {
  const TimePoint deadline = os::now() + std::chrono::seconds(10);
  while (helpers_since(before) < many) {
    if (os::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Returns what limits the number of threads here, or an empty text.
std::string limit_of_threads() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur < 1000)
    return "RLIMIT_NPROC is " + std::to_string(limit.rlim_cur);
  std::string group, most;
  std::getline(std::ifstream("/proc/self/cgroup"), group);
  const std::string path = group.starts_with("0::") ? group.substr(3) : "/";
  for (const std::string& at : {path, std::string("/")})
    if (std::getline(std::ifstream("/sys/fs/cgroup" + at + "/pids.max"), most) && most != "max" &&
        most.size() < 4)
      return "pids.max is " + most;
  return {};
}

struct Pipe {
  Pipe() {
    std::array<int, 2> fds{};
    if (test::sys::pipe2(fds.data(), O_CLOEXEC) != 0) std::abort();
    from = Fd(fds[0]);
    to = Fd(fds[1]);
  }
  Fd from, to;
};

// A splice from an empty pipe waits on a helper. (A read with IOSQE_ASYNC would not: the helper lets the pipe
// be polled, and takes the next request.)
Task<void> waits_on_a_helper(int from, int& done) {
  const Fd nowhere(test::sys::open("/dev/null", O_WRONLY | O_CLOEXEC));
  const Result<std::size_t> moved =
      co_await async_splice(from, current_position, nowhere, current_position, 1);
  if (moved && *moved == 1) ++done;
}

constexpr std::size_t thirty = 30;

/// Thirty requests that wait for a byte each. The first ones that began end first.
struct ThirtyWaits {
  explicit ThirtyWaits(Worker& worker) {
    for (Pipe& pipe : pipes) waits.push_back(worker.spawn(waits_on_a_helper(pipe.from.get(), done)).value());
  }
  /// Returns how many helpers there were at most, with each of them that ends.
  std::size_t end_one_after_the_other() {
    std::size_t most = 0;
    for (std::size_t i = 0; i < thirty; ++i) {
      EXPECT_EQ(test::sys::write(pipes[i].to.get(), "x", 1), 1);
      sync_wait(std::move(waits[i]));
      most = std::max(most, helpers_since(before));
    }
    return most;
  }
  std::size_t before = helpers_now();
  std::vector<Pipe> pipes{thirty};
  std::vector<JoinHandle<void>> waits;
  int done = 0;
};

TEST(Helpers, are_no_more_than_the_worker_may_have) {
  NEEDS_IO_URING("its helper threads");
  RunningWorker running({.waiting_helpers = 2});
  ThirtyWaits waits(running.worker);
  const std::size_t most = waits.end_one_after_the_other();
  EXPECT_GE(most, 1U);
  EXPECT_LE(most, 2U);
  EXPECT_EQ(waits.done, 30);
}

TEST(Helpers, would_be_one_for_each_request_that_waits) {
  NEEDS_IO_URING("its helper threads");
  RunningWorker running({.waiting_helpers = 0});
  ThirtyWaits waits(running.worker);
  const bool came = come_to_be(thirty, waits.before);
  (void)waits.end_one_after_the_other();
  EXPECT_EQ(waits.done, 30);
  if (const std::string limit = limit_of_threads(); !came && !limit.empty()) GTEST_SKIP() << limit;
  EXPECT_TRUE(came) << "within 10 s there were not thirty";
}

TEST(Helpers, that_all_wait_keep_nobody_from_being_cancelled) {
  NEEDS_IO_URING("its helper threads");
  RunningWorker running({.waiting_helpers = 2});
  ThirtyWaits waits(running.worker);
  for (JoinHandle<void>& wait : waits.waits) wait.request_cancel();
  for (JoinHandle<void>& wait : waits.waits) sync_wait(std::move(wait));
  EXPECT_EQ(waits.done, 0);
}

Task<void> opens_to_write(std::string path, int& opened) {
  const Result<Fd> fd = co_await async_openat(AT_FDCWD, path.c_str(), O_WRONLY | O_CLOEXEC).forced_async();
  if (fd) ++opened;
}

// An open waits on the other kind of helpers, those for files.
TEST(Helpers, for_files_are_counted_for_themselves) {
  NEEDS_IO_URING("its helper threads");
  const test::TemporaryDirectory directory;
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::size_t before = helpers_now();
  RunningWorker running({.file_helpers = 2, .waiting_helpers = 64});
  int opened = 0;
  std::vector<JoinHandle<void>> opens;
  for (std::size_t i = 0; i < thirty; ++i)
    opens.push_back(running.worker.spawn(opens_to_write(fifo, opened)).value());
  const bool came = come_to_be(1, before);
  const Fd reader(test::sys::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  for (JoinHandle<void>& open : opens) {
    EXPECT_LE(helpers_since(before), 2U);
    sync_wait(std::move(open));
  }
  EXPECT_EQ(opened, 30);
  if (const std::string limit = limit_of_threads(); !came && !limit.empty()) GTEST_SKIP() << limit;
  EXPECT_TRUE(came) << "within 10 s there was none";
}

using Limits = std::array<std::uint32_t, 2>;

// The kernel changes what is not 0, and tells what was.
Task<int> asks_for_limits(Limits& limits) {
  limits = {};
  co_return here::register_resource(uapi::register_iowq_max_workers, limits.data(), 2);
}

TEST(Helpers, have_a_limit_also_when_nobody_asks_for_one) {
  NEEDS_IO_URING("its helper threads");
  Limits limits{};
  const auto ask = [&limits](WorkerOptions options) {
    RunningWorker running(std::move(options));
    return sync_wait(running.worker.spawn(asks_for_limits(limits)).value());
  };
  if (ask({}) == -EINVAL) GTEST_SKIP() << "this kernel is older than 5.15";
  EXPECT_EQ(limits, (Limits{32, 256}));
  EXPECT_EQ(ask({.file_helpers = 3, .waiting_helpers = 4'000'000'000}), 0);
  EXPECT_EQ(limits[0], 3U);
  EXPECT_GT(limits[1], 256U) << "more than the kernel can count to is as much as it can";
  EXPECT_EQ(ask({.allow = {Opcode::nop}}), 0);
  EXPECT_EQ(limits, (Limits{32, 256})) << "also in a sandbox";
}

TEST(Helpers, have_a_limit_however_the_worker_runs) {
  NEEDS_IO_URING("its helper threads");
  Limits limits{};
  int told = 0;
  const auto asks = [&]() -> Task<void> { told = co_await asks_for_limits(limits); };
  test::run_on_a_worker_here(asks(), {.file_helpers = 5});
  if (told == -EINVAL) GTEST_SKIP() << "this kernel is older than 5.15";
  EXPECT_EQ(limits, (Limits{5, 256}));
  Worker guest({.file_helpers = 6});
  ASSERT_TRUE(guest.descriptor());
  const JoinHandle<void> asking = guest.spawn(asks()).value();
  while (limits[0] == 5) ASSERT_TRUE(guest.turn());
  EXPECT_EQ(limits, (Limits{6, 256}));
}

// ---- what goes to them ----

Task<void> needs_no_helper() {
  for (int i = 0; i < 10; ++i) (void)co_await async_nop();
  const test::SocketPair pair;
  (void)co_await async_send(pair.ours.get(), test::bytes_of("x"));
}
Task<void> needs_four_helpers(std::string path) {
  (void)co_await async_nop().forced_async();
  const Result<Fd> file = co_await async_openat(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  EXPECT_TRUE(file);
  (void)co_await async_fsync(file->get());
  (void)co_await chain(async_nop(), async_fsync(file->get()));
  (void)co_await async_unlinkat(AT_FDCWD, path.c_str(), 0);
}
Task<void> closes_a_socket_that_lingers() {
  test::TcpPair pair;
  const linger patience{.l_onoff = 1, .l_linger = 1};
  EXPECT_EQ(test::sys::setsockopt(pair.ours.get(), SOL_SOCKET, SO_LINGER, &patience, sizeof patience), 0);
  (void)co_await async_close(std::move(pair.ours));
}

void count_requests_for_helpers() {
  const test::TemporaryDirectory directory;
  RunningWorker running;
  const auto count = [&](Task<void> task) {
    const std::uint64_t before = running.worker.stats().for_helpers;
    sync_wait(running.worker.spawn(std::move(task)).value());
    return running.worker.stats().for_helpers - before;
  };
  EXPECT_EQ(count(needs_no_helper()), 0U);
  EXPECT_EQ(count(needs_four_helpers(directory / "file")), 4U);
  EXPECT_EQ(count(closes_a_socket_that_lingers()), 1U);
}

TEST(Helpers, are_sent_what_the_worker_counts) { count_requests_for_helpers(); }

TEST(Helpers, are_counted_in_the_same_way_while_somebody_records) {
  if (!trace::start({})) GTEST_SKIP() << "this build records nothing";
  count_requests_for_helpers();
  trace::stop();
}

}  // namespace
}  // namespace corering
