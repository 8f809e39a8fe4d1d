/// side_by_side.hpp — runs the same function on several threads at once.
#pragma once

#include <barrier>
#include <exception>
#include <thread>
#include <vector>

#include "processors.hpp"

namespace bench {

/// Calls function(i) on a separate thread for each processor of `where`. Each thread is pinned to its
/// processor, and all begin at the same moment. Returns what each call returned. If a call throws, the first
/// exception comes out when all have ended.
template <class Function>
std::vector<double> on_threads(const std::vector<int>& where, const Function& function) {
  std::vector<double> returned(where.size());
  std::vector<std::exception_ptr> thrown(where.size());
  std::barrier begin(static_cast<std::ptrdiff_t>(where.size()));
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < where.size(); ++i) {
      threads.emplace_back([&, i] {
        begin.arrive_and_wait();
        try {
          pin_to(where[i]);
          returned[i] = function(i);
        } catch (...) {
          thrown[i] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& exception : thrown) {
    if (exception) std::rethrow_exception(exception);
  }
  return returned;
}

}  // namespace bench
