/// server_workloads.cpp — echo servers under load, and idle.
#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "echo_server.hpp"
#include "processors.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

Metrics metrics_of(const load_result& result) {
  const auto requests = static_cast<double>(result.requests);
  return {{.name = "throughput",
           .unit = "requests/s",
           .value = requests / static_cast<double>(result.nanoseconds) * 1e9,
           .better = Better::higher},
          {.name = "server CPU",
           .unit = "us/request",
           .value = static_cast<double>(result.server_nanoseconds) / requests / 1e3},
          {.name = "p50", .unit = "us", .value = result.p50 / 1e3},
          {.name = "p99", .unit = "us", .value = result.p99 / 1e3},
          {.name = "p99.9", .unit = "us", .value = result.p999 / 1e3}};
}

Metrics echo(const ServerKind& kind, unsigned connections, const LoadTimes& times = {}) {
  need_files_for(connections);
  EchoServer server(kind);
  Metrics metrics;
  {
    Load load(server, connections);
    metrics = metrics_of(load.run(times));
  }
  server.finish();
  return metrics;
}

std::string connections_in_words(unsigned connections) {
  return std::to_string(connections) + (connections == 1 ? " connection" : " connections");
}

Workload echo_row(const char* name, unsigned connections, bool core) {
  Workload workload{.name = name,
                    .parameters = connections_in_words(connections),
                    .subjects = {},
                    .core = core,
                    .repeats = core ? 4U : 1U};
  const LoadTimes times = core ? briefly : LoadTimes{};
  for (const ServerKind& kind : server_kinds()) {
    workload.subjects.push_back({.name = kind.subject, .run = [&kind, connections, times] {
                                   return echo(kind, connections, times);
                                 }});
  }
  if (core) workload.promises = {{"corering_emulated", "throughput", 0.95, "asio"}};
  return workload;
}

/// Says whether a server differs from the others here only in how it waits.
bool is_about_waiting(const ServerKind& kind) {
  static constexpr std::string_view subjects[] = {"raw", "raw_spin", "corering", "corering_watching"};
  return std::ranges::find(subjects, kind.subject) != std::end(subjects);
}

/// One connection whose client thinks for a while after each answer. It shows when watching pays, and when it
/// does not.
Workload gap_row(unsigned microseconds) {
  Workload workload{.name = "gaps",
                    .parameters = std::to_string(microseconds) + " us between requests",
                    .subjects = {},
                    .core = false};
  const LoadTimes times{.gap = std::int64_t{microseconds} * 1000};
  for (const ServerKind& kind : server_kinds()) {
    if (!is_about_waiting(kind)) continue;
    workload.subjects.push_back(
        {.name = kind.subject, .run = [&kind, times] { return echo(kind, 1, times); }});
  }
  return workload;
}

/// The throughput of "corering" when messages are always due. The first of `subjects` to ask in a round
/// measures it, and all subjects are then loaded with the same rate.
class Peak {
 public:
  Peak(unsigned connections, std::size_t subjects) : connections_(connections), subjects_(subjects) {}

  /// Returns requests/s. Each subject asks once in a round.
  double of_this_round() {
    if (asked_++ % subjects_ == 0) measured_ = measure();
    return measured_;
  }

 private:
  [[nodiscard]] double measure() const {
    const auto plain = std::ranges::find(server_kinds(), "corering", &ServerKind::subject);
    return echo(*plain, connections_, {.interval = 1}).front().value;
  }

  unsigned connections_;
  std::size_t subjects_;
  std::size_t asked_ = 0;
  double measured_ = 0;
};

/// Messages at a fixed rate, whatever the server does. It shows what watching costs while there is little to
/// do, and what it gains.
Workload rate_row(unsigned percent, unsigned connections) {
  Workload workload{
      .name = "rates",
      .parameters = std::to_string(percent) + " % of peak, " + connections_in_words(connections),
      .subjects = {},
      .core = false,
      .with = "gaps"};
  const auto subjects = std::ranges::count_if(server_kinds(), is_about_waiting);
  const auto peak = std::make_shared<Peak>(connections, static_cast<std::size_t>(subjects));
  for (const ServerKind& kind : server_kinds()) {
    if (!is_about_waiting(kind)) continue;
    workload.subjects.push_back({.name = kind.subject, .run = [&kind, peak, percent, connections] {
                                   const double rate = peak->of_this_round() * percent / 100;
                                   const auto interval = static_cast<std::int64_t>(1e9 / rate);
                                   return echo(kind, connections, {.interval = interval});
                                 }});
  }
  return workload;
}

