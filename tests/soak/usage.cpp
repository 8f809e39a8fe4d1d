/// usage.cpp — the readings, and how they are compared.
#include "soak/usage.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <sys/resource.h>
#include <unistd.h>

#include "support/story.hpp"

namespace {
std::atomic<std::int64_t> heap_blocks = 0;
}

#if !defined(CORERING_TEST_TSAN) && !defined(CORERING_TEST_ASAN) && !defined(__SANITIZE_ADDRESS__)
// They are not inlined: g++ would see free() of what operator new returned.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  heap_blocks.fetch_add(1, std::memory_order_relaxed);
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) heap_blocks.fetch_sub(1, std::memory_order_relaxed);
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
#endif

namespace corering::soak {
namespace {

std::atomic<std::int64_t> frames = 0;

std::uint64_t resident_bytes() {
  std::uint64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Usage usage_now(Server& server) {
  Usage usage;
  for (std::size_t i = 0; i < server.pool().size(); ++i) {
    const std::optional<TaskDump> dump = server.pool()[i].dump_tasks(std::chrono::minutes(1));
    if (!dump) std::abort();  // a worker that does not answer for a minute
    usage.in_flight += dump->operations_in_flight;
    usage.tasks += dump->tasks.size();
  }
  const PoolUse pools = server.pool_use();
  usage.lent = pools.lent;
  usage.in_kernel = pools.in_kernel;
  usage.connections = server.open_connections();
  usage.descriptors = test::open_descriptors();
  usage.frames = CountedFrame::alive();
  usage.heap_blocks = heap_blocks;
  usage.resident = resident_bytes();
  return usage;
}

struct Number {
  const char* name;
  std::int64_t before, after;
};

std::array<Number, 7> numbers_of(const Usage& before, const Usage& after) {
  const auto number = [](const char* name, auto one, auto other) {
    return Number{name, static_cast<std::int64_t>(one), static_cast<std::int64_t>(other)};
  };
  return {number("descriptors", before.descriptors, after.descriptors),
          number("operations in flight", before.in_flight, after.in_flight),
          number("tasks", before.tasks, after.tasks),
          number("frames", before.frames, after.frames),
          number("lent buffers", before.lent, after.lent),
          number("buffers in the kernel", before.in_kernel, after.in_kernel),
          number("connections", before.connections, after.connections)};
}

std::string numbers_that_differ(const Usage& before, const Usage& after) {
  std::string text;
  for (const auto& [name, was, is] : numbers_of(before, after))
    if (was != is)
      text += std::string(name) + ": " + std::to_string(was) + " before, " + std::to_string(is) + " after; ";
  return text;
}

std::string more(const char* name, std::uint64_t was, std::uint64_t is, std::uint64_t allowed) {
  if (is <= allowed) return {};
  return std::string(name) + ": " + std::to_string(was) + " before, " + std::to_string(is) +
         " after, and at most " + std::to_string(allowed) + " is allowed; ";
}

}  // namespace

std::int64_t CountedFrame::alive() noexcept { return frames; }
void CountedFrame::change(std::int64_t by) noexcept { frames += by; }

Usage settled_usage(Server& server) {
  Usage last = usage_now(server);
  for (int equal = 0; equal < 5;) {
    sync_wait(sleep_for(std::chrono::milliseconds(20)).on(server.pool()[0]));
    const Usage now = usage_now(server);
    equal = numbers_that_differ(last, now).empty() ? equal + 1 : 0;
    last = now;
  }
  return last;
}

std::string difference(const Usage& before, const Usage& after) {
  std::string text = numbers_that_differ(before, after);
  const auto blocks = static_cast<std::uint64_t>(before.heap_blocks);
  text +=
      more("heap blocks", blocks, static_cast<std::uint64_t>(after.heap_blocks), blocks + blocks / 20 + 2000);
  if (!test::under_sanitizer)
    text += more("resident bytes", before.resident, after.resident,
                 before.resident + before.resident / 10 + (8 << 20));
  return text;
}

std::string in_words(const Usage& usage) {
  std::string text;
  for (const auto& [name, value, same] : numbers_of(usage, usage))
    text += std::to_string(value) + " " + name + ", ";
  return text + std::to_string(usage.heap_blocks) + " heap blocks, " + std::to_string(usage.resident / 1024) +
         " KiB resident";
}

bool may_open(std::uint64_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < wanted) return false;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace corering::soak
