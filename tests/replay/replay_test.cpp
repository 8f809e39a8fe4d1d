/// replay_test.cpp — recorded runs happen again; a file that is wrong is refused in one line.
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <corering/corering.hpp>
#include <corering/replay/replay.hpp>
#include <corering/trace/recorder.hpp>
#include <gtest/gtest.h>

#include "replay/recorded_run.hpp"

namespace corering {
namespace {

// ---- it happens again ----

TEST_P(Replay, fifty_runs_of_a_server_and_its_clients_have_the_same_order_again) {
  std::set<std::uint64_t> recorded;
  for (int i = 0; i < 50; ++i) {
    Seen first, second;
    const std::uint64_t hash = record([&first] { return many_clients(first); }, i % 2 == 0);
    auto again = RunReplay::open(file()).value();
    ASSERT_TRUE(run(many_clients(second), {.kernel = &again->kernel()}).has_value());
    EXPECT_TRUE(again->has_ended());
    EXPECT_EQ(again->hash(), hash);
    if (i % 2 == 0) {
      EXPECT_EQ(first.order, second.order);
    }
    recorded.insert(hash);
  }
  EXPECT_EQ(recorded.size(), 50U) << "the clock alone makes each recording another one";
}

TEST_P(Replay, what_was_read_is_there_though_the_file_has_gone) {
  std::ofstream(data()) << "what was there";
  Seen first, second;
  const std::uint64_t hash = record([&] { return read_file(data(), first); });
  fs::remove(data());
  replay([&] { return read_file(data(), second); }, hash);
  EXPECT_EQ(second.text, "what was there");
}

TEST_P(Replay, without_bytes_what_was_read_is_zeros_and_one_line_says_so) {
  std::ofstream(data()) << "secret";
  Seen first, second;
  (void)record([&] { return read_file(data(), first); }, false);
  std::ifstream content(file(), std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(content), {}).find("secret"), std::string::npos);
  testing::internal::CaptureStderr();
  replay([&] { return read_file(data(), second); }, 0);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("has no bytes"), std::string::npos);
  EXPECT_EQ(second.text, std::string(6, '\0'));
}

TEST_P(Replay, bytes_come_back_into_provided_buffers) {
  Seen first, second;
  const std::uint64_t hash = record([&] { return socket_pair_with_pool(first); });
  replay([&] { return socket_pair_with_pool(second); }, hash);
  EXPECT_EQ(second.text, first.text);
  EXPECT_TRUE(first.text.ends_with("message 19"));
}

TEST_P(Replay, a_replay_may_be_traced_though_the_run_was_not) {
  Seen first, second;
  const std::uint64_t hash = record([&] { return many_clients(first); });
  ASSERT_TRUE(trace::start({.level = trace::Level::full, .file = {}}).has_value());
  replay([&] { return many_clients(second); }, hash);
  trace::stop();
  EXPECT_EQ(first.order, second.order);
}

// The program opens them itself, so they are real in a replay too. The library closes them.
TEST_P(Replay, descriptors_of_the_program_are_closed_in_a_replay) {
  std::array<int, 2> numbers{-1, -1};
  const auto program = [&numbers]() -> Task<Result<void>> {
    Fd one(::eventfd(0, EFD_CLOEXEC)), two(::eventfd(0, EFD_CLOEXEC));
    numbers = {one.get(), two.get()};
    co_return co_await async_close(std::move(one));  // and the other one at the end of its scope
  };
  const auto expect_closed = [&numbers] {
    for (const int number : numbers) EXPECT_EQ(::fcntl(number, F_GETFD), -1) << number;
  };
  const std::uint64_t hash = record(program);
  expect_closed();
  auto again = RunReplay::open(file()).value();
  ASSERT_TRUE(run(program(), {.kernel = &again->kernel()}).has_value());
  expect_closed();
  EXPECT_EQ(again->hash(), hash);
}

TEST_P(Replay, a_replay_may_fork) {
  Seen first, second;
  const std::uint64_t hash = record([&] { return socket_pair_with_pool(first); });
  auto again = RunReplay::open(file()).value();
  const auto forks = [&second]() -> Task<Result<void>> {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(os::close(::dup(STDIN_FILENO)) == 0 ? 7 : 8);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
    co_return co_await socket_pair_with_pool(second);
  };
  ASSERT_TRUE(run(forks(), {.kernel = &again->kernel()}).has_value());
  EXPECT_EQ(again->hash(), hash);
  EXPECT_EQ(first.text, second.text);
}

