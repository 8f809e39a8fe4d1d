/// unstarted_workers.hpp — the workers that have not been started, for a thread that waits for one of them.
#pragma once

#include <string>

namespace corering {

class Worker;

/// thread: any
class UnstartedWorkers {
 public:
  UnstartedWorkers() = delete;

  static void add(Worker& worker);
  /// Does nothing if the worker is not there.
  static void remove(Worker& worker) noexcept;

  [[nodiscard]] static bool is_empty() noexcept;
  /// Returns the name of one that has work in its queue, or an empty text if there is none.
  [[nodiscard]] static std::string with_work();
};

}  // namespace corering