/// What it costs to open a connection, accept it and answer its first message. Closing it is not included.
Metrics connect(const ServerKind& kind, unsigned at_once) {
  constexpr unsigned connections = 2000, at_first = 64;
  need_files_for(connections + at_first);
  EchoServer server(kind);
  Metrics metrics;
  {
    const Load warm_up(server, at_first, at_once);
    const clockid_t clock = server.process().processor_clock();
    const auto begin = std::chrono::steady_clock::now();
    const std::int64_t busy = time_of(clock);
    const Load load(server, connections, at_once);
    const std::int64_t server_ns = time_of(clock) - busy;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    metrics = {{.name = "throughput",
                .unit = "connections/s",
                .value = connections / elapsed.count(),
                .better = Better::higher},
               {.name = "server CPU",
                .unit = "us/connection",
                .value = static_cast<double>(server_ns) / connections / 1e3}};
  }
  server.finish();
  return metrics;
}

/// A server that was busy a moment ago, and then has nothing to do. The library promises that a worker then
/// sleeps.
Metrics idle(const ServerKind& kind) {
  constexpr std::chrono::seconds watched(5);
  EchoServer server(kind);
  Load load(server, 1);
  (void)load.run();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // until it has gone to sleep
  const clockid_t clock = server.process().processor_clock();
  const std::uint64_t sleeps = server.process().sleeps();
  const std::int64_t busy = time_of(clock);
  const double iowait = iowait_of(first_processor());
  std::this_thread::sleep_for(watched);
  const std::uint64_t wake_ups = server.process().sleeps() - sleeps;
  const std::int64_t idle_ns = time_of(clock) - busy;
  if (kind.subject == "corering" && (wake_ups > 0 || idle_ns > 1'000'000)) {
    throw std::runtime_error("woke up " + std::to_string(wake_ups) + " times and ran for " +
                             std::to_string(idle_ns) + " ns without a reason");
  }
  return {{.name = "wake-ups", .unit = "in 5 s", .value = static_cast<double>(wake_ups)},
          {.name = "CPU", .unit = "us in 5 s", .value = static_cast<double>(idle_ns) / 1e3},
          {.name = "iowait",
           .unit = "% of the CPU",
           .value = (iowait_of(first_processor()) - iowait) /
                    static_cast<double>(std::chrono::nanoseconds(watched).count()) * 100}};
}

}  // namespace

void add_server_workloads(std::vector<Workload>& all) {
  for (const unsigned connections : {1U, 50U, 200U, 1000U})
    all.push_back(echo_row("echo", connections, true));
  for (const unsigned connections : {1U, 8U, 64U, 500U, 1000U, 2000U, 4000U, 8000U}) {
    all.push_back(echo_row("connections", connections, false));
  }
  for (const unsigned microseconds : {1U, 20U, 50U, 80U, 120U, 200U, 500U, 2000U}) {
    all.push_back(gap_row(microseconds));
  }
  for (const unsigned connections : {1U, 64U}) {
    for (const unsigned percent : {10U, 50U, 90U}) all.push_back(rate_row(percent, connections));
  }
  for (const unsigned at_once : {1U, 32U}) {
    Workload connecting{
        .name = "connect", .parameters = std::to_string(at_once) + " at once", .subjects = {}, .core = false};
    for (const ServerKind& kind : server_kinds()) {
      connecting.subjects.push_back(
          {.name = kind.subject, .run = [&kind, at_once] { return connect(kind, at_once); }});
    }
    all.push_back(std::move(connecting));
  }
  Workload sleeping{.name = "idle", .parameters = "a server without traffic", .subjects = {}, .core = false};
  for (const ServerKind& kind : server_kinds()) {
    if (kind.subject != "raw" && kind.subject != "corering") continue;
    sleeping.subjects.push_back({.name = kind.subject, .run = [&kind] { return idle(kind); }});
  }
  all.push_back(std::move(sleeping));
}

}  // namespace bench
