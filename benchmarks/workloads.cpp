/// workloads.cpp — the list of all workloads.
#include "workloads.hpp"

#include <algorithm>

namespace bench {

Subject timed(std::string name, std::uint64_t operations,
              std::function<double(std::uint64_t operations)> nanoseconds) {
  return {.name = std::move(name), .run = [operations, nanoseconds = std::move(nanoseconds)] {
            return Metrics{{.name = "time",
                            .unit = "ns/operation",
                            .value = nanoseconds(operations) / static_cast<double>(operations)}};
          }};
}

std::string Workload::peer() const {
  for (const char* const name : {"asio", "asio_uring"}) {
    if (subjects.front().name != name && std::ranges::find(subjects, name, &Subject::name) != subjects.end())
      return name;
  }
  return "";
}

std::vector<Workload> all_workloads() {
  std::vector<Workload> all;
  add_io_workloads(all);
  add_post_workloads(all);
  add_task_workloads(all);
  add_server_workloads(all);
  add_send_workloads(all);
  add_trace_workloads(all);
  add_memory_workloads(all);
  return all;
}

}  // namespace bench
