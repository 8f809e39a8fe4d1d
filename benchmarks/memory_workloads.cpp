/// memory_workloads.cpp — how much memory an idle connection, a suspended task and a worker hold.
#include "echo_server.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

Metrics bytes(const char* unit, double value) { return {{.name = "memory", .unit = unit, .value = value}}; }

/// Measures what connections take in addition to what the first one took.
Metrics of_connections(const ServerKind& kind, unsigned connections) {
  need_files_for(connections + 1);
  EchoServer server(kind);
  std::uint64_t before = 0, after = 0;
  {
    const Load first(server, 1);
    before = server.process().memory();
    const Load others(server, connections);
    after = server.process().memory();
  }
  server.finish();
  return bytes("bytes/connection", (static_cast<double>(after) - static_cast<double>(before)) / connections);
}

/// Measures in a separate program, whose heap nobody has used before.
Subject in_memory_of(const char* subject, const char* what, unsigned count, const char* unit) {
  return {.name = subject, .run = [what, count, unit] {
            return bytes(unit, number_in(output_of({beside("memory_of"), what, std::to_string(count)})));
          }};
}

}  // namespace

void add_memory_workloads(std::vector<Workload>& all) {
  constexpr unsigned connections = 5'000, tasks = 100'000, workers = 16;
  Workload of_connection{.name = "memory",
                         .parameters = "of an idle connection, " + std::to_string(connections),
                         .subjects = {},
                         .core = false};
  for (const ServerKind& kind : server_kinds()) {
    of_connection.subjects.push_back(
        {.name = kind.subject, .run = [&kind] { return of_connections(kind, connections); }});
  }
  all.push_back(std::move(of_connection));
  all.push_back({.name = "memory",
                 .parameters = "of a suspended task, " + std::to_string(tasks),
                 .subjects = {in_memory_of("asio", "asio_tasks", tasks, "bytes/task"),
                              in_memory_of("corering", "corering_tasks", tasks, "bytes/task")},
                 .core = false});
  all.push_back({.name = "memory",
                 .parameters = "of a worker, " + std::to_string(workers),
                 .subjects = {in_memory_of("raw", "raw_workers", workers, "bytes/worker"),
                              in_memory_of("corering", "corering_workers", workers, "bytes/worker")},
                 .core = false});
}

}  // namespace bench
