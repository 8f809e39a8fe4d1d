/// spans.cpp — what a worker's thread did, from the events that it recorded.
#include <algorithm>

#include "join.hpp"

namespace iotrace {

using corering::trace::Kind;

void SpanCutter::close(Ns ns) {
  if (!is_open_) return;
  is_open_ = false;
  open_.end = std::max(open_.begin, ns);
  if (open_.end > open_.begin) spans_.push_back(open_);
}

void SpanCutter::begin(Ns ns, Span::What what, std::uint64_t task, std::uint64_t place) {
  close(ns);
  open_ = {.begin = ns, .end = ns, .task = task, .place = place, .thread = thread_, .what = what};
  is_open_ = true;
}

void SpanCutter::was_seen(std::uint64_t task) {
  std::erase_if(started_, [task](const Start& start) { return start.task == task; });
}

/// A coroutine says that it has been resumed.
void SpanCutter::run(Ns ns, std::uint64_t task, std::uint64_t place) {
  was_seen(task);
  begin(ns, Span::What::run, task, place);
}

/// A coroutine says that it runs. If nobody has said that it was resumed, it has run since the last event.
void SpanCutter::ran(std::uint64_t task, std::uint64_t place) {
  if (!is_open_) return was_seen(task);
  if (open_.what == Span::What::run) return;
  run(last_ns_, task, place);
}

// Nobody said what ran here. Then it was a coroutine that has never waited until now.
void SpanCutter::give_gap_to_who_was_started(Ns ns) {
  constexpr Ns shortest = 20'000;
  const bool in_loop = is_open_ && open_.what == Span::What::loop;
  if (in_loop && !started_.empty() && ns - last_ns_ >= shortest)
    begin(last_ns_, Span::What::run, started_.front().task, started_.front().place);
  started_.clear();
}

void SpanCutter::enter(const Event& event) {
  give_gap_to_who_was_started(event.ns);
  has_loop_ = true;
  begin(event.ns, event.b != 0 ? Span::What::asleep : Span::What::enter);
}

void SpanCutter::take(const Event& event, std::uint64_t task, std::uint64_t place) {
  switch (event.kind) {
    case Kind::submitted:
      enter(event);
      break;
    case Kind::entered:
    case Kind::woken:
      begin(event.ns, Span::What::loop);
      break;
    case Kind::resumed:
    case Kind::resumed_on_worker:
    case Kind::wait_ends:
      run(event.ns, task, place);
      break;
    case Kind::await:
    case Kind::wait_begins:
    case Kind::read_now:
      ran(task, place);
      if (event.kind == Kind::wait_begins) begin(event.ns, Span::What::loop);
      break;
    case Kind::suspended:
      if (is_open_) begin(event.ns, Span::What::loop);
      break;
    case Kind::popped:
    case Kind::spawned:
      // A thread without a loop has no turns that end.
      if (started_.size() < most_started) started_.push_back({.task = task, .place = place});
      break;
    default:
      break;
  }
  const bool spawns_on =
      event.kind == Kind::spawned || event.kind == Kind::pushed || event.kind == Kind::wake_written;
  if (!spawns_on) spawner_ = 0;
  last_ns_ = event.ns;
}

// One that has never waited says nothing before. It is the only one that was started in this turn, or else it
// may be any of them.
std::uint64_t SpanCutter::running() {
  if (is_open_ && open_.what == Span::What::run) return open_.task;
  if (spawner_ == 0 && started_.size() == 1) spawner_ = started_.front().task;
  return spawner_;
}

std::vector<Span> SpanCutter::finish() {
  close(last_ns_);
  if (!has_loop_) spans_.clear();
  return std::move(spans_);
}

}  // namespace iotrace
