/// worker_pool.cpp — many workers, one start and one end.
#include <sched.h>
#include <string>

#include <corering/core/worker_pool.hpp>

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

}  // namespace

WorkerPool::WorkerPool(WorkerPoolOptions options) {
  const std::vector<unsigned> processors = usable_processors();
  const std::size_t count = options.workers > 0 ? options.workers : processors.size();
  for (std::size_t i = 0; i < count; ++i) {
    WorkerOptions mine = options.worker;
    mine.name.append(1, '/').append(std::to_string(i));
    if (options.pin) mine.cpu = processors[i % processors.size()];
    workers_.push_back(std::make_unique<Worker>(std::move(mine)));
  }
}

WorkerPool::~WorkerPool() {
  request_stop();
  join();
}

Result<void> WorkerPool::start(const InitCallback& init_callback) {
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    Worker::InitCallback mine;
    if (init_callback) mine = [&init_callback, i](Worker& worker) { init_callback(worker, i); };
    if (auto started = workers_[i]->start(std::move(mine)); !started) {
      request_stop();
      join();
      return started;
    }
  }
  return {};
}

void WorkerPool::request_stop() noexcept {
  for (const auto& worker : workers_) worker->request_stop();
}

void WorkerPool::join() {
  for (const auto& worker : workers_) worker->join();
}

}  // namespace corering
