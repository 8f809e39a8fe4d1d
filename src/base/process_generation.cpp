/// process_generation.cpp — counts forks, on the child's side.
#include <atomic>
#include <pthread.h>

#include <corering/base/process_generation.hpp>

namespace corering {
namespace {

std::atomic<unsigned> generation = 0;

void in_child() noexcept { generation.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

unsigned process_generation() noexcept {
  static const int registered = ::pthread_atfork(nullptr, nullptr, &in_child);
  (void)registered;
  return generation.load(std::memory_order_relaxed);
}

}  // namespace corering