TEST_P(Replay, ends_of_a_pipe_in_slots_keep_their_numbers) {
  if (!probe(*GetParam()).value().has(Opcode::pipe)) GTEST_SKIP() << "pipes in slots need Linux 6.16";
  std::array<std::int32_t, 2> slots{};
  const auto program = [&slots]() -> Task<Result<void>> {
    const FileTable table = FileTable::create(4).value();
    const Result<Reply> made = co_await async_raw(Sqe{.opcode = static_cast<std::uint8_t>(Opcode::pipe),
                                                      .fd = 0,
                                                      .addr = reinterpret_cast<std::uintptr_t>(&slots),
                                                      .file_index = 1});
    if (!made) co_return std::unexpected(made.error());
    co_return Result<void>();
  };
  (void)record(program);
  const auto first = std::exchange(slots, {});
  replay(program, 0);
  EXPECT_EQ(slots, first);
}

// While it watches, nothing could appear on a ring that is recorded. So each look would be an event for
// nothing.
TEST_P(Replay, a_recorded_worker_does_not_watch_before_it_sleeps) {
  constexpr std::uint64_t count = 200;
  const auto waits = []() -> Task<Result<void>> {
    for (std::uint64_t i = 0; i < count; ++i) (void)co_await async_nop().forced_async();
    co_return Result<void>();
  };
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  ASSERT_TRUE(
      run(waits(), {.spin_before_sleep = std::chrono::milliseconds(10), .kernel = &recorder->kernel()})
          .has_value());
  EXPECT_GT(recorder->events(), count);
  EXPECT_LT(recorder->events(), 20 * count);
}

/// An SQE of a raw ring, whose user_data is another one in each run.
struct RawRing {
  explicit RawRing(Kernel& kernel, std::uint64_t first) : first_(first) {
    RingParams params{.sq_entries = 8, .cq_entries = 16};
    EXPECT_EQ(kernel.open_ring(params, ring), 0);
  }
  void add(Sqe sqe) {
    const RingMemory& memory = ring->memory();
    const std::uint32_t tail = *memory.sq_tail, place = tail & (memory.sq_entries - 1);
    sqe.user_data = first_ + count_++;
    memory.sqes[place] = sqe;
    memory.sq_array[place] = place;
    std::atomic_ref(*memory.sq_tail).store(tail + 1, std::memory_order_release);
  }
  /// Returns which SQEs have been answered, in order.
  std::vector<std::uint64_t> enter(unsigned submit, unsigned wait) {
    EXPECT_EQ(ring->enter(submit, wait, uapi::enter_getevents, nullptr), static_cast<int>(submit));
    const RingMemory& memory = ring->memory();
    std::vector<std::uint64_t> answered;
    for (; *memory.cq_head != *memory.cq_tail; ++*memory.cq_head)
      answered.push_back(memory.cqes[*memory.cq_head & (memory.cq_entries - 1)].user_data - first_);
    return answered;
  }
  std::unique_ptr<KernelRing> ring;

 private:
  std::uint64_t first_;
  std::uint64_t count_ = 0;
};

// Linux answers a zero-copy send of a broken chain without F_MORE, and notifies all the same.
TEST_P(Replay, a_notification_after_the_last_answer_is_of_its_request) {
  const auto broken_chain = [](RawRing raw, int socket) {
    char byte = 'x';
    raw.add({.opcode = static_cast<std::uint8_t>(Opcode::read), .flags = uapi::sqe_io_link, .fd = -1});
    raw.add({.opcode = static_cast<std::uint8_t>(Opcode::send_zc),
             .fd = socket,
             .addr = reinterpret_cast<std::uintptr_t>(&byte),
             .len = 1});
    raw.add({.opcode = static_cast<std::uint8_t>(Opcode::nop)});
    return raw.enter(3, 3);
  };
  const TcpListener listener = TcpListener::bind(Address::loopback(0)).value();
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  const std::vector<std::uint64_t> first =
      broken_chain(RawRing(recorder->kernel(), 1000), listener.fd().get());
  recorder.reset();
  EXPECT_GE(first.size(), 3U);
  auto again = RunReplay::open(file()).value();
  EXPECT_EQ(broken_chain(RawRing(again->kernel(), 2000), listener.fd().get()), first);
}

// ---- what is wrong with a file ----

std::atomic<int> signals_seen = 0;

