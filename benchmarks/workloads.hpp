/// workloads.hpp — what is compared: each row measures somebody else's side and ours on the same work.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

/// One comparison. Both sides return nanoseconds for `operations` operations, set-up excluded, and throw on
/// any failure.
struct Workload {
  std::string name;        ///< as given on the command line
  std::string parameters;  ///< as printed: "depth 32"
  std::string other;       ///< whose side the other one is: "raw" (hand-written C) or "asio"
  std::uint64_t operations;
  std::function<double(std::uint64_t operations)> theirs;
  std::function<double(std::uint64_t operations)> ours;
};

/// Every workload there is.
[[nodiscard]] std::vector<Workload> all_workloads();

// By file.
void add_io_workloads(std::vector<Workload>& all);
void add_task_workloads(std::vector<Workload>& all);

}  // namespace bench
