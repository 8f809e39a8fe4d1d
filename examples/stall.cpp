/// stall.cpp — a server that is fast, except when it is not: docs/FIND_A_STALL.md finds out why.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <span>
#include <utility>

#include <corering/corering.hpp>

using namespace corering;
using namespace std::chrono_literals;

/// What takes 20 ms: think of a parser, a hash over a large file, a sort.
std::uint64_t build_index() {
  std::uint64_t index = 0;
  for (const TimePoint end = Clock::now() + 20ms; Clock::now() < end;) index = index * 31 + 7;
  return index;
}

/// Builds the index now and then. The fault is here: it computes on the worker that serves.
Task<void> keep_index() {
  for (;;) {
    const Result<void> slept = co_await sleep_for(100ms);
    if (!slept) co_return;
    (void)build_index();
  }
}

/// The same without the fault: a thread of its own computes.
Task<void> keep_index_elsewhere(BlockingPool& pool) {
  for (;;) {
    const Result<void> slept = co_await sleep_for(100ms);
    if (!slept) co_return;
    (void)co_await offload(pool, build_index);
  }
}

Task<void> serve(UnixStream client) {
  std::array<std::byte, 64> request;
  for (;;) {
    const Result<std::size_t> got = co_await client.read(request);
    if (!got || *got == 0) co_return;
    const Result<void> sent = co_await client.write_all(std::span(request).first(*got));
    if (!sent) co_return;
  }
}

/// Asks `count` times, a millisecond apart. Returns the longest time that an answer took.
Task<Result<Duration>> ask(UnixStream server, int count) {
  std::array<std::byte, 64> answer{};
  Duration longest{};
  for (int i = 0; i < count; ++i) {
    const Result<void> slept = co_await sleep_for(1ms);
    if (!slept) co_return std::unexpected(slept.error());
    const TimePoint begin = Clock::now();
    const Result<void> sent = co_await server.write_all(answer);
    if (!sent) co_return std::unexpected(sent.error());
    const Result<std::size_t> got = co_await server.read(answer);
    if (!got) co_return std::unexpected(got.error());
    longest = std::max(longest, Clock::now() - begin);
  }
  co_return longest;
}

Task<Result<Duration>> measure(Worker& clients, bool is_mended) {
  auto pair = UnixStream::pair();
  if (!pair) co_return std::unexpected(pair.error());
  BlockingPool pool;
  spawn(is_mended ? keep_index_elsewhere(pool) : keep_index()).detach();
  spawn(serve(std::move(pair->first))).detach();
  auto asked = clients.spawn(ask(std::move(pair->second), 500));
  if (!asked) co_return std::unexpected(asked.error());
  co_return co_await std::move(*asked);
}

int main(int argc, char** argv) {
  const bool is_mended = argc == 2 && std::strcmp(argv[1], "--mended") == 0;
  if (argc > 1 && !is_mended) return std::fputs("usage: stall [--mended]\n", stderr), 2;
  Worker clients;
  if (const Result<void> started = clients.start(); !started)
    return std::fprintf(stderr, "stall: %s\n", started.error().message().c_str()), 1;
  const Result<Duration> longest = run(measure(clients, is_mended));
  if (!longest) return std::fprintf(stderr, "stall: %s\n", longest.error().message().c_str()), 1;
  std::printf("500 answers, the slowest after %.1f ms\n",
              std::chrono::duration<double, std::milli>(*longest).count());
  return 0;
}
