/// stats.cpp — adds numbers, and writes them for Prometheus.
#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include <corering/core/stats.hpp>

namespace corering {
namespace {

/// One number: its name for Prometheus, what it says, and where it is.
struct Metric {
  std::string_view name;
  std::string_view help;
  std::string_view type;
  std::uint64_t WorkerStats::* number;
};

constexpr std::string_view counter = "counter";
constexpr std::string_view gauge = "gauge";

constexpr std::array metrics = {
    Metric{"corering_turns_total", "Turns of the worker's loop.", counter, &WorkerStats::turns},
    Metric{"corering_enters_total", "Calls of io_uring_enter.", counter, &WorkerStats::enters},
    Metric{"corering_enters_failed_total", "Calls of io_uring_enter that the kernel refused for now.",
           counter, &WorkerStats::failed_enters},
    Metric{"corering_sleeps_total", "Calls of io_uring_enter that could wait.", counter,
           &WorkerStats::sleeps},
    Metric{"corering_sqes_total", "Requests handed to the kernel.", counter, &WorkerStats::submitted},
    Metric{"corering_woken_total", "Times that a post woke the sleeping worker.", counter,
           &WorkerStats::woken},
    Metric{"corering_posts_total", "Coroutines and calls that came from other threads.", counter,
           &WorkerStats::posts},
    Metric{"corering_parked_total", "Operations that found no SQE, because the kernel took none.", counter,
           &WorkerStats::parked},
    Metric{"corering_helper_requests_total", "Requests that a helper thread of the kernel does in any case.",
           counter, &WorkerStats::for_helpers},
    Metric{"corering_late_waits_total", "Sleeps that ended 100 ms or more after their timer was due.",
           counter, &WorkerStats::late_waits},
};

/// Kept with the times.
constexpr std::array with_times = {
    Metric{"corering_cqes_total", "Completions taken from the kernel.", counter, &WorkerStats::completed},
    Metric{"corering_stalls_total", "Turns of the loop that took more than 10 ms.", counter,
           &WorkerStats::stalls},
    Metric{"corering_in_flight", "Operations with the kernel.", gauge, &WorkerStats::in_flight},
    Metric{"corering_ready", "Coroutines that could run.", gauge, &WorkerStats::ready},
    Metric{"corering_timers", "Timers that are armed.", gauge, &WorkerStats::timers},
};

constexpr std::array<std::pair<double, const char*>, 4> shares = {
    {{0.5, "0.5"}, {0.9, "0.9"}, {0.99, "0.99"}, {0.999, "0.999"}}};

/// A label's value may hold anything, but these three need a backslash.
std::string escaped(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (c == '\\' || c == '"') value += '\\';
    value += c == '\n' ? std::string_view("\\n") : std::string_view(&c, 1);
  }
  return value;
}

std::string labels_of(const WorkerStats& worker) {
  return "worker=\"" + escaped(worker.worker) + "\",kernel=\"" + escaped(worker.kernel) + "\"";
}

std::string line(std::string_view name, const std::string& labels, const std::string& value) {
  return std::string(name) + "{" + labels + "} " + value + "\n";
}

std::string head(std::string_view name, std::string_view help, std::string_view type) {
  return "# HELP " + std::string(name) + " " + std::string(help) + "\n# TYPE " + std::string(name) + " " +
         std::string(type) + "\n";
}

std::string seconds(Duration time) {
  const std::string ns = std::to_string(time.count() % 1'000'000'000);  // no locale writes a comma here
  return std::to_string(time.count() / 1'000'000'000) + "." + std::string(9 - ns.size(), '0') + ns;
}

std::string lines_of(std::string_view name, const std::string& labels, const TimeStats& times) {
  std::string text;
  for (const auto& [share, name_of_share] : shares)
    text += line(name, labels + ",quantile=\"" + name_of_share + "\"", seconds(times.quantile(share)));
  return text + line(std::string(name) + "_count", labels, std::to_string(times.count()));
}

std::string numbers_of(std::span<const WorkerStats> workers, std::span<const Metric> wanted) {
  std::string text;
  for (const Metric& metric : wanted) {
    text += head(metric.name, metric.help, metric.type);
    for (const WorkerStats& worker : workers)
      text += line(metric.name, labels_of(worker), std::to_string(worker.*metric.number));
  }
  return text;
}

std::string operations_of(std::span<const WorkerStats> workers) {
  constexpr std::string_view name = "corering_operation_seconds";
  std::string text = head(name, "How long operations took.", "summary");
  for (const WorkerStats& worker : workers) {
    for (const TimeStats& times : worker.operations)
      text += lines_of(name, labels_of(worker) + ",operation=\"" + escaped(times.kind) + "\"", times);
  }
  return text;
}

std::string counts_of(std::span<const WorkerStats> workers, std::string_view name, std::string_view help,
                      std::uint64_t OperationCount::* number) {
  std::string text = head(name, help, counter);
  for (const WorkerStats& worker : workers) {
    for (const OperationCount& count : worker.operation_counts)
      text += line(name, labels_of(worker) + ",operation=\"" + escaped(count.kind) + "\"",
                   std::to_string(count.*number));
  }
  return text;
}

std::string stages_of(std::span<const WorkerStats> workers) {
  constexpr std::string_view name = "corering_operation_stage_seconds";
  std::string text = head(name, "How long the stages of operations took.", "summary");
  for (const WorkerStats& worker : workers) {
    for (const TimeStats& times : worker.operation_stages)
      text += lines_of(
          name,
          labels_of(worker) + ",operation=\"" + escaped(times.kind) + "\",stage=\"" + times.stage + "\"",
          times);
  }
  return text;
}

std::string worker_stages_of(std::span<const WorkerStats> workers) {
  constexpr std::string_view name = "corering_worker_stage_seconds";
  std::string text = head(name, "How long coroutines waited for a worker, and ran there.", "summary");
  for (const WorkerStats& worker : workers) {
    for (const TimeStats& times : worker.worker_stages)
      text += lines_of(name, labels_of(worker) + ",stage=\"" + times.stage + "\"", times);
  }
  return text;
}

std::string turns_of(std::span<const WorkerStats> workers) {
  constexpr std::string_view name = "corering_turn_seconds";
  std::string text = head(name, "How long a worker was busy before it entered the kernel.", "summary");
  for (const WorkerStats& worker : workers) text += lines_of(name, labels_of(worker), worker.turn);
  return text;
}

/// The worst one counts here, so it is there, too.
std::string lateness_of(std::span<const WorkerStats> workers) {
  constexpr std::string_view name = "corering_wait_lateness_seconds";
  std::string text = head(name, "How late sleeps ended that were to end with a timer.", "summary");
  for (const WorkerStats& worker : workers)
    text += line(name, labels_of(worker) + ",quantile=\"1\"", seconds(worker.lateness.quantile(1))) +
            lines_of(name, labels_of(worker), worker.lateness);
  return text;
}

bool has_times(const WorkerStats& worker) noexcept { return worker.turn.count() > 0; }

void add(TimeStats& to, const TimeStats& other) {
  to.errors += other.errors;
  if (other.ticks == nullptr) return;
  to.ns_per_tick = other.ns_per_tick;
  to.ticks = std::make_shared<trace::Histogram>(to.ticks == nullptr ? trace::Histogram() : *to.ticks);
  *to.ticks += *other.ticks;
}

void add(std::vector<TimeStats>& to, const std::vector<TimeStats>& others) {
  for (const TimeStats& other : others) {
    const auto found = std::ranges::find_if(
        to, [&](const TimeStats& one) { return one.kind == other.kind && one.stage == other.stage; });
    add(found != to.end() ? *found : to.emplace_back(TimeStats{.kind = other.kind, .stage = other.stage}),
        other);
  }
}

}  // namespace

std::uint64_t TimeStats::count() const noexcept { return ticks == nullptr ? 0 : ticks->count(); }

Duration TimeStats::quantile(double share) const noexcept {
  if (ticks == nullptr) return Duration::zero();
  return Duration(static_cast<std::int64_t>(static_cast<double>(ticks->quantile(share)) * ns_per_tick));
}

WorkerStats& WorkerStats::operator+=(const WorkerStats& other) {
  for (const Metric& metric : metrics) this->*metric.number += other.*metric.number;
  for (const Metric& metric : with_times) this->*metric.number += other.*metric.number;
  for (const OperationCount& count : other.operation_counts) {
    const auto found = std::ranges::find(operation_counts, count.kind, &OperationCount::kind);
    OperationCount& sum =
        found != operation_counts.end() ? *found : operation_counts.emplace_back(OperationCount{count.kind});
    sum.begun += count.begun;
    sum.failed += count.failed;
  }
  add(operations, other.operations);
  add(operation_stages, other.operation_stages);
  add(worker_stages, other.worker_stages);
  add(turn, other.turn);
  add(lateness, other.lateness);
  return *this;
}

std::string write_prometheus(std::span<const WorkerStats> workers) {
  const std::string text =
      numbers_of(workers, metrics) +
      counts_of(workers, "corering_operations_total", "Operations that began.", &OperationCount::begun) +
      counts_of(workers, "corering_operation_errors_total", "Operations that failed or were cancelled.",
                &OperationCount::failed) +
      lateness_of(workers);
  if (std::ranges::none_of(workers, has_times)) return text;
  return text + numbers_of(workers, with_times) + operations_of(workers) + stages_of(workers) +
         worker_stages_of(workers) + turns_of(workers);
}

}  // namespace corering
