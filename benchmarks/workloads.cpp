/// workloads.cpp — our side of the comparisons with hand-written C, and the pairing.
#include "workloads.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <corering/corering.hpp>

#include "raw.h"

namespace bench {
namespace {

using corering::Clock;
using corering::Fd;
using corering::JoinHandle;
using corering::PostNode;
using corering::Result;
using corering::Task;
using corering::TimePoint;
using corering::Worker;

double checked(std::int64_t nanoseconds) {
  if (nanoseconds < 0)
    throw std::system_error(static_cast<int>(-nanoseconds), std::system_category(), "raw side");
  return static_cast<double>(nanoseconds);
}

void check(const Result<void>& result) {
  if (!result) throw std::system_error(result.error());
}

// ---- work on the caller's thread: nop and read ----

/// Runs `depth` tasks made by `make` on a worker of this thread; the time from the first spawn to the last
/// join.
template <class Make>
Task<void> run_side_by_side(unsigned depth, const Make& make, Clock::duration& elapsed) {
  const TimePoint begin = Clock::now();
  std::vector<JoinHandle<void>> running;
  running.reserve(depth);
  for (unsigned i = 0; i < depth; ++i) running.push_back(corering::spawn(make(i)));
  for (auto& one : running) co_await std::move(one);
  elapsed = Clock::now() - begin;
  Worker::current()->request_stop();
}

template <class Make>
double measure_on_this_thread(unsigned depth, const Make& make) {
  Clock::duration elapsed{};
  Worker worker;
  check(worker.run([&](Worker&) { corering::spawn(run_side_by_side(depth, make, elapsed)).detach(); }));
  return static_cast<double>(elapsed.count());
}

Task<void> nops(std::uint64_t& left) {
  while (left > 0) {
    --left;
    check(co_await corering::async_nop());
  }
}

double our_nop(unsigned depth, std::uint64_t operations) {
  std::uint64_t left = operations;
  return measure_on_this_thread(depth, [&left](unsigned) { return nops(left); });
}

constexpr std::size_t block_size = 4096;
constexpr std::uint64_t block_count = 4096;

struct Reader {
  int fd;
  std::uint64_t random = 1;
  std::uint64_t left;
  std::span<std::byte> buffers;

  std::uint64_t next_offset() noexcept {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (random >> 33) % block_count * block_size;
  }
};

Task<void> reads(Reader& reader, unsigned slot) {
  const std::span<std::byte> buffer = reader.buffers.subspan(slot * block_size, block_size);
  while (reader.left > 0) {
    --reader.left;
    const Result<std::size_t> got = co_await corering::async_read(reader.fd, buffer, reader.next_offset());
    if (!got || *got != block_size) throw std::runtime_error("a read of a cached block came back short");
  }
}

double our_read(int fd, unsigned depth, std::uint64_t operations) {
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(std::aligned_alloc(4096, depth * block_size)), &std::free);
  Reader reader{.fd = fd, .left = operations, .buffers = {memory.get(), depth * block_size}};
  return measure_on_this_thread(depth, [&reader](unsigned slot) { return reads(reader, slot); });
}

/// A file of block_count blocks that is in the page cache, and gone with the last owner.
std::shared_ptr<Fd> cached_file() {
  std::string path =
      (std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") + std::string("/bench-XXXXXX");
  auto fd = std::make_shared<Fd>(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd->valid()) throw std::system_error(errno, std::system_category(), path);
  ::unlink(path.c_str());
  const std::vector<char> block(block_size, 'x');
  for (std::uint64_t i = 0; i < block_count; ++i) {
    if (::write(fd->get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
      throw std::system_error(errno, std::system_category(), "writing the file to read");
    }
  }
  return fd;
}

// ---- work for another thread: hop and post ----

int last_processor() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())) - 1; }

struct RawWorker {
  RawWorker() { checked(raw_worker_start(&worker, last_processor())); }
  RawWorker(RawWorker&&) = delete;
  ~RawWorker() { raw_worker_stop(worker); }
  raw_worker* worker = nullptr;
};

struct OurWorker {
  OurWorker() { check(worker.start()); }
  Worker worker{{.cpu = static_cast<unsigned>(last_processor())}};
};

Task<void> hop(Worker& worker) { check(co_await corering::SwitchToWorker(worker)); }

double our_hop(std::uint64_t count) {
  OurWorker pinned;
  Worker& worker = pinned.worker;
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) corering::sync_wait(hop(worker));
  return static_cast<double>((Clock::now() - begin).count());
}

