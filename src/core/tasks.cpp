/// tasks.cpp — looking at the tasks of a worker: to tell about them, and to wait for their end.
#include <array>
#include <cstdio>

#include <corering/core/drain.hpp>
#include <corering/core/strand.hpp>
#include <corering/core/task_dump.hpp>
#include <corering/core/worker.hpp>

#include "core/loop.hpp"

namespace corering {

// ---- the dump ----

namespace {

std::string in_seconds(Duration duration) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6f s", std::chrono::duration<double>(duration).count());
  return text.data();
}

std::string place(const std::source_location& where) {
  return std::string(where.file_name()) + ":" + std::to_string(where.line()) + "  " + where.function_name();
}

/// The innermost scope of the strand: the one in which its coroutine waits or runs.
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
  if (const Waiter* const waiter = scope.waiting(); waiter != nullptr) {
    waiter->describe(info.waits_for);
    info.waiting = std::max(Duration(raw_now - scale.ns(scope.waiting_since())), Duration::zero());
    for (const Frame* frame = waiter->frame(); frame != nullptr; frame = frame->awaited_by) {
      if (frame->awaiting.line() != 0) info.awaits.push_back(frame->awaiting);
    }
  } else {
    info.waits_for = "nothing: it runs, or is ready to run";
  }
  info.cancelled = scope.cancelled();
  info.shielded = scope.is_shielded();
  if (scope.deadline() != TimePoint::max()) info.deadline_in = scope.deadline() - now;
  return info;
}

}  // namespace

std::string TaskDump::to_string() const {
  std::string text = "worker " + worker + ": " + std::to_string(tasks.size()) + " tasks, " +
                     std::to_string(operations_in_flight) + " operations in flight, " +
                     std::to_string(expected_back) + " waits for other threads\n";
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

TaskDump Loop::dump() {
  TaskDump dump{.worker = worker_.name(), .operations_in_flight = in_flight_};
  const trace::ClockPair now = trace::ClockPair::now();
  const trace::TickScale scale(attached_at_, now);
  const TimePoint deadline_now = kernel_.now();
  strands_.for_each(
      [&](Strand& strand) { dump.tasks.push_back(info_of(strand, deadline_now, now.ns, scale)); });
  // What they do over there is for that worker to read.
  const Strand* last = nullptr;
  scopes_.for_each([&](const Scope& scope) {
    Strand& strand = *scope.strand();
    if (&strand == last || strand.is_here()) return;
    last = &strand;
    dump.tasks.push_back({.spawned_at = strand.spawned_at, .waits_for = "something on another worker"});
  });
  dump.expected_back = expected_homecomings_;
  return dump;
}

// ---- the drain ----

void Drainer::suspend(std::coroutine_handle<> coroutine, Frame* frame) noexcept {
  CORERING_ASSERT(Loop::current() == &loop_, "a worker is drained by one of its own tasks");
  engine::require_scope(frame);
  wait_in(loop_.begin_drain(), coroutine, frame);
}

void Drainer::describe(std::string& text) const { text += "the worker's other tasks"; }

QueuedWaiter::Line& Loop::begin_drain() noexcept {
  refuses_posts_.store(true, std::memory_order_release);
  return drainers_;
}

namespace {

/// The strand at the root of the tree of members to which this one belongs.
const Strand& top_of(const Strand& strand) noexcept {
  const Strand* top = &strand;
  while (top->parent() != nullptr) top = top->parent();
  return *top;
}

}  // namespace

void Loop::release_drained() noexcept {
  if (!only_drains()) return;
  while (!drainers_.empty()) drainers_.front().wake();
}

// True when every strand here, or expected here, belongs to the tree of one that drains.
bool Loop::only_drains() noexcept {
  bool alone = posts_.is_empty() && orphans_.empty();
  const auto check = [&](const Strand& strand) {
    if (!alone) return;
    bool drains = false;
    drainers_.for_each([&](const QueuedWaiter& drainer) {
      drains = drains || &top_of(*drainer.frame()->scope->strand()) == &top_of(strand);
    });
    alone = drains;
  };
  strands_.for_each([&](const Strand& strand) { check(strand); });
  scopes_.for_each([&](const Scope& scope) { check(*scope.strand()); });  // some of these are elsewhere
  return alone;
}

}  // namespace corering