TEST_P(Replay, a_signal_does_not_end_the_reading_of_a_file) {
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  Fd writing(::open(file().c_str(), O_RDWR | O_CLOEXEC));
  struct sigaction action{}, before{};
  action.sa_handler = [](int) { ++signals_seen; };  // without SA_RESTART
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  signals_seen = 0;
  std::thread interrupts([&, reader = ::pthread_self()] {
    while (signals_seen < 100) ::pthread_kill(reader, SIGUSR1), std::this_thread::yield();
    EXPECT_EQ(::write(writing.get(), "hello", 5), 5);
    writing.reset();
  });
  const std::string wrong = why_not();
  interrupts.join();
  ASSERT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
  EXPECT_NE(wrong.find("is no replay file"), std::string::npos) << wrong;
}

TEST_P(Replay, a_damaged_file_is_refused_with_the_number_of_the_event) {
  (void)record([] { return sleep_twice(); });
  damage(60);
  EXPECT_NE(why_not().find("is damaged: event "), std::string::npos) << why_not();
}

TEST_P(Replay, a_file_that_was_cut_anywhere_is_refused) {
  (void)record([] { return sleep_twice(); });
  const auto whole = fs::file_size(file());
  for (auto size = whole - 1; size > whole - 200; --size) {
    fs::resize_file(file(), size);
    EXPECT_NE(why_not().find("has been cut"), std::string::npos) << size << ": " << why_not();
  }
  fs::resize_file(file(), 100);
  EXPECT_NE(why_not().find("has been cut"), std::string::npos) << why_not();
}

TEST_P(Replay, what_is_no_replay_file_is_refused) {
  EXPECT_NE(why_not().find("No such file"), std::string::npos) << why_not();
  std::ofstream(file()) << "hello";
  EXPECT_NE(why_not().find("is no replay file"), std::string::npos) << why_not();
  fs::resize_file(file(), 0);
  EXPECT_NE(why_not().find("is no replay file"), std::string::npos) << why_not();
}

TEST_P(Replay, another_program_is_told_where_it_differs) {
  std::ofstream(data()) << "text";
  Seen seen;
  (void)record([] { return sleep_twice(); });
  const auto other = [&] { replay([&] { return read_file(data(), seen); }, 0); };
  EXPECT_DEATH(other(),
               "corering: the replay of .* differs at event [0-9]+: the program .* where the recorded one");
}

TEST_P(Replay, a_program_that_asks_for_another_length_is_told_so) {
  std::ofstream(data()) << "text";
  const auto read = [this](std::size_t size) -> Task<Result<void>> {
    Result<File> file = co_await File::open(data());
    std::array<std::byte, 100> buffer;
    const Result<std::size_t> got = co_await file->read_at(std::span(buffer).first(size), 0);
    EXPECT_TRUE(got.has_value());
    co_return co_await file->close();
  };
  (void)record([&] { return read(10); });
  const auto longer = [&] { replay([&] { return read(11); }, 0); };
  EXPECT_DEATH(longer(), "length 11.* where the recorded one .*length 10");
}

TEST_P(Replay, a_run_that_was_killed_is_replayed_until_there) {
  // By hand: what EXPECT_EXIT ran is not run again in the process of the next death test.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
    const auto dies = []() -> Task<Result<void>> {
      (void)co_await sleep_for(std::chrono::microseconds(1));
      ::_exit(3);
      co_return Result<void>();
    };
    (void)run(dies(), {.kernel = &recorder->kernel()});
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << status;
  const auto goes_on = [this] { replay([] { return sleep_twice(); }, 0); };
  EXPECT_DEATH(goes_on(), "ends here, at event [0-9]+: the recorded run was killed, or it crashed");
}

TEST_P(Replay, a_child_that_exits_leaves_its_parents_recording_alone) {
  Seen first, second;
  const auto with_child = [this](Seen& seen, bool forks) -> Task<Result<void>> {
    if (forks) {
      const pid_t child = ::fork();
      if (child == 0) {
        recorder_->finish();  // as exit() does
        ::_exit(0);
      }
      EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    }
    co_return co_await socket_pair_with_pool(seen);
  };
  recorder_ = RunRecorder::start({.file = file(), .bytes = true, .kernel = GetParam()}).value();
  ASSERT_TRUE(run(with_child(first, true), {.kernel = &recorder_->kernel()}).has_value());
  recorder_.reset();
  replay([&] { return with_child(second, false); }, 0);
  EXPECT_EQ(second.text, first.text);
}

std::string name_of_kernel(const testing::TestParamInfo<Kernel*>& kernel) {
  return kernel.param == &emulated_kernel() ? "emulated" : "io_uring";
}

INSTANTIATE_TEST_SUITE_P(On, Replay, testing::Values(&real_kernel(), &emulated_kernel()), name_of_kernel);

}  // namespace
}  // namespace corering