/// A coroutine that exists already: each time it is resumed it counts, and waits to be posted again.
struct Counted {
  struct promise_type {
    Counted get_return_object() noexcept {
      return Counted(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  explicit Counted(std::coroutine_handle<promise_type> handle) noexcept : handle(handle) {}
  Counted(Counted&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~Counted() {
    if (handle) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle;
};

Counted count_resumes(std::atomic<std::uint64_t>& resumed) {
  for (;;) {
    resumed.store(resumed.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    co_await std::suspend_always();
  }
}

double our_post(std::uint64_t count) {
  alignas(64) std::atomic<std::uint64_t> resumed = 0;
  std::vector<Counted> coroutines;
  std::vector<PostNode> nodes(RAW_WINDOW);
  for (PostNode& node : nodes) {
    coroutines.push_back(count_resumes(resumed));
    node.coroutine = coroutines.back().handle;
  }
  OurWorker pinned;
  Worker& worker = pinned.worker;
  const TimePoint begin = Clock::now();
  for (std::uint64_t posted = 0; posted < count;) {
    for (std::size_t i = 0; i < nodes.size() && posted < count; ++i, ++posted) {
      if (!corering::engine::post(worker, nodes[i])) throw std::runtime_error("the worker refused a post");
    }
    while (resumed.load(std::memory_order_acquire) < posted) __builtin_ia32_pause();
  }
  return static_cast<double>((Clock::now() - begin).count());
}

Task<void> count_once(std::atomic<std::uint64_t>& run) {
  run.store(run.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  co_return;
}

double our_post_new_task(std::uint64_t count) {
  OurWorker pinned;
  Worker& worker = pinned.worker;
  alignas(64) std::atomic<std::uint64_t> run = 0;
  const TimePoint begin = Clock::now();
  for (std::uint64_t posted = 0; posted < count;) {
    for (std::size_t i = 0; i < RAW_WINDOW && posted < count; ++i, ++posted) {
      auto spawned = worker.spawn(count_once(run));
      if (!spawned) throw std::system_error(spawned.error());
      spawned->detach();
    }
    while (run.load(std::memory_order_acquire) < posted) __builtin_ia32_pause();
  }
  return static_cast<double>((Clock::now() - begin).count());
}

}  // namespace

std::vector<Workload> all_workloads() {
  std::vector<Workload> all;
  add_io_workloads(all);
  add_task_workloads(all);
  return all;
}

void add_io_workloads(std::vector<Workload>& all) {
  for (const unsigned depth : {1U, 32U, 128U}) {
    all.push_back({.name = "nop",
                   .parameters = "depth " + std::to_string(depth),
                   .other = "raw",
                   .operations = depth == 1 ? 1'000'000U : 4'000'000U,
                   .theirs = [depth](std::uint64_t n) { return checked(raw_nop(depth, n)); },
                   .ours = [depth](std::uint64_t n) { return our_nop(depth, n); }});
  }
  const std::shared_ptr<Fd> file = cached_file();
  for (const unsigned depth : {1U, 32U}) {
    all.push_back({.name = "read",
                   .parameters = "4 KiB cached, depth " + std::to_string(depth),
                   .other = "raw",
                   .operations = 300'000,
                   .theirs =
                       [file, depth](std::uint64_t n) {
                         return checked(raw_read(file->get(), depth, n, block_size, block_count));
                       },
                   .ours = [file, depth](std::uint64_t n) { return our_read(file->get(), depth, n); }});
  }
  all.push_back({.name = "hop",
                 .parameters = "round trip",
                 .other = "raw",
                 .operations = 3'000,
                 .theirs = [](std::uint64_t n) { return checked(raw_hop(RawWorker().worker, n)); },
                 .ours = [](std::uint64_t n) { return our_hop(n); }});
  all.push_back({.name = "post",
                 .parameters = "existing coroutine",
                 .other = "raw",
                 .operations = 2'000'000,
                 .theirs = [](std::uint64_t n) { return checked(raw_post(RawWorker().worker, n)); },
                 .ours = [](std::uint64_t n) { return our_post(n); }});
  all.push_back({.name = "post",
                 .parameters = "new task, to raw nodes",
                 .other = "raw",
                 .operations = 2'000'000,
                 .theirs = [](std::uint64_t n) { return checked(raw_post(RawWorker().worker, n)); },
                 .ours = [](std::uint64_t n) { return our_post_new_task(n); }});
}

}  // namespace bench
