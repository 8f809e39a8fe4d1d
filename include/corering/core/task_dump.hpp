/// task_dump.hpp — every task of a worker: what it waits for, since when, and through which awaits it got
/// there.
#pragma once

#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include <corering/base/time.hpp>

namespace corering {

class Loop;

/// One strand that is here, or that is away and must come back: a spawned task, a member of a group or of
/// when_all, or a task that a plain thread has sent here.
struct TaskInfo {
  std::source_location spawned_at;  ///< line 0 when a plain thread sent it
  std::string waits_for;            ///< "recv (fd 7)"; "nothing: it runs, or is ready to run"
  std::optional<Duration> waiting;  ///< how long it has waited, as of the loop's turn
  bool cancelled = false;
  bool shielded = false;
  std::optional<Duration> deadline_in;  ///< the time left until the nearest deadline
  std::vector<std::source_location>
      awaits;  ///< innermost first, at most 64; they go on through the parents of a group's members
};

struct TaskDump {
  std::string worker;
  std::string kernel;  ///< what it runs on, see Worker::kernel_name()
  std::uint64_t operations_in_flight = 0;
  std::uint64_t expected_back =
      0;  ///< coroutines that other threads will hand back: joins, shared objects, pools
  std::vector<TaskInfo> tasks;

  /// Text for people: a line per task and one per await.
  [[nodiscard]] std::string to_string() const;
};

/// Returns what the tasks of this loop wait for; `worker` is its name.
/// thread: the loop's
[[nodiscard]] TaskDump dump_of(Loop& loop, const std::string& worker);

}  // namespace corering
