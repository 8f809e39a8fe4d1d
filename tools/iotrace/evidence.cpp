/// evidence.cpp — sums over spans and marks.
#include "evidence.hpp"

#include <algorithm>
#include <ranges>

namespace iotrace {

using corering::trace::Kind;
using corering::trace::TimedEvent;

Ns Stretch::common(Ns begin, Ns end) const noexcept {
  return std::max<Ns>(0, std::min(to, end) - std::max(from, begin));
}

bool Evidence::has_loop() const noexcept {
  return thread_ < trace_.spans.size() && !trace_.spans[thread_].empty();
}

std::string Evidence::name() const {
  if (thread_ >= trace_.recording.threads.size()) return "a thread that was not recorded";
  const auto& thread = trace_.recording.threads[thread_];
  return (has_loop() ? "worker " : "thread ") + std::to_string(thread_) +
         (thread.name.empty() ? "" : " (" + thread.name + ")");
}

std::span<const Span> Evidence::spans_in(Stretch stretch) const {
  if (thread_ >= trace_.spans.size()) return {};
  const std::vector<Span>& all = trace_.spans[thread_];
  const auto first = std::ranges::upper_bound(all, stretch.from, {}, &Span::end);
  const auto last = std::ranges::lower_bound(first, all.end(), stretch.to, {}, &Span::begin);
  return {first, last};
}

Ns Evidence::spent(Span::What what, Stretch stretch) const {
  Ns sum = 0;
  for (const Span& span : spans_in(stretch)) {
    if (span.what == what) sum += stretch.common(span.begin, span.end);
  }
  return sum;
}

std::optional<Span> Evidence::longest_run(Stretch stretch, std::uint64_t own_task) const {
  std::optional<Span> best;
  for (const Span& span : spans_in(stretch)) {
    const bool counts = span.what == Span::What::run && (span.task != own_task || own_task == 0);
    if (!counts) continue;
    if (!best || stretch.common(span.begin, span.end) > stretch.common(best->begin, best->end)) best = span;
  }
  return best;
}

std::size_t Evidence::runs(Stretch stretch) const {
  return static_cast<std::size_t>(std::ranges::count(spans_in(stretch), Span::What::run, &Span::what));
}

std::span<const TimedEvent> Evidence::marks() const noexcept { return trace_.marks_of(thread_); }

const TimedEvent* Evidence::mark(Kind kind, Stretch stretch) const {
  const auto all = marks();
  for (auto at = std::ranges::lower_bound(all, stretch.from, {}, &TimedEvent::ns);
       at != all.end() && at->ns <= stretch.to; ++at) {
    if (at->kind == kind) return &*at;
  }
  return nullptr;
}

// The kernel said when the thread lost its processor and when it got it back. That it wanted to go on means
// that others had it; else it waited for something.
std::optional<Evidence::LostTime> Evidence::lost_by_switches(Stretch stretch) const {
  LostTime lost;
  const TimedEvent* off = nullptr;
  bool any = false;
  for (const TimedEvent& event : marks()) {
    if (event.kind == Kind::cpu_off) off = &event;
    if (event.kind != Kind::cpu_on) continue;
    any = true;
    if (off == nullptr) continue;
    const Stretch away{std::max(off->ns, stretch.from), std::min(event.ns, stretch.to)};
    if (away.length() > 0) {
      const Ns asleep = spent(Span::What::asleep, away);
      (off->a != 0 ? lost.without_a_processor : lost.blocked) += std::max<Ns>(0, away.length() - asleep);
    }
    off = nullptr;
  }
  return any ? std::optional(lost) : std::nullopt;
}

// Between two readings of its CPU time the thread ran, slept in the kernel on purpose, or lost the rest.
std::optional<Evidence::LostTime> Evidence::lost_by_readings(Stretch stretch) const {
  const TimedEvent* before = nullptr;
  const TimedEvent* after = nullptr;
  for (const TimedEvent& event : marks()) {
    if (event.kind != Kind::cpu_used) continue;
    if (event.ns <= stretch.from) before = &event;
    if (event.ns >= stretch.to && after == nullptr) after = &event;
  }
  if (before == nullptr || after == nullptr) return std::nullopt;
  const Stretch wide{before->ns, after->ns};
  const Ns ran = static_cast<Ns>(after->a - before->a);
  const Ns waited = static_cast<Ns>(after->b - before->b);
  const Ns off = std::max<Ns>(0, wide.length() - ran - spent(Span::What::asleep, wide));
  return LostTime{.blocked = std::max<Ns>(0, off - waited), .without_a_processor = waited};
}

std::optional<Evidence::LostTime> Evidence::lost_time(Stretch stretch) const {
  if (const auto switches = lost_by_switches(stretch); switches) return switches;
  return lost_by_readings(stretch);
}

}  // namespace iotrace
