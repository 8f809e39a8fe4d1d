/// processors.cpp — which processors there are, and which thread is pinned to which.
#include "processors.hpp"

#include <cerrno>
#include <sched.h>
#include <system_error>

namespace bench {

const std::vector<int>& processors() {
  static const std::vector<int> allowed = [] {
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
      throw std::system_error(errno, std::system_category(), "sched_getaffinity");
    }
    std::vector<int> numbers;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &set)) numbers.push_back(i);
    }
    return numbers;
  }();
  return allowed;
}

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) {
    throw std::system_error(errno, std::system_category(), "sched_setaffinity");
  }
}

}  // namespace bench
