/// operations.cpp — what an operation knows of itself, and the order in which events are joined.
#include "operations.hpp"

#include <algorithm>
#include <cstdint>
#include <queue>
#include <sys/mman.h>
#include <utility>

#include <corering/uring/uapi.hpp>

#include "join.hpp"

namespace iotrace {

using corering::trace::Recording;
using corering::trace::TimedEvent;
using corering::trace::WaitFor;

Ns Operation::begin() const noexcept {
  Ns first = unseen;
  for (const Ns ns : at) {
    if (ns != unseen && (first == unseen || ns < first)) first = ns;
  }
  return first;
}

Ns Operation::end() const noexcept { return *std::ranges::max_element(at); }

Ns Operation::due() const noexcept {
  const bool is_sleep = waits_for == static_cast<std::uint8_t>(WaitFor::time);
  if (!is_sleep || time(At::filled) == unseen) return unseen;
  return time(At::filled) + static_cast<Ns>(offset);
}

Ns Operation::slowness() const noexcept {
  return due() == unseen ? end() - begin() : std::max<Ns>(end() - due(), 0);
}

namespace {

// Two clocks may disagree a little. Nothing lasts less than nothing.
Ns between(Ns from, Ns to) { return from == unseen || to == unseen ? unseen : std::max<Ns>(to - from, 0); }

Ns first_seen(Ns one, Ns other) { return one != unseen ? one : other; }

}  // namespace

Ns Operation::stage(Stage stage) const noexcept {
  switch (stage) {
    case Stage::queue:
      return between(time(At::pushed), time(At::popped));
    case Stage::wake:
      return between(time(At::pushed), time(At::woken));
    case Stage::dispatch:
      return between(time(At::popped), time(At::on_worker));
    case Stage::prepare:
      return between(first_seen(time(At::begun), time(At::awaited)), time(At::filled));
    case Stage::batch:
      return between(time(At::filled), time(At::submitted));
    case Stage::submit:
      return between(time(At::submitted), time(At::kernel_began));
    case Stage::kernel:
      return between(first_seen(time(At::kernel_began), time(At::submitted)),
                     first_seen(time(At::kernel_ended), time(At::processed)));
    case Stage::reap:
      return between(time(At::kernel_ended), time(At::processed));
    case Stage::resume:
      return between(time(At::processed), time(At::resumed));
    case Stage::total:
      return between(time(At::awaited), time(At::resumed));
    case Stage::count_:
      break;
  }
  return unseen;
}

std::span<const TimedEvent> Trace::marks_of(std::uint32_t thread) const noexcept {
  if (thread >= marks.size()) return {};
  return marks[thread];
}

std::string Trace::name_of_place(std::uint64_t place) const {
  const corering::trace::Place* const found = recording.place(place);
  if (found == nullptr) return "?";
  const std::size_t slash = found->file.rfind('/');
  const std::string where = (slash == std::string::npos ? found->file : found->file.substr(slash + 1)) + ":" +
                            std::to_string(found->line);
  if (found->is_name && found->line == 0) return found->function;
  const std::string function = found->is_name ? found->function : short_name_of_function(found->function);
  return function.empty() ? where : function + " (" + where + ")";
}

const TaskLife* Trace::task(std::uint64_t task) const {
  const std::uint64_t number = number_of_task(task);
  return number == 0 || number > tasks.size() ? nullptr : &tasks[number - 1];
}

std::string Trace::given_name(std::uint64_t task) const {
  const TaskLife* const life = this->task(task);
  const corering::trace::Place* const place = life != nullptr ? recording.place(life->place) : nullptr;
  return place != nullptr && place->is_name ? place->function : "";
}

std::uint64_t Trace::number_of_task(std::uint64_t task) noexcept {
  return (task & recorded_task) != 0 ? (task & ~recorded_task) + 1 : 0;
}

std::uint64_t Trace::shown_task(std::uint64_t task) noexcept {
  const std::uint64_t number = number_of_task(task);
  return number != 0 ? number : task;
}

std::string Trace::name_of_task(std::uint64_t task) const {
  const TaskLife* const life = this->task(task);
  const std::string number = "task " + std::to_string(shown_task(task));
  return life == nullptr ? number : number + ", " + name_of_place(life->place);
}

std::string short_name_of_function(std::string_view function) {
  // "Task<void> app::(anonymous namespace)::parse(int) [T = int]" is "parse".
  std::string name(function);
  const std::size_t lambda = std::min(name.find("::(anonymous class)"), name.find("::<lambda"));
  if (lambda != std::string::npos) name.resize(lambda);
  for (const std::string_view nameless : {"(anonymous namespace)::", "{anonymous}::"}) {
    for (std::size_t at = name.find(nameless); at != std::string::npos; at = name.find(nameless))
      name.erase(at, nameless.size());
  }
  name.resize(std::min(name.find('('), name.size()));
  std::size_t begin = name.size();
  for (int depth = 0; begin > 0; --begin) {
    const char c = name[begin - 1];
    if (c == '>') ++depth;
    if (c == '<') --depth;
    if (depth == 0 && (c == ' ' || c == ':' || c == '*' || c == '&')) break;
  }
  return (lambda != std::string::npos ? "a lambda in " : "") + name.substr(begin);
}

std::string_view name_of_operation(const Operation& operation) noexcept {
  static constexpr std::array<std::string_view, 11> waits = {
      "mutex", "semaphore", "event", "channel", "pool", "wait", "room", "sleep", "stream", "join", "join"};
  if (operation.waits_for < waits.size()) return waits[operation.waits_for];
  if (operation.is_post) return "post";
  if (operation.opcode >= corering::trace::hop_of_operation) {
    const bool hopped = operation.time(At::on_worker) != unseen || operation.time(At::popped) != unseen ||
                        operation.time(At::pushed) != unseen || operation.time(At::processed) == unseen;
    return hopped ? "hop" : "operation";
  }
  return corering::name_of(static_cast<corering::Opcode>(operation.opcode));
}

namespace {

/// One thread's events that are not joined yet.
struct Head {
  Ns ns;
  std::uint32_t thread;
  std::size_t at;
  friend bool operator>(const Head& one, const Head& other) {
    return std::pair(one.ns, one.thread) > std::pair(other.ns, other.thread);
  }
};

/// Gives the memory of events that have been joined back to the system, a stretch at a time: what is made of
/// them needs about as much. Afterwards they read as zeros.
class Consumed {
 public:
  Consumed(std::vector<TimedEvent>& events, bool keep) : events_(events), keep_(keep) {}

