/// unstarted_workers.cpp — a list under a lock, which workers enter once and leave once.
#include "core/unstarted_workers.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include <corering/core/worker.hpp>

#include "engine/loop.hpp"

namespace corering {
namespace {

struct List {
  std::mutex mutex;
  std::vector<Worker*> workers;
  std::atomic<std::size_t> size = 0;
};

// Never destroyed: a worker may be destroyed after everything else of the program.
List& list() {
  static List& everybody = *new List;
  return everybody;
}

}  // namespace

void UnstartedWorkers::add(Worker& worker) {
  const std::lock_guard lock(list().mutex);
  list().workers.push_back(&worker);
  ++list().size;
}

void UnstartedWorkers::remove(Worker& worker) noexcept {
  const std::lock_guard lock(list().mutex);
  list().size -= std::erase(list().workers, &worker);
}

bool UnstartedWorkers::is_empty() noexcept { return list().size.load(std::memory_order_relaxed) == 0; }

std::string UnstartedWorkers::with_work() {
  const std::lock_guard lock(list().mutex);
  const auto found = std::ranges::find_if(
      list().workers, [](Worker* worker) { return !worker->loop().mailbox().queue().empty(); });
  return found != list().workers.end() ? (*found)->name() : std::string();
}

}  // namespace corering
