/// post_workloads.cpp — work for another thread: hop and post.
#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>

#include "asio_side.hpp"
#include "our_side.hpp"
#include "processors.hpp"
#include "raw.h"
#include "side_by_side.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

using corering::Clock;
using corering::PostNode;
using corering::Task;
using corering::TimePoint;
using corering::Worker;

struct RawWorker {
  explicit RawWorker(bool spins = false) { checked(raw_worker_start(&worker, last_processor(), spins)); }
  RawWorker(RawWorker&&) = delete;
  ~RawWorker() { raw_worker_stop(worker); }
  raw_worker* worker = nullptr;
};

struct OurWorker {
  explicit OurWorker(corering::WorkerOptions options = {}) : worker(pinned(options)) {
    check(worker.start());
  }
  static corering::WorkerOptions pinned(corering::WorkerOptions options) {
    options.cpu = static_cast<unsigned>(last_processor());
    return options;
  }
  Worker worker;
};

Task<void> hop(Worker& worker) { check(co_await corering::SwitchToWorker(worker)); }

double our_hop(std::uint64_t count, corering::WorkerOptions options = {}) {
  OurWorker pinned(options);
  const TimePoint begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) corering::sync_wait(hop(pinned.worker));
  return since(begin);
}

/// A coroutine that already exists. Each time it is resumed, it counts, and waits to be posted again.
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

void wait_for(const std::atomic<std::uint64_t>& counted, std::uint64_t count) {
  raw_patience patience{};
  while (counted.load(std::memory_order_acquire) < count) raw_wait_a_little(&patience);
}

/// Measures posts from any number of threads.
double our_post(Worker& worker, std::uint64_t count) {
  alignas(64) std::atomic<std::uint64_t> resumed = 0;
  std::vector<Counted> coroutines;
  std::vector<PostNode> nodes(RAW_WINDOW);
  for (PostNode& node : nodes) {
    coroutines.push_back(count_resumes(resumed));
    node.coroutine = coroutines.back().handle;
  }
  const TimePoint begin = Clock::now();
  for (std::uint64_t posted = 0; posted < count;) {
    for (std::size_t i = 0; i < nodes.size() && posted < count; ++i, ++posted) {
      if (!corering::post(worker.loop(), nodes[i])) throw std::runtime_error("the worker refused a post");
    }
    wait_for(resumed, posted);
  }
  return since(begin);
}

Task<void> count_once(std::atomic<std::uint64_t>& run) {
  run.store(run.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  co_return;
}

double our_post_new_task(std::uint64_t count) {
  OurWorker pinned;
  alignas(64) std::atomic<std::uint64_t> run = 0;
  const TimePoint begin = Clock::now();
  for (std::uint64_t posted = 0; posted < count;) {
    for (std::size_t i = 0; i < RAW_WINDOW && posted < count; ++i, ++posted) {
      auto spawned = pinned.worker.spawn(count_once(run));
      if (!spawned) throw std::system_error(spawned.error());
      spawned->detach();
    }
    wait_for(run, posted);
  }
  return since(begin);
}

double post_from_here(std::uint64_t count) {
  OurWorker pinned;
  return our_post(pinned.worker, count);
}

Subject raw_posts(std::uint64_t count) {
  return timed("raw", count, [](std::uint64_t n) { return checked(raw_post(RawWorker().worker, n)); });
}

/// Threads that post have for themselves the processors that the worker does not have, if there are any.
std::vector<int> where_to_post(unsigned threads) {
  const std::size_t others = std::max<std::size_t>(1, processors().size() - 1);
  std::vector<int> where;
  for (unsigned i = 0; i < threads; ++i) where.push_back(processors()[i % others]);
  return where;
}

/// Measures the time until the last of the threads has seen that all its posts have run.
template <class Post>
double post_from(unsigned threads, std::uint64_t count, const Post& post) {
  const std::vector<double> took =
      on_threads(where_to_post(threads), [&](std::size_t) { return post(count / threads); });
  return std::ranges::max(took);
}

Workload posters(unsigned threads) {
  constexpr std::uint64_t posts = 2'000'000;
  const auto raw = [threads](std::uint64_t n) {
    RawWorker pinned;
    return post_from(threads, n, [&](std::uint64_t each) { return checked(raw_post(pinned.worker, each)); });
  };
  const auto ours = [threads](std::uint64_t n) {
    OurWorker pinned;
    return post_from(threads, n, [&](std::uint64_t each) { return our_post(pinned.worker, each); });
  };
  return {.name = "posters",
          .parameters = std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
          .subjects = {timed("raw", posts, raw), timed("corering", posts, ours)},
          .core = false};
}

}  // namespace

void add_post_workloads(std::vector<Workload>& all) {
  constexpr std::uint64_t hops = 3'000, posts = 2'000'000;
  all.push_back(
      {.name = "hop",
       .parameters = "round trip",
       .subjects = {timed("raw", hops,
                          [](std::uint64_t n) { return checked(raw_hop(RawWorker().worker, n)); }),
                    timed("raw_spin", hops,
                          [](std::uint64_t n) { return checked(raw_hop(RawWorker(true).worker, n)); }),
                    timed("corering", hops, [](std::uint64_t n) { return our_hop(n); }),
                    timed("corering_watching", hops,
                          [](std::uint64_t n) {
                            return our_hop(n, {.spin_before_sleep = std::chrono::microseconds(100)});
                          }),
                    timed("corering_emulated", hops, emulated([](std::uint64_t n) { return our_hop(n); }))},
       .promises = {{"corering_emulated", "time", 1.2, "corering"}}});
  all.push_back({.name = "post",
                 .parameters = "existing coroutine",
                 .subjects = {raw_posts(posts), timed("corering", posts, post_from_here),
                              timed("corering_emulated", posts, emulated(post_from_here))}});
  all.push_back({.name = "post",
                 .parameters = "new task, to raw nodes",
                 .subjects = {raw_posts(posts), timed("corering", posts, our_post_new_task),
                              timed("asio", posts / 4, [](std::uint64_t n) {
                                return asio_side::post(n, RAW_WINDOW, last_processor());
                              })}});
  for (const unsigned threads : {1U, 2U, 3U, 4U}) all.push_back(posters(threads));
}

}  // namespace bench
