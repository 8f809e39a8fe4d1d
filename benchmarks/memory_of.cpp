/// memory_of.cpp — WHAT COUNT: prints how many bytes each of COUNT suspended tasks or idle workers holds.
#include <asio.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "our_side.hpp"
#include "process.hpp"
#include "processors.hpp"
#include "raw.h"

namespace {

using bench::resident_memory;

/// Returns how many bytes each of the `count` things that `make` makes holds.
template <class Make>
double each(unsigned count, const Make& make) {
  const std::uint64_t before = resident_memory("self");
  make();
  return (static_cast<double>(resident_memory("self")) - static_cast<double>(before)) / count;
}

corering::Task<void> waits(corering::Event& event) { (void)co_await event.wait(); }

corering::Task<void> suspend(unsigned count, double& bytes) {
  corering::Event event;
  const std::uint64_t before = resident_memory("self");
  for (unsigned i = 0; i < count; ++i) corering::spawn(waits(event)).detach();
  (void)co_await corering::sleep_for(corering::Duration::zero());
  bytes = (static_cast<double>(resident_memory("self")) - static_cast<double>(before)) / count;
  event.set();
}

double corering_tasks(unsigned count) {
  return bench::measure_one([count](double& bytes) { return suspend(count, bytes); });
}

asio::awaitable<void> asio_waits(asio::steady_timer& event) {
  asio::error_code cancelled;
  co_await event.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
}

double asio_tasks(unsigned count) {
  asio::io_context context(1);
  asio::steady_timer event(context, asio::steady_timer::time_point::max());
  const double bytes = each(count, [&] {
    for (unsigned i = 0; i < count; ++i) asio::co_spawn(context, asio_waits(event), asio::detached);
    context.poll();
  });
  event.cancel();
  context.run();
  return bytes;
}

/// Waits until new threads have gone to sleep.
void let_them_sleep() { std::this_thread::sleep_for(std::chrono::milliseconds(200)); }

double corering_workers(unsigned count) {
  corering::WorkerPool first({.workers = 1});
  bench::check(first.start());
  let_them_sleep();
  corering::WorkerPool others({.workers = count});
  return each(count, [&] {
    bench::check(others.start());
    let_them_sleep();
  });
}

double raw_workers(unsigned count) {
  std::vector<raw_worker*> workers(count + 1);
  bench::checked(raw_worker_start(&workers[0], bench::first_processor(), 0));
  let_them_sleep();
  const double bytes = each(count, [&] {
    for (unsigned i = 1; i <= count; ++i)
      bench::checked(raw_worker_start(&workers[i], bench::first_processor(), 0));
    let_them_sleep();
  });
  for (raw_worker* const worker : workers) raw_worker_stop(worker);
  return bytes;
}

const std::map<std::string, double (*)(unsigned count)> kinds = {{"asio_tasks", asio_tasks},
                                                                 {"corering_tasks", corering_tasks},
                                                                 {"corering_workers", corering_workers},
                                                                 {"raw_workers", raw_workers}};

}  // namespace

int main(int argc, char** argv) {
  const auto kind = argc == 3 ? kinds.find(argv[1]) : kinds.end();
  if (kind == kinds.end()) {
    std::fputs("usage: memory_of WHAT COUNT; WHAT is one of:", stderr);
    for (const auto& [name, function] : kinds) std::fprintf(stderr, " %s", name.c_str());
    return std::fputc('\n', stderr), 2;
  }
  try {
    std::printf("%.1f\n", kind->second(static_cast<unsigned>(bench::number_in(argv[2]))));
    return 0;
  } catch (const std::exception& error) {
    return std::fprintf(stderr, "memory_of: %s\n", error.what()), 1;
  }
}
