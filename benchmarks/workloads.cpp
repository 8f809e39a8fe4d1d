/// workloads.cpp — the list of all workloads.
#include "workloads.hpp"

namespace bench {

std::vector<Workload> all_workloads() {
  std::vector<Workload> all;
  add_io_workloads(all);
  add_post_workloads(all);
  add_task_workloads(all);
  add_server_workloads(all);
  add_send_workloads(all);
  add_trace_workloads(all);
  add_memory_workloads(all);
  add_promised_workloads(all);
  return all;
}

}  // namespace bench