  void joined(std::size_t count) {
    if (keep_ || (count - released_) * sizeof(TimedEvent) < stretch) return;
    const std::uintptr_t first = up(address_of(released_)), end = address_of(count) / page * page;
    if (end > first) ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED);
    released_ = count;
  }

 private:
  static constexpr std::size_t stretch = std::size_t{4} << 20;
  static constexpr std::uintptr_t page = 65'536;  // a multiple of what any system has

  static std::uintptr_t up(std::uintptr_t address) { return (address + page - 1) / page * page; }
  [[nodiscard]] std::uintptr_t address_of(std::size_t index) const {
    return reinterpret_cast<std::uintptr_t>(events_.data() + index);
  }

  std::vector<TimedEvent>& events_;
  const bool keep_;
  std::size_t released_ = 0;
};

/// Joins the events of all threads in the order of time.
void join_in_order(Recording& recording, Join& join, bool keep_events) {
  std::vector<Consumed> consumed;
  for (auto& thread : recording.threads) consumed.emplace_back(thread.events, keep_events);
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
  for (std::uint32_t i = 0; i < recording.threads.size(); ++i) {
    if (const auto& events = recording.threads[i].events; !events.empty()) heads.push({events[0].ns, i, 0});
  }
  while (!heads.empty()) {
    Head head = heads.top();
    heads.pop();
    const std::vector<TimedEvent>& events = recording.threads[head.thread].events;
    // One thread often has many events in a row.
    do {
      join.take(head.thread, events[head.at]);
      if (++head.at == events.size()) break;
      head.ns = events[head.at].ns;
    } while (heads.empty() || !(head > heads.top()));
    consumed[head.thread].joined(head.at);
    if (head.at < events.size()) heads.push(head);
  }
}

}  // namespace

Trace make_trace(Recording recording, bool keep_events) {
  Trace trace;
  trace.recording = std::move(recording);
  trace.lost = trace.recording.unrecorded;
  for (const auto& thread : trace.recording.threads) trace.lost += thread.lost;
  Join join(trace);
  join_in_order(trace.recording, join, keep_events);
  if (!keep_events) {
    for (auto& thread : trace.recording.threads) std::vector<TimedEvent>().swap(thread.events);
  }
  join.finish();
  if (!trace.has_kernel_lane) trace.kernel_unseen = "the kernel was not watched during this recording";
  return trace;
}

}  // namespace iotrace
