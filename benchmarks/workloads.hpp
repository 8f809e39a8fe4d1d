/// workloads.hpp — what is compared: a workload gives the same work to several subjects.
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

/// Who does the work. "raw" is hand-written C on liburing.
struct Subject {
  std::string name;
  /// Does the work once, set-up excluded. Gives the same metrics in the same order every time, and throws on
  /// any failure.
  std::function<Metrics()> run;
};

struct Workload {
  std::string name;               ///< as given on the command line
  std::string parameters;         ///< as printed: "depth 32"
  std::vector<Subject> subjects;  ///< the first one is what the others are compared with
  bool core = true;               ///< measured when no name is given
  /// For each round that is asked for, so many, each so much shorter: what the machine does meanwhile then
  /// hits all subjects more alike, and more rounds tell how far their median can be trusted.
  unsigned repeats = 1;

  /// The subject that the others are compared with besides: Asio, on epoll if it is there. Or "".
  [[nodiscard]] std::string peer() const;
};

/// A subject that needs `nanoseconds(operations)` for so many of something.
[[nodiscard]] Subject timed(std::string name, std::uint64_t operations,
                            std::function<double(std::uint64_t operations)> nanoseconds);

/// Every workload there is.
[[nodiscard]] std::vector<Workload> all_workloads();

// By file.
void add_io_workloads(std::vector<Workload>& all);
void add_post_workloads(std::vector<Workload>& all);
void add_task_workloads(std::vector<Workload>& all);
void add_send_workloads(std::vector<Workload>& all);
void add_server_workloads(std::vector<Workload>& all);
void add_memory_workloads(std::vector<Workload>& all);
void add_trace_workloads(std::vector<Workload>& all);

}  // namespace bench
