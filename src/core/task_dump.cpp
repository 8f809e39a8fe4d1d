/// task_dump.cpp — looking at the tasks of a worker.
#include <array>
#include <cstdio>

#include <corering/core/task_dump.hpp>
#include <corering/engine/strand.hpp>

#include "engine/loop.hpp"

namespace corering {

namespace {

// A task in a deep recursion has as many as it has levels, and so does each task in it.
constexpr std::size_t most_awaits = 64;

std::string in_seconds(Duration duration) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6f s", std::chrono::duration<double>(duration).count());
  return text.data();
}

std::string place(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line()) + "  " + where.function_name();
}

/// Returns the innermost scope of the strand: the one in which its coroutine waits or runs.
const Scope& innermost(Strand& strand) noexcept {
  Scope* scope = &strand;
  while (scope->waiting() != nullptr && scope->waiting()->as_scope() != nullptr) {
    scope = scope->waiting()->as_scope();
  }
  return *scope;
}

TaskInfo info_of(Strand& strand, TimePoint now, std::int64_t raw_now, const trace::TickScale& scale) {
  const Scope& scope = innermost(strand);
  TaskInfo info{.spawned_at = strand.spawned_at};
  if (const Wait* const wait = scope.waiting(); wait != nullptr) {
    wait->describe(info.waits_for);
    info.waiting = std::max(Duration(raw_now - scale.ns(scope.waiting_since())), Duration::zero());
    for (const PromiseBase* promise = wait->promise(); promise != nullptr && info.awaits.size() < most_awaits;
         promise = promise->awaited_by) {
      if (promise->awaiting.line() != 0) info.awaits.push_back(promise->awaiting);
    }
  } else {
    info.waits_for = "nothing: it runs, or is ready to run";
  }
  info.cancelled = scope.is_cancelled();
  info.shielded = scope.is_shielded();
  if (scope.deadline() != TimePoint::max()) info.deadline_in = saturating_difference(scope.deadline(), now);
  return info;
}

}  // namespace

std::string TaskDump::to_string() const {
  std::string text = "worker " + worker + ": " + std::to_string(tasks.size()) + " tasks, " +
                     std::to_string(operations_in_flight) + " operations in flight, " +
                     std::to_string(expected_back) + " waits for other threads; kernel: " + kernel + "\n";
  for (const TaskInfo& task : tasks) {
    text += "- waits for " + task.waits_for;
    if (task.waiting) text += ", for " + in_seconds(*task.waiting);
    if (task.cancelled) text += ", cancelled";
    if (task.shielded) text += ", shielded";
    if (task.deadline_in) text += ", deadline in " + in_seconds(*task.deadline_in);
    text += "\n";
    for (const std::source_location& where : task.awaits) text += "    at " + place(where) + "\n";
    if (task.spawned_at.line() != 0) text += "    spawned at " + place(task.spawned_at) + "\n";
  }
  return text;
}

TaskDump dump_of(Loop& loop, const std::string& worker) {
  TaskDump dump{.worker = worker,
                .kernel = std::string(loop.kernel().name()),
                .operations_in_flight = loop.in_flight()};
  const trace::layout::Moment now = trace::moment_now();
  const trace::TickScale scale(loop.attached_at(), now);
  const TimePoint deadline_now = loop.kernel().now_to_show();
  loop.for_each_strand(
      [&](Strand& strand) { dump.tasks.push_back(info_of(strand, deadline_now, now.raw_ns, scale)); });
  // Only the other worker may read what these strands do there.
  const Strand* last = nullptr;
  loop.for_each_scope([&](const Scope& scope) {
    Strand& strand = *scope.strand();
    if (&strand == last || strand.is_here()) return;
    last = &strand;
    dump.tasks.push_back({.spawned_at = strand.spawned_at, .waits_for = "something on another worker"});
  });
  dump.expected_back = loop.expected_homecomings();
  return dump;
}

}  // namespace corering
