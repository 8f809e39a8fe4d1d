/// hot_path.cpp — does one thing COUNT times; scripts/hot_path.sh counts its instructions.
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <corering/corering.hpp>

using namespace corering;

namespace {

constexpr std::size_t depth = 32;

/// The figures in hot_path.txt are those of a worker that watches for a while before it sleeps.
constexpr std::chrono::microseconds watching(100);

Task<void> nothing() { co_return; }

Task<void> nops(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) (void)co_await async_nop();
}

Task<void> reads(int fd, std::size_t count) {
  std::array<std::byte, 4096> buffer;
  for (std::size_t i = 0; i < count; ++i) (void)co_await async_read(fd, buffer, 0);
}

Task<void> spawns(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await spawn(nothing());
}

Task<void> awaits(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) co_await nothing();
}

/// Sends a byte there and back: two sends and two receives are one echo.
Task<void> answers(int fd, std::size_t count) {
  std::array<std::byte, 64> buffer;
  for (std::size_t i = 0; i < count; ++i) {
    (void)co_await async_recv(fd, buffer);
    (void)co_await async_send(fd, buffer);
  }
}
Task<void> echoes(std::size_t count) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) co_return;
  const Fd ours(fds[0]), theirs(fds[1]);
  JoinHandle<void> answering = spawn(answers(theirs.get(), count));
  std::array<std::byte, 64> buffer;
  for (std::size_t i = 0; i < count; ++i) {
    (void)co_await async_send(ours.get(), buffer);
    (void)co_await async_recv(ours.get(), buffer);
  }
  co_await std::move(answering);
}

// ---- beside tasks that have nothing to do: each of these must cost the same without them ----

constexpr int idle_tasks = 10'000;

Task<void> idles(Event& never) { (void)co_await never.wait(); }
Task<void> drains() { (void)co_await Worker::current()->drain(); }
/// Every turn asks whether the worker is drained.
Task<void> nops_beside_a_drain(std::size_t count) {
  Event never;
  (void)co_await with_group([&](TaskGroup& group) -> Task<void> {
    for (int i = 0; i < idle_tasks; ++i) group.spawn(idles(never));
    JoinHandle<void> draining = spawn(drains());
    co_await nops(count);
    draining.request_cancel();
    co_await std::move(draining);
    group.cancel();
  });
}

Task<void> polls(int fd) { (void)co_await async_poll(fd, POLLIN); }
Task<void> streams(int fd) {
  PollStream events(fd, POLLIN);
  (void)co_await events.next();
}
/// Whoever uses the descriptor must be told of each close.
Task<void> closes_beside_waits(std::size_t count) {
  const Fd never(::eventfd(0, EFD_CLOEXEC));
  (void)co_await with_group([&](TaskGroup& group) -> Task<void> {
    for (int i = 0; i < idle_tasks / 2; ++i) group.spawn(polls(never.get()));
    for (int i = 0; i < idle_tasks / 2; ++i) group.spawn(streams(never.get()));
    (void)co_await async_nop();
    for (std::size_t i = 0; i < count; ++i) (void)co_await async_close(Fd(::dup(never.get())));
    group.cancel();
  });
}

/// Cancels all of them at once.
Task<void> cancels(std::size_t count) {
  const Fd never(::eventfd(0, EFD_CLOEXEC));
  (void)co_await with_group([&](TaskGroup& group) -> Task<void> {
    for (std::size_t i = 0; i < count; ++i) group.spawn(polls(never.get()));
    (void)co_await async_nop();
    group.cancel();
  });
}

Task<void> side_by_side(std::size_t count, int fd) {
  std::vector<JoinHandle<void>> running;
  for (std::size_t i = 0; i < depth; ++i) {
    running.push_back(spawn(fd < 0 ? nops(count / depth) : reads(fd, count / depth)));
  }
  for (auto& one : running) co_await std::move(one);
}

Task<void> run(std::string_view what, std::size_t count) {
  if (what == "nop") co_await side_by_side(count, -1);
  if (what == "read") {
    const Fd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    co_await side_by_side(count, self.get());
  }
  if (what == "spawn") co_await spawns(count);
  if (what == "await") co_await awaits(count);
  if (what == "echo") co_await echoes(count);
  if (what == "drain") co_await nops_beside_a_drain(count);
  if (what == "close") co_await closes_beside_waits(count);
  if (what == "cancel") co_await cancels(count);
  Worker::current()->request_stop();
}

/// Posts tasks from outside the loop, in batches. Each one is run and freed.
int post(std::size_t count) {
  Worker worker({.spin_before_sleep = watching});
  for (std::size_t i = 0; i < count; i += depth) {
    for (std::size_t j = 0; j < depth; ++j) worker.spawn(nothing()).value().detach();
    if (!worker.turn()) return 1;
  }
  worker.request_stop();
  for (auto more = worker.turn(); more && *more; more = worker.turn(std::chrono::seconds(1))) {
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 0;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), count);
  if (count == 0) {
    std::fputs("usage: hot_path nop|read|spawn|await|post|echo|drain|close|cancel COUNT\n", stderr);
    return 2;
  }
  const std::string_view what = argv[1];
  if (what == "post") return post(count);
  Worker worker({.spin_before_sleep = watching});
  return worker.run([&](Worker&) { spawn(run(what, count)).detach(); }) ? 0 : 1;
}
