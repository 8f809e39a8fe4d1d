/// slices.cpp — the table of the stages, and who shares a row with whom.
#include "slices.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <string>
#include <utility>

namespace iotrace {
namespace {

constexpr std::array table = {
    Between{Stage::queue, At::pushed, At::pushed, At::popped, At::popped},
    Between{Stage::wake, At::pushed, At::pushed, At::woken, At::woken},
    Between{Stage::dispatch, At::popped, At::popped, At::on_worker, At::on_worker},
    Between{Stage::prepare, At::begun, At::awaited, At::filled, At::filled},
    Between{Stage::batch, At::filled, At::filled, At::submitted, At::submitted},
    Between{Stage::submit, At::submitted, At::submitted, At::kernel_began, At::kernel_began},
    Between{Stage::kernel, At::kernel_began, At::submitted, At::kernel_ended, At::processed},
    Between{Stage::reap, At::kernel_ended, At::kernel_ended, At::processed, At::processed},
    Between{Stage::resume, At::processed, At::processed, At::resumed, At::resumed},
};

Ns first_seen(const Operation& operation, At one, At other) {
  return operation.time(one) != unseen ? operation.time(one) : operation.time(other);
}

}  // namespace

std::span<const Between> stages_of_life() noexcept { return table; }

Slices::Slices(const Operation& operation) {
  for (const Between& row : table) {
    const Ns begin = first_seen(operation, row.begin, row.or_begin);
    const Ns end = first_seen(operation, row.end, row.or_end);
    if (begin == unseen || end == unseen || end < begin) continue;
    const bool is_inside = row.stage == Stage::wake;
    if (is_inside && (count_ == 0 || end > all_[count_ - 1].end)) continue;  // the queue was not seen
    Ns earliest = operation.begin();
    if (count_ > 0 && !is_inside)
      earliest = all_[count_ - 1].stage == Stage::wake ? all_[count_ - 2].end : all_[count_ - 1].end;
    if (end < earliest) continue;
    all_[count_++] = {.stage = row.stage, .begin = std::max(begin, earliest), .end = end};
  }
}

Extent extent_of(const Trace& trace) {
  Extent extent{.begin = INT64_MAX, .end = INT64_MIN};
  const auto include = [&extent](Ns begin, Ns end) {
    extent.begin = std::min(extent.begin, begin);
    extent.end = std::max(extent.end, end);
  };
  for (const Operation& operation : trace.operations) {
    if (operation.begin() != unseen) include(operation.begin(), operation.end());
  }
  for (const std::vector<Span>& spans : trace.spans) {
    if (!spans.empty()) include(spans.front().begin, spans.back().end);
  }
  if (extent.begin > extent.end)
    return {.begin = trace.recording.started_ns, .end = trace.recording.started_ns};
  return extent;
}

Ns drawn_end(const Operation& operation, const Extent& extent) noexcept {
  return operation.has_ended ? operation.end() : extent.end;
}

std::uint32_t home_of(const Operation& operation) noexcept {
  return operation.thread != no_thread ? operation.thread : operation.caller;
}

namespace {

/// The rows of one thread.
class Rows {
 public:
  std::uint32_t take(Ns begin, Ns end) {
    while (!busy_.empty() && busy_.top().first <= begin) {
      free_.push(busy_.top().second);
      busy_.pop();
    }
    if (free_.empty()) free_.push(count_++);
    const std::uint32_t row = free_.top();
    free_.pop();
    // What takes no time shares its row with nobody else of the same moment.
    busy_.emplace(std::max(end, begin + 1), row);
    return row;
  }

 private:
  template <class T>
  using Smallest = std::priority_queue<T, std::vector<T>, std::greater<>>;

  Smallest<std::pair<Ns, std::uint32_t>> busy_;
  Smallest<std::uint32_t> free_;
  std::uint32_t count_ = 0;
};

std::size_t index_of(std::uint32_t thread, const Trace& trace) {
  return std::min<std::size_t>(thread, trace.recording.threads.size());
}

}  // namespace

std::vector<std::uint32_t> rows_of(const Trace& trace, const Extent& extent) {
  std::vector<Rows> rows(trace.recording.threads.size() + 1);
  std::vector<std::uint32_t> taken;
  taken.reserve(trace.operations.size());
  for (const Operation& operation : trace.operations) {
    Rows& own = rows[index_of(home_of(operation), trace)];
    taken.push_back(own.take(operation.begin(), drawn_end(operation, extent)));
  }
  return taken;
}

namespace {

using Change = std::pair<Ns, int>;

std::vector<InFlight> add_up(std::vector<Change>& changes) {
  std::ranges::sort(changes);
  std::vector<InFlight> counts;
  std::uint32_t count = 0;
  for (const auto& [at, change] : changes) {
    count += static_cast<std::uint32_t>(change);
    if (counts.empty() || counts.back().at != at) counts.push_back({.at = at});
    counts.back().count = count;
  }
  return counts;
}

}  // namespace

std::vector<std::vector<InFlight>> in_flight(const Trace& trace) {
  std::vector<std::vector<Change>> changes(trace.recording.threads.size() + 1);
  for (const Operation& operation : trace.operations) {
    std::vector<Change>& own = changes[index_of(home_of(operation), trace)];
    own.emplace_back(operation.begin(), 1);
    if (operation.has_ended) own.emplace_back(operation.end(), -1);
  }
  std::vector<std::vector<InFlight>> all;
  for (std::vector<Change>& own : changes) all.push_back(add_up(own));
  return all;
}

Arrows arrows_of(const Trace& trace) {
  const std::size_t threads = trace.recording.threads.size();
  Arrows arrows{.from = std::vector<std::vector<ArrowEnd>>(threads),
                .to = std::vector<std::vector<ArrowEnd>>(threads)};
  for (const Operation& operation : trace.operations) {
    const Ns resumed = operation.time(At::resumed);
    if (operation.caller >= threads || operation.thread >= threads || resumed == unseen) continue;
    arrows.from[operation.caller].push_back({.at = operation.begin(), .operation = operation.number});
    arrows.to[operation.thread].push_back({.at = resumed, .operation = operation.number});
  }
  for (std::vector<ArrowEnd>& ends : arrows.to) std::ranges::sort(ends, {}, &ArrowEnd::at);
  return arrows;
}

std::string_view name_of_span(Span::What what) noexcept {
  constexpr std::array<std::string_view, 4> names = {"run", "enter", "asleep", "loop"};
  return names[static_cast<std::size_t>(what)];
}

std::string name_of_thread(const Trace& trace, std::uint32_t thread) {
  if (thread >= trace.recording.threads.size()) return "unknown thread";
  const auto& one = trace.recording.threads[thread];
  return (one.name.empty() ? "thread" : one.name) + " " + std::to_string(one.tid);
}

}  // namespace iotrace
