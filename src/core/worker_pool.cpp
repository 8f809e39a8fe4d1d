/// worker_pool.cpp — many workers, one start and one end.
#include <algorithm>
#include <sched.h>
#include <string>
#include <thread>
#include <vector>

#include <corering/core/worker_pool.hpp>

#include "core/cpu_quota.hpp"
#include "engine/loop.hpp"

namespace corering {
namespace {

std::vector<unsigned> usable_processors() {
  cpu_set_t set{};
  std::vector<unsigned> usable;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) usable.push_back(cpu);
  }
  return usable;
}

// More workers than the quota pays for would only wait for each other's turn.
std::size_t as_many_as_can_run(std::size_t processors) {
  return std::min(processors, processors_by_quota().value_or(processors));
}

}  // namespace

WorkerPool::WorkerPool(WorkerPoolOptions options) {
  const std::vector<unsigned> processors = usable_processors();
  const std::size_t count = options.workers > 0 ? options.workers : as_many_as_can_run(processors.size());
  for (std::size_t i = 0; i < count; ++i) {
    WorkerOptions mine = options.worker;
    mine.name.append(1, '/').append(std::to_string(i));
    if (options.pin) mine.cpu = processors[i % processors.size()];
    workers_.push_back(std::make_unique<Worker>(std::move(mine)));
  }
}

WorkerPool::~WorkerPool() {
  if (!workers_.empty() && workers_.front()->is_left_to_the_system()) return;
  stop();
}

Result<void> WorkerPool::start(const InitCallback& init_callback) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker::InitCallback mine;
    if (init_callback) mine = [&init_callback, i](Worker& worker) { init_callback(worker, i); };
    Result<void> started;
    try {
      started = workers_[i]->start(std::move(mine));
    } catch (...) {
      stop();
      throw;
    }
    if (!started) {
      stop();
      return started;
    }
  }
  return {};
}

// A task of one worker may wait for what it has posted to another one that never ran. So all refuse before
// the first is joined.
void WorkerPool::stop() noexcept {
  request_stop();
  std::vector<Loop*> refusing;
  for (const auto& worker : workers_) {
    if (worker->state_ != Worker::State::fresh) continue;
    worker->begin_to_refuse();
    refusing.push_back(&worker->loop());
  }
  while (std::erase_if(refusing, [](Loop* loop) { return loop->refuse_what_is_there(); }),
         !refusing.empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // what is away comes back from other threads
  }
  join();
}

std::vector<WorkerStats> WorkerPool::stats() const {
  std::vector<WorkerStats> all;
  for (const auto& worker : workers_) all.push_back(worker->stats());
  return all;
}

void WorkerPool::request_stop() noexcept {
  for (const auto& worker : workers_) worker->request_stop();
}

void WorkerPool::join() {
  for (const auto& worker : workers_) worker->join();
}

}  // namespace corering
