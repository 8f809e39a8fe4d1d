/// refuses_test.cpp — what cannot be replayed is refused in one line, while it is recorded or later.
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

// ---- what cannot be recorded ----

TEST_P(Replay, a_run_to_which_another_thread_posts_is_refused) {
  std::string why;
  {
    auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
    Worker worker({.kernel = &recorder->kernel()});
    std::thread other;
    ASSERT_TRUE(
        worker.run([&](Worker& here) { other = std::thread([&here] { here.request_stop(); }); }).has_value());
    other.join();
    why = recorder->why_not();
  }
  EXPECT_NE(why, "");
  EXPECT_NE(why_not().find("cannot be replayed: another thread"), std::string::npos) << why_not();
}

TEST_P(Replay, a_worker_with_its_own_thread_is_refused) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  Worker worker({.kernel = &recorder->kernel()});
  ASSERT_TRUE(worker.start().has_value());
  EXPECT_NE(recorder->why_not().find("another thread has run a worker"), std::string::npos);
}

TEST_P(Replay, a_nap_of_another_thread_refuses_the_run) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  const std::uint64_t before = recorder->events();
  std::thread([&] { recorder->kernel().nap(std::chrono::nanoseconds(1)); }).join();
  EXPECT_NE(recorder->why_not().find("another thread"), std::string::npos);
  EXPECT_EQ(recorder->events(), before) << "it is not the recorded thread's";
}

TEST_P(Replay, a_close_of_another_thread_refuses_the_run) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  const int fd = ::dup(STDIN_FILENO);
  ASSERT_GE(fd, 0);
  std::thread([&] { recorder->kernel().close(fd); }).join();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "it is closed all the same";
  EXPECT_NE(recorder->why_not().find("another thread has closed"), std::string::npos);
}

TEST_P(Replay, a_close_of_another_thread_ends_a_replay_with_the_reason) {
  (void)record([] { return sleep_twice(); });
  auto again = RunReplay::open(file()).value();
  const auto close_elsewhere = [&] { std::thread([&] { again->kernel().close(1 << 24); }).join(); };
  EXPECT_DEATH(close_elsewhere(), "the replay of .* ends: another thread has closed a descriptor");
}

/// Sends one byte and a descriptor.
void send_descriptor(int socket) {
  char byte = 'x';
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const head = CMSG_FIRSTHDR(&message);
  *head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  EXPECT_EQ(::sendmsg(socket, &message, 0), 1);  // descriptor 0
}

TEST_P(Replay, descriptors_in_a_message_are_refused) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  const auto receive = []() -> Task<Result<void>> {
    auto ends = UnixStream::pair().value();
    send_descriptor(ends.first.fd().get());
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const Result<std::size_t> got = co_await async_recvmsg(ends.second.fd(), message);
    EXPECT_EQ(got, 1U);
    EXPECT_EQ(::close(*reinterpret_cast<const int*>(CMSG_DATA(CMSG_FIRSTHDR(&message)))), 0);
    co_return Result<void>();
  };
  EXPECT_TRUE(run(receive(), {.kernel = &recorder->kernel()}).has_value());
  EXPECT_NE(recorder->why_not().find("SCM_RIGHTS"), std::string::npos);
}

TEST_P(Replay, descriptors_in_a_message_in_a_provided_buffer_are_refused) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  const auto receive = []() -> Task<Result<void>> {
    std::array<int, 2> numbers{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, numbers.data()), 0);
    const Fd first(numbers[0]), second(numbers[1]);
    send_descriptor(first.get());
    const BufferPool pool = BufferPool::create({.count = 4, .size = 512}).value();
    RecvmsgStream messages(second, pool, CMSG_SPACE(sizeof(int)));
    const Result<Datagram> got = co_await messages.next();
    EXPECT_TRUE(got.has_value());
    co_return Result<void>();
  };
  EXPECT_TRUE(run(receive(), {.kernel = &recorder->kernel()}).has_value());
  EXPECT_NE(recorder->why_not().find("SCM_RIGHTS"), std::string::npos);
}

Worker* stopped_by_a_signal = nullptr;

TEST_P(Replay, a_stop_from_a_signal_handler_on_the_same_thread_is_refused) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  Worker worker({.kernel = &recorder->kernel()});
  stopped_by_a_signal = &worker;
  const auto before = std::signal(SIGUSR1, [](int) { stopped_by_a_signal->request_stop(); });
  ASSERT_TRUE(worker.run([](Worker&) { EXPECT_EQ(std::raise(SIGUSR1), 0); }).has_value());
  (void)std::signal(SIGUSR1, before);
  EXPECT_NE(recorder->why_not().find("signal handler"), std::string::npos);
}

TEST_P(Replay, a_stop_from_a_signal_handler_ends_a_replay_with_the_reason) {
  (void)record([] { return sleep_twice(); });
  auto again = RunReplay::open(file()).value();
  const auto stop_in_a_handler = [&again] {
    Worker worker({.kernel = &again->kernel()});
    stopped_by_a_signal = &worker;
    (void)std::signal(SIGUSR1, [](int) { stopped_by_a_signal->request_stop(); });
    (void)std::raise(SIGUSR1);
  };
  EXPECT_DEATH(stop_in_a_handler(), "corering: the replay of .* ends: a signal handler has stopped");
}

TEST_P(Replay, a_recording_belongs_to_its_thread) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  const auto destroy = [&] { std::thread([&] { recorder.reset(); }).join(); };
  EXPECT_DEATH(destroy(), "destroyed on the thread that made it");
}

TEST_P(Replay, a_guest_is_refused) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  Worker worker({.kernel = &recorder->kernel()});
  ASSERT_TRUE(worker.descriptor().has_value());
  EXPECT_NE(recorder->why_not().find("guest"), std::string::npos);
  worker.request_stop();
}

TEST_P(Replay, a_second_worker_is_refused) {
  auto recorder = RunRecorder::start({.file = file(), .kernel = GetParam()}).value();
  Worker one({.kernel = &recorder->kernel()}), two({.kernel = &recorder->kernel()});
  ASSERT_TRUE(one.turn(std::chrono::seconds(0)).has_value());
  ASSERT_TRUE(two.turn(std::chrono::seconds(0)).has_value());
  EXPECT_NE(recorder->why_not().find("a second worker"), std::string::npos);
}

}  // namespace
}  // namespace corering
