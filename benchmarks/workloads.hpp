/// workloads.hpp — what is compared. A workload gives the same work to several subjects.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

enum class Better : std::uint8_t { lower, higher };

/// One figure of one run.
struct Metric {
  std::string name;  ///< "p50"
  std::string unit;  ///< "us"
  double value = 0;
  Better better = Better::lower;
};
using Metrics = std::vector<Metric>;

/// A program or library that does the work. "raw" is hand-written C on liburing.
struct Subject {
  std::string name;
  /// Does the work once, and measures it without the set-up. Returns the same metrics in the same order every
  /// time, and throws on any failure.
  std::function<Metrics()> run;
};

struct Workload {
  std::string name;               ///< as given on the command line
  std::string parameters;         ///< as printed: "depth 32"
  std::vector<Subject> subjects;  ///< the others are compared with the first one
  bool core = true;               ///< measured when no name is given
  /// Each round that is asked for becomes this number of rounds, and each of them is shorter by this factor.
  /// Then whatever else the machine does affects all subjects more alike, and more rounds tell how far their
  /// median can be trusted.
  unsigned repeats = 1;

  /// Returns the second subject that the others are compared with: Asio, on epoll if that is there. "" if
  /// there is none.
  [[nodiscard]] std::string peer() const;
};

/// Makes a subject that needs `nanoseconds(operations)` for that number of operations.
[[nodiscard]] Subject timed(std::string name, std::uint64_t operations,
                            std::function<double(std::uint64_t operations)> nanoseconds);

/// Returns every workload.
[[nodiscard]] std::vector<Workload> all_workloads();

// The workloads of each file.
void add_io_workloads(std::vector<Workload>& all);
void add_post_workloads(std::vector<Workload>& all);
void add_task_workloads(std::vector<Workload>& all);
void add_send_workloads(std::vector<Workload>& all);
void add_server_workloads(std::vector<Workload>& all);
void add_memory_workloads(std::vector<Workload>& all);
void add_trace_workloads(std::vector<Workload>& all);

}  // namespace bench
