/// stop_test.cpp — a worker on the emulated kernel is stopped at 512 steps of a program that has operations
/// of every kind in flight. Nothing is left: no descriptor, no thread, and, under a sanitizer, no byte.
#include <array>
#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/story.hpp"

namespace corering {
namespace {

using namespace std::chrono_literals;

/// Counts what the program does, and stops the worker at one of its steps.
struct Steps {
  int stop_at;
  int count = 0;
  void next() {
    if (++count == stop_at) Worker::current()->request_stop();
  }
};

// ---- what waits until the end ----

Task<void> is_watched(int fd) {
  std::array<std::byte, 8> buffer;
  (void)co_await when_all(async_recv(fd, buffer), async_poll(fd, POLLIN));
}
Task<void> is_timed() { (void)co_await async_timeout(1h); }
Task<void> is_linked(int fd) {
  std::array<std::byte, 8> buffer;
  (void)co_await chain(async_recv(fd, buffer), async_nop());
}
Task<void> waits_for_a_word(const std::atomic<std::uint32_t>& word) {
  (void)co_await async_futex_wait(word, 0);
}

// ---- what goes on and on ----

Task<void> opens(Steps& steps, const FileTable& table) {
  for (;;) {
    steps.next();
    Result<Fd> file = co_await async_openat(AT_FDCWD, "/dev/null", O_RDONLY);  // lent to a helper
    if (!file) co_return;
    steps.next();
    Result<FixedFile> slot = co_await async_install(table, file->get());
    if (!slot) co_return;
    steps.next();
    const Result<void> closed = co_await async_close(std::move(*slot));
    if (!closed) co_return;
  }
}
Task<void> takes(Steps& steps, int fd, BufferPool& pool) {
  RecvStream stream(fd, pool);
  for (;;) {
    const Result<LentBuffer> piece = co_await stream.next();
    steps.next();
    if (!piece) co_return;
  }
}
Task<void> gives(Steps& steps, int fd) {
  for (;;) {
    steps.next();
    const Result<std::size_t> sent = co_await async_send(fd, test::bytes_of("some"));
    if (!sent) co_return;
    const Result<void> slept = co_await sleep_for(20us);
    if (!slept) co_return;
  }
}
Task<void> links(Steps& steps) {
  for (;;) {
    steps.next();
    (void)co_await chain(async_nop(), async_timeout(10us), async_nop());
    const bool over = co_await is_cancelled();
    if (over) co_return;
  }
}
Task<void> accepts(Steps& steps, int listener) {
  AcceptStream stream(listener);
  for (;;) {
    const Result<Fd> client = co_await stream.next();
    steps.next();
    if (!client) co_return;
  }
}
Task<void> connects(Steps& steps, const test::Listener& listener) {
  for (;;) {
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const linger no_time{.l_onoff = 1, .l_linger = 0};  // its port is free again at once
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &no_time, sizeof no_time);
    steps.next();
    const Result<void> connected =
        co_await async_connect(socket.get(), listener.get(), sizeof listener.address);
    if (!connected) co_return;
  }
}

struct Scenery {
  test::Listener listener;
  test::SocketPair silent, talking;
  std::atomic<std::uint32_t> word = 0;
};

Task<void> does_everything(Steps& steps, Scenery& scenery) {
  BufferPool pool = BufferPool::create({.count = 8, .size = 64}).value();
  const FileTable table = FileTable::create(4).value();
  auto body = [&](TaskGroup& group) -> Task<void> {
    group.spawn(is_watched(scenery.silent.ours.get()));
    group.spawn(is_timed());
    group.spawn(is_linked(scenery.silent.theirs.get()));
    group.spawn(waits_for_a_word(scenery.word));
    group.spawn(takes(steps, scenery.talking.ours.get(), pool));
    group.spawn(accepts(steps, scenery.listener.fd.get()));
    group.spawn(opens(steps, table));
    group.spawn(gives(steps, scenery.talking.theirs.get()));
    group.spawn(links(steps));
    group.spawn(connects(steps, scenery.listener));
    co_return;
  };
  (void)co_await with_group(std::move(body));
}

int threads() {
  const std::filesystem::directory_iterator all("/proc/self/task");
  return static_cast<int>(std::distance(begin(all), end(all)));
}
/// A thread that was joined stays in the list for a moment.
int threads_left(int expected) {
  for (int i = 0; i < 1'000'000 && threads() > expected; ++i) std::this_thread::yield();
  return threads();
}

void stop_at(int step) {
  Steps steps{.stop_at = step};
  Scenery scenery;
  {
    Worker worker({.kernel = &emulated_kernel()});
    const Result<void> ran = worker.run([&](Worker&) { spawn(does_everything(steps, scenery)).detach(); });
    ASSERT_TRUE(ran) << ran.error().message();
  }
  ASSERT_GE(steps.count, step);
}

TEST(StopOnTheEmulation, at_each_of_512_steps_leaves_nothing) {
  stop_at(100);  // what the first run brings with it stays
  const int descriptors = test::open_descriptors();
  const int before = threads();
  constexpr int moments = test::under_sanitizer ? 128 : 512;
  for (int step = 1; step <= moments; ++step) {
    SCOPED_TRACE("stopped at step " + std::to_string(step));
    stop_at(step);
    ASSERT_EQ(test::open_descriptors(), descriptors);
    ASSERT_LE(threads_left(before), before);
  }
}

}  // namespace
}  // namespace corering
