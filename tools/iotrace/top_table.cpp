/// top_table.cpp — two readings of histograms, and what lies between them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "top.hpp"
#include "why.hpp"

namespace iotrace {
namespace {

using corering::TimeStats;
using corering::WorkerStats;
using corering::trace::Histogram;

/// What was counted between two readings of one histogram.
class Difference {
 public:
  Difference(const TimeStats* before, const TimeStats& after)
      : before_(before != nullptr ? before->ticks.get() : nullptr),
        after_(after.ticks.get()),
        ns_per_tick_(after.ns_per_tick) {
    for (std::size_t i = 0; i < Histogram::buckets; ++i) count_ += at(i);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Ns quantile(double share) const {
    const auto wanted = std::max<std::uint64_t>(
        static_cast<std::uint64_t>(share * static_cast<double>(count_) + 0.999'999), 1);
    std::size_t i = 0;
    for (std::uint64_t seen = at(0); seen < wanted && i + 1 < Histogram::buckets;) seen += at(++i);
    return ns(Histogram::last_of(i));
  }
  [[nodiscard]] std::uint64_t longer_than(Ns limit) const {
    std::uint64_t longer = 0;
    for (std::size_t i = 0; i < Histogram::buckets; ++i)
      longer += ns(Histogram::first_of(i)) > limit ? at(i) : 0;
    return longer;
  }

 private:
  [[nodiscard]] Ns ns(std::uint64_t ticks) const {
    return static_cast<Ns>(static_cast<double>(ticks) * ns_per_tick_);
  }
  [[nodiscard]] std::uint64_t at(std::size_t bucket) const {
    const std::uint64_t now = after_ != nullptr ? after_->at(bucket) : 0;
    const std::uint64_t then = before_ != nullptr ? before_->at(bucket) : 0;
    return now - std::min(then, now);
  }

  const Histogram* before_;
  const Histogram* after_;
  double ns_per_tick_;
  std::uint64_t count_ = 0;
};

/// Finds the worker as it was. A process that gives no numbers has the same ones in the same order.
const WorkerStats* earlier(const std::vector<WorkerStats>& before, const std::vector<WorkerStats>& after,
                           const WorkerStats& worker) {
  const auto is_same = [&worker](const WorkerStats& other) {
    return other.number == worker.number && other.worker == worker.worker;
  };
  auto nth = std::count_if(after.data(), &worker, is_same);
  for (const WorkerStats& other : before) {
    if (is_same(other) && nth-- == 0) return &other;
  }
  return nullptr;
}

const TimeStats* of_kind(const WorkerStats* worker, const std::string& kind) {
  if (worker == nullptr) return nullptr;
  const auto found = std::ranges::find(worker->operations, kind, &TimeStats::kind);
  return found == worker->operations.end() ? nullptr : &*found;
}

/// The columns of one line. A text that is longer than its column moves the others.
std::string line(std::string_view worker, std::string_view kind, const std::vector<std::string>& numbers) {
  std::string text(worker);
  text.resize(std::max<std::size_t>(text.size(), 16), ' ');
  text += " " + std::string(kind) + std::string(14 - std::min<std::size_t>(kind.size(), 14), ' ');
  for (const std::string& number : numbers) {
    const auto wide = static_cast<std::size_t>(std::ranges::count_if(
        number, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));  // a µ is one column
    text += std::string(10 - std::min<std::size_t>(wide, 9), ' ') + number;
  }
  return text + "\n";
}

std::string per_second(std::uint64_t count, double seconds) {
  const double rate = static_cast<double>(count) / seconds;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), rate < 10 && count > 0 ? "%.1f" : "%.0f", rate);
  return text.data();
}

std::string line_of_kind(const WorkerStats& worker, const TimeStats* before, const TimeStats& after,
                         double seconds) {
  const Difference took(before, after);
  if (took.count() == 0) return "";
  const std::uint64_t errors =
      after.errors - (before != nullptr ? std::min(before->errors, after.errors) : 0);
  return line(worker.worker, after.kind,
              {per_second(took.count(), seconds), duration_text(took.quantile(0.5)),
               duration_text(took.quantile(0.99)), "-", std::to_string(errors), "-"});
}

std::string line_of_turns(const WorkerStats& worker, const WorkerStats* before, double seconds) {
  const Difference turns(before != nullptr ? &before->turn : nullptr, worker.turn);
  const bool is_idle = turns.count() == 0;
  const auto longest = std::chrono::nanoseconds(stall).count();
  return line(worker.worker, "turns",
              {per_second(turns.count(), seconds), is_idle ? "-" : duration_text(turns.quantile(0.5)),
               is_idle ? "-" : duration_text(turns.quantile(0.99)), std::to_string(worker.in_flight), "-",
               std::to_string(turns.longer_than(longest))});
}

}  // namespace

std::string top_table(const std::vector<WorkerStats>& before, const std::vector<WorkerStats>& after,
                      std::chrono::duration<double> between) {
  std::string text = line("WORKER", "KIND", {"PER SEC", "P50", "P99", "IN FLIGHT", "ERRORS", "STALLS"});
  for (const WorkerStats& worker : after) {
    const WorkerStats* const then = earlier(before, after, worker);
    text += line_of_turns(worker, then, between.count());
    for (const TimeStats& kind : worker.operations)
      text += line_of_kind(worker, of_kind(then, kind.kind), kind, between.count());
  }
  return text;
}

}  // namespace iotrace
