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

/// What a subject is to hold beside another one of the same workload.
struct Promise {
  std::string subject;
  std::string metric;  ///< "time"
  double limit = 1;    ///< at most this number of times the other's figure; where more is better, at least
  std::string to;      ///< the other subject
};

struct Workload {
  std::string name;               ///< as given on the command line
  std::string parameters;         ///< as printed: "depth 32"
  std::vector<Subject> subjects;  ///< the others are compared with the first one
  bool core = true;               ///< measured when no name is given
  std::string with = {};          ///< measured also when this other workload is named
  /// Each round that is asked for becomes this number of rounds, and each of them is shorter by this factor.
  /// Then whatever else the machine does affects all subjects more alike, and more rounds tell how far their
  /// median can be trusted.
  unsigned repeats = 1;
  std::vector<Promise> promises = {};
  bool only_when_named = false;  ///< not with --all either, because others measure the same and more

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

/// Adds those that have promises once more, as "emulated", with only the subjects that the promises name.
void add_promised_workloads(std::vector<Workload>& all);

}  // namespace bench
