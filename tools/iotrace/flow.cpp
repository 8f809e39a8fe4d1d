/// flow.cpp — cuts what each thread recorded into reads, and looks for the moments of each.
#include "flow.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include <corering/uring/uapi.hpp>

namespace iotrace {
namespace {

using corering::trace::Kind;
using corering::trace::ThreadRecording;
using corering::trace::TimedEvent;

/// What one thread recorded, oldest first; or a part of it that belongs to one read.
using Events = std::span<const TimedEvent>;

template <class Wanted>
const TimedEvent* find(Events events, const Wanted& wanted) {
  const auto found = std::ranges::find_if(events, wanted);
  return found == events.end() ? nullptr : &*found;
}
const TimedEvent* find(Events events, Kind kind) {
  return find(events, [kind](const TimedEvent& event) { return event.kind == kind; });
}
const TimedEvent* find(Events events, Kind kind, std::uint64_t id) {
  return find(events, [kind, id](const TimedEvent& event) { return event.kind == kind && event.id == id; });
}

/// Returns the events after `event`, which is one of `events`; none if there is no such event.
Events after(Events events, const TimedEvent* event) {
  return event == nullptr ? Events() : events.subspan(static_cast<std::size_t>(event - events.data()) + 1);
}
/// Returns `event` and what comes after it; nothing if there is no such event.
Events from(Events events, const TimedEvent* event) {
  return event == nullptr ? Events() : events.subspan(static_cast<std::size_t>(event - events.data()));
}
/// Returns the events before `event`; all of them if there is no such event.
Events before(Events events, const TimedEvent* event) {
  return event == nullptr ? events : events.first(static_cast<std::size_t>(event - events.data()));
}

/// Cuts at each event for which `begins` holds. What comes before the first one belongs to no part.
template <class Begins>
std::vector<Events> cut(Events events, const Begins& begins) {
  std::vector<std::size_t> cuts;
  for (std::size_t at = 0; at < events.size(); ++at) {
    if (begins(events[at])) cuts.push_back(at);
  }
  std::vector<Events> parts;
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const std::size_t end = i + 1 < cuts.size() ? cuts[i + 1] : events.size();
    parts.push_back(events.subspan(cuts[i], end - cuts[i]));
  }
  return parts;
}

bool begins_read(const TimedEvent& event) {
  return event.kind == Kind::await && event.opcode == static_cast<std::uint8_t>(corering::Opcode::read);
}

/// What was observed of one read.
class Observed {
 public:
  void note(Moment moment, const TimedEvent* event, std::string detail = {}) {
    note_time(moment, event == nullptr ? std::nullopt : std::optional(event->ns), std::move(detail));
  }
  void note_time(Moment moment, std::optional<std::int64_t> ns, std::string detail = {}) {
    found_[static_cast<std::size_t>(moment)] = {.ns = ns, .detail = std::move(detail)};
  }
  /// The kernel was called and took nothing.
  void note_refusal(const TimedEvent& call, const TimedEvent& answer, std::string call_detail,
                    std::string answer_detail) {
    refusals_.push_back({.line = &refused_call, .ns = call.ns, .detail = std::move(call_detail), .text = {}});
    refusals_.push_back(
        {.line = &refused_return, .ns = answer.ns, .detail = std::move(answer_detail), .text = {}});
  }

  [[nodiscard]] ReadSteps as_steps(Flow flow, bool first_read, std::uint64_t number) const {
    ReadSteps read{.number = number, .steps = {}};
    for (const Line& line : lines_of(flow, first_read)) {
      if (line.moment == Moment::submitted)
        read.steps.insert(read.steps.end(), refusals_.begin(), refusals_.end());
      const Found& found = found_[static_cast<std::size_t>(line.moment)];
      read.steps.push_back({.line = &line, .ns = found.ns, .detail = found.detail, .text = {}});
    }
    return read;
  }

 private:
  struct Found {
    std::optional<std::int64_t> ns;
    std::string detail;
  };
  std::array<Found, static_cast<std::size_t>(Moment::count_)> found_;
  std::vector<Step> refusals_;
};

// ---- words ----

std::string describe_arguments(const TimedEvent* filled) {
  if (filled == nullptr) return "";
  const auto fd = static_cast<std::int32_t>(filled->a >> 32);
  const auto length = static_cast<std::uint32_t>(filled->a);
  const std::uint64_t offset = corering::trace::offset_of(filled->b);
  const bool at_own_position = offset == ~std::uint64_t{0};
  return "fd " + std::to_string(fd) + ", " + std::to_string(length) + " bytes" +
         (at_own_position ? std::string() : ", offset " + std::to_string(offset));
}

std::string describe_error(int error) {
  const char* const name = ::strerrorname_np(error);
  return (name != nullptr ? std::string(name) : "error " + std::to_string(error)) + ": " +
         std::strerror(error);
}

std::string describe_result(const TimedEvent* processed) {
  if (processed == nullptr) return "";
  const auto res = static_cast<std::int32_t>(processed->a >> 32);
  return res < 0 ? describe_error(-res) : std::to_string(res) + " bytes";
}

std::string describe_call(const TimedEvent* submitted) {
  if (submitted == nullptr) return "";
  return "io_uring_enter() with " + std::to_string(submitted->a) +
         (submitted->a == 1 ? " SQE" : " SQEs, the read's among them") +
         (submitted->b != 0 ? ", and may wait" : "");
}

std::int64_t result_of(const TimedEvent& returned) { return static_cast<std::int64_t>(returned.a); }

std::string describe_return(const TimedEvent* returned, std::size_t calls) {
  if (returned == nullptr) return "";
  const std::int64_t result = result_of(*returned);
  return (calls > 1 ? "call " + std::to_string(calls) + " of io_uring_enter() returned "
                    : std::string("io_uring_enter() returned ")) +
         (result < 0 ? describe_error(static_cast<int>(-result)) : std::to_string(result));
}

// ---- the half of a read that both flows share: from the SQE to the result, all of it on the worker ----

bool is_return(const TimedEvent& event) { return event.kind == Kind::entered || event.kind == Kind::woken; }

/// The call that took the SQE. If it was refused before, these calls are noted, too.
const TimedEvent* find_submission(Events events, Observed& observed) {
  for (;;) {
    const TimedEvent* const call = find(events, Kind::submitted);
    if (call == nullptr) return nullptr;
    const TimedEvent* const answer = find(after(events, call), is_return);
    if (answer == nullptr || result_of(*answer) > 0) return call;
    observed.note_refusal(*call, *answer, describe_call(call), describe_return(answer, 1));
    events = after(events, answer);
  }
}

// The recorder's clock is a line through two readings of the kernel's clock. They agree to about a
// microsecond.
constexpr std::int64_t clock_slack_ns = 2000;

/// Returns when the kernel says that it did this to the operation. New awaiters often have the address of an
/// old one, so the time must fit too.
std::optional<std::int64_t> time_in_kernel(KernelEvent::Kind kind, std::uint64_t id,
                                           const TimedEvent* submitted, const TimedEvent* processed,
                                           std::span<const KernelEvent> kernel_did) {
  if (submitted == nullptr) return std::nullopt;
  const std::int64_t end = processed != nullptr ? processed->ns : std::numeric_limits<std::int64_t>::max();
  for (const KernelEvent& event : kernel_did) {
    if (event.kind != kind || event.user_data != id) continue;
    if (event.ns >= submitted->ns - clock_slack_ns && event.ns - clock_slack_ns <= end) return event.ns;
  }
  return std::nullopt;
}

/// Returns what the emulation tells of how it did the operation.
std::string describe_doing(std::optional<std::int64_t> waits, std::optional<std::int64_t> lent) {
  if (lent) return "a helper thread makes the call";
  return waits ? "waits until the descriptor is ready" : "";
}

/// Notes how the loop learned of the completion: by which return of io_uring_enter().
void observe_loop(Events events, const TimedEvent* submitted, const TimedEvent* processed,
                  Observed& observed) {
  if (submitted == nullptr || processed == nullptr) return;
  const TimedEvent* last = nullptr;
  std::size_t calls = 0;
  for (const TimedEvent& event : before(after(events, submitted), processed)) {
    if (!is_return(event)) continue;
    last = &event;
    ++calls;
  }
  observed.note(Moment::loop_continues, last, describe_return(last, calls));
}

/// `events` are the worker's, from the await of the operation on, and those of no other one with this id.
void observe_operation(Events events, std::uint64_t id, std::span<const KernelEvent> kernel_did,
                       Observed& observed) {
  const TimedEvent* const filled = find(events, Kind::sqe_filled, id);
  const TimedEvent* const suspended = find(events, Kind::suspended, id);
  const TimedEvent* const submitted = find_submission(after(events, filled), observed);
  const TimedEvent* const processed = find(events, Kind::processed, id);
  const TimedEvent* const resumed = find(events, Kind::resumed, id);
  const auto in_kernel = [&](KernelEvent::Kind kind) {
    return time_in_kernel(kind, id, submitted, processed, kernel_did);
  };
  observed.note(Moment::filled, filled, describe_arguments(filled));
  observed.note(Moment::suspended_for_io, suspended);
  observed.note(Moment::submitted, submitted, describe_call(submitted));
  observed.note_time(Moment::kernel_reads, in_kernel(KernelEvent::Kind::began),
                     describe_doing(in_kernel(KernelEvent::Kind::waits), in_kernel(KernelEvent::Kind::lent)));
  observed.note_time(Moment::completed, in_kernel(KernelEvent::Kind::completed));
  observe_loop(events, submitted, processed, observed);
  observed.note(Moment::processed, processed);
  observed.note(Moment::resumed_with_result, resumed, describe_result(processed));
}

// ---- Switch to Worker ----

/// How the worker was woken, and by what its loop began to run. `events` are those until it took the handle.
void observe_waking(Events whole_thread, Events events, const TimedEvent& wake, Observed& observed) {
  observed.note(Moment::eventfd_written, &wake);
  const auto backwards = std::ranges::find_if(
      events.rbegin(), events.rend(), [](const TimedEvent& event) { return event.kind == Kind::woken; });
  if (backwards == events.rend()) return;
  const TimedEvent* const woken = &*backwards;
  observed.note(Moment::woken, woken);
  const Events slept = before(whole_thread, woken);
  const bool was_asleep = !slept.empty() && slept.back().kind == Kind::submitted && slept.back().b != 0 &&
                          slept.back().ns < wake.ns;
  observed.note(Moment::asleep, was_asleep ? &slept.back() : nullptr,
                was_asleep ? "in io_uring_enter()" : "it was about to sleep");
  const TimedEvent* const runs = find(after(events, woken), [](const TimedEvent&) { return true; });
  const bool takes_the_wake = runs != nullptr && runs->kind == Kind::processed;
  observed.note(Moment::loop_runs, runs, takes_the_wake ? "takes the eventfd's completion" : "");
}

/// The worker's part before the read begins there.
void observe_hop(const ThreadRecording& worker, Events events, std::uint64_t hop, const TimedEvent* wake,
                 Observed& observed) {
  const TimedEvent* const popped = find(events, Kind::popped, hop);
  const TimedEvent* const resumed = find(events, Kind::resumed_on_worker, hop);
  if (wake != nullptr && wake->kind == Kind::wake_written) {
    observe_waking(worker.events, popped != nullptr ? before(events, popped) : Events(), *wake, observed);
  } else if (wake != nullptr) {
    for (const Moment moment : {Moment::eventfd_written, Moment::asleep, Moment::woken})
      observed.note(moment, nullptr, "the worker was awake");
    const Events ran = popped != nullptr ? before(events, popped) : Events();
    observed.note(Moment::loop_runs, ran.empty() ? nullptr : &ran.back());
  }
  observed.note(Moment::popped, popped);
  observed.note(Moment::handle_returned, popped, popped != nullptr ? "in one atomic step with the pop" : "");
  observed.note(Moment::resumed, resumed);
  observed.note(Moment::on_worker, resumed,
                resumed != nullptr ? "thread " + std::to_string(worker.tid) : std::string());
}

const TimedEvent* wake_of(Events main, std::uint64_t hop) {
  return find(main, [hop](const TimedEvent& event) {
    return event.id == hop && (event.kind == Kind::wake_written || event.kind == Kind::wake_elided);
  });
}

/// Notes what happened to a push: `caller` pushed the handle, and `on_worker` is all until its operation
/// began.
void observe_push(Events caller, const ThreadRecording& worker, Events on_worker, std::uint64_t hop,
                  Observed& observed) {
  const TimedEvent* const wake = wake_of(caller, hop);
  // A push is recorded before it is tried. It went well if something is recorded about the wake-up.
  observed.note(Moment::pushed, wake != nullptr ? find(caller, Kind::pushed, hop) : nullptr);
  observed.note(Moment::suspended, find(caller, Kind::suspended, hop));
  observe_hop(worker, on_worker, hop, wake, observed);
}

/// `main` begins with the wait of the main thread. Both parts end when the next one begins.
Observed observe_switch(Events main, const ThreadRecording& worker, Events on_worker,
                        std::span<const KernelEvent> kernel_did) {
  Observed observed;
  const TimedEvent* const hop = find(main, Kind::await);
  const std::uint64_t id = hop != nullptr ? hop->id : 0;
  const TimedEvent* const returned = find(main, Kind::sync_wait_end, main.front().id);
  const TimedEvent* const read = find(on_worker, begins_read);
  const Events operation = from(on_worker, read);
  const std::uint64_t read_id = read != nullptr ? read->id : 0;
  observed.note(Moment::await, &main.front(), describe_arguments(find(operation, Kind::sqe_filled)));
  observe_push(main, worker, before(on_worker, read), id, observed);
  observe_operation(operation, read_id, kernel_did, observed);
  const TimedEvent* const processed = find(operation, Kind::processed, read_id);
  observed.note(Moment::returned, returned, returned != nullptr ? describe_result(processed) : "");
  return observed;
}

// ---- Worker Callback ----

/// Notes whether the loop was awake, so that nobody had to wake it.
void observe_activity(Events operation, std::uint64_t id, Observed& observed) {
  const Events filled_on = after(operation, find(operation, Kind::sqe_filled, id));
  const TimedEvent* const submitted = find(filled_on, Kind::submitted);
  const bool was_awake = find(before(filled_on, submitted), Kind::woken) == nullptr;
  observed.note(Moment::loop_is_active, was_awake ? submitted : nullptr, "nobody has to wake it");
}

Observed observe_callback(Events main, Events start, Events operation,
                          std::span<const KernelEvent> kernel_did) {
  Observed observed;
  observed.note(Moment::thread_started, find(main, Kind::thread_start));
  observed.note(Moment::coroutine_started,
                find(after(start, find(start, Kind::init_callback)), Kind::spawned));
  const TimedEvent& await = operation.front();
  const TimedEvent* const filled = find(operation, Kind::sqe_filled, await.id);
  observed.note(Moment::await, &await, describe_arguments(filled));
  observe_operation(operation, await.id, kernel_did, observed);
  observe_activity(operation, await.id, observed);
  observed.note(Moment::continues,
                find(after(operation, find(operation, Kind::resumed, await.id)), Kind::remark));
  return observed;
}

// ---- both ----

/// Returns the events from one moment on, and before another.
Events between(Events events, std::int64_t from_ns, std::int64_t to_ns) {
  const auto at = [events](std::int64_t ns) {
    return std::ranges::find_if(events, [ns](const TimedEvent& event) { return event.ns >= ns; });
  };
  return {at(from_ns), at(to_ns)};
}

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t never_before = std::numeric_limits<std::int64_t>::min();

const ThreadRecording& thread_of(const Recorded& recorded, bool main) {
  static const ThreadRecording nothing;
  for (const ThreadRecording& thread : recorded.threads) {
    if ((thread.tid == recorded.main_tid) == main) return thread;
  }
  return nothing;
}

/// Every read that was recorded, in order. While the main thread waits for one read there is no other.
std::vector<Observed> observe_switches(const Recorded& recorded) {
  const ThreadRecording& worker = thread_of(recorded, false);
  const std::vector<Events> waits =
      cut(between(thread_of(recorded, true).events, recorded.since_ns, never),
          [](const TimedEvent& event) { return event.kind == Kind::sync_wait_begin; });
  std::vector<Observed> reads;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const std::int64_t end = i + 1 < waits.size() ? waits[i + 1].front().ns : never;
    reads.push_back(observe_switch(waits[i], worker, between(worker.events, waits[i].front().ns, end),
                                   recorded.kernel_did));
  }
  return reads;
}

std::vector<Observed> observe_callbacks(const Recorded& recorded) {
  const Events main = thread_of(recorded, true).events;
  const Events worker = thread_of(recorded, false).events;
  std::vector<Observed> reads;
  for (const Events operation : cut(worker, begins_read)) {
    reads.push_back(observe_callback(main, before(worker, operation.data()), operation, recorded.kernel_did));
  }
  return reads;
}

std::vector<Observed> observe_all(Flow flow, const Recorded& recorded) {
  return flow == Flow::switch_to_worker ? observe_switches(recorded) : observe_callbacks(recorded);
}

/// The words for a call of the kernel say that it is emulated, if it is.
ReadSteps with_true_words(ReadSteps read, bool is_emulated) {
  constexpr std::string_view call = "io_uring_enter()";
  for (Step& step : read.steps) {
    const std::size_t at = step.detail.find(call);
    if (is_emulated && at != std::string::npos) step.detail.insert(at, "the emulated ");
  }
  return read;
}

std::optional<KernelEvent::Kind> kind_in_emulation(Kind kind) {
  switch (kind) {
    case Kind::emulation_took:
      return KernelEvent::Kind::began;
    case Kind::emulation_waits:
      return KernelEvent::Kind::waits;
    case Kind::emulation_lent:
      return KernelEvent::Kind::lent;
    case Kind::emulation_posted:
      return KernelEvent::Kind::completed;
    default:
      return std::nullopt;
  }
}

// ---- any operation of any program ----

constexpr std::array<std::pair<KernelEvent::Kind, At>, 4> moments_in_kernel = {
    {{KernelEvent::Kind::began, At::kernel_began},
     {KernelEvent::Kind::waits, At::kernel_waits},
     {KernelEvent::Kind::lent, At::kernel_lent},
     {KernelEvent::Kind::completed, At::kernel_ended}}};

/// The kernel's moments have been joined with the operation already.
std::vector<KernelEvent> what_the_kernel_did(const Operation& operation) {
  std::vector<KernelEvent> did;
  for (const auto& [kind, moment] : moments_in_kernel) {
    if (operation.time(moment) != unseen)
      did.push_back({.kind = kind, .user_data = operation.id, .ns = operation.time(moment)});
  }
  return did;
}

/// What a thread itself recorded during the operation.
ThreadRecording part_of(const Trace& trace, std::uint32_t thread, Ns begin, Ns end) {
  ThreadRecording part;
  if (thread >= trace.recording.threads.size()) return part;
  part.tid = trace.recording.threads[thread].tid;
  for (const TimedEvent& event : between(trace.recording.threads[thread].events, begin, end)) {
    if (!kind_in_emulation(event.kind)) part.events.push_back(event);
  }
  return part;
}

/// Returns since when the worker slept at that time; the time itself if it did not.
Ns begin_of_sleep(const Trace& trace, std::uint32_t thread, Ns ns) {
  if (thread >= trace.spans.size()) return ns;
  for (const Span& span : trace.spans[thread]) {
    if (span.what == Span::What::asleep && span.begin <= ns && span.end > ns) return span.begin;
  }
  return ns;
}

/// The hop has an id of its own, which the operation no longer knows.
std::uint64_t hop_of(Events caller, const Operation& operation) {
  const TimedEvent* const pushed = find(caller, [&operation](const TimedEvent& event) {
    return event.kind == Kind::pushed && event.ns == operation.time(At::pushed);
  });
  return pushed != nullptr ? pushed->id : 0;
}

}  // namespace

std::optional<At> moment_of_life(Moment moment) noexcept {
  static constexpr std::array<std::pair<Moment, At>, 19> table = {{{Moment::await, At::awaited},
                                                                   {Moment::pushed, At::pushed},
                                                                   {Moment::eventfd_written, At::pushed},
                                                                   {Moment::suspended, At::suspended},
                                                                   {Moment::woken, At::woken},
                                                                   {Moment::loop_runs, At::woken},
                                                                   {Moment::popped, At::popped},
                                                                   {Moment::handle_returned, At::popped},
                                                                   {Moment::resumed, At::on_worker},
                                                                   {Moment::on_worker, At::on_worker},
                                                                   {Moment::filled, At::filled},
                                                                   {Moment::suspended_for_io, At::filled},
                                                                   {Moment::submitted, At::submitted},
                                                                   {Moment::kernel_reads, At::kernel_began},
                                                                   {Moment::completed, At::kernel_ended},
                                                                   {Moment::loop_continues, At::returned},
                                                                   {Moment::processed, At::processed},
                                                                   {Moment::resumed_with_result, At::resumed},
                                                                   {Moment::continues, At::resumed}}};
  const auto* const found = std::ranges::find(table, moment, &std::pair<Moment, At>::first);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

ReadSteps find_steps(Flow flow, const Trace& trace, const Operation& operation) {
  const Ns begin = operation.begin(), end = operation.end() + 1;
  const ThreadRecording worker =
      part_of(trace, operation.thread, begin_of_sleep(trace, operation.thread, begin), end);
  const ThreadRecording caller = part_of(trace, operation.caller, begin, end);
  const Ns begun = operation.time(At::begun) != unseen ? operation.time(At::begun) : begin;
  const Events here = between(worker.events, begun, end);
  Observed observed;
  observed.note_time(Moment::await, operation.time(At::awaited) != unseen
                                        ? std::optional(operation.time(At::awaited))
                                        : std::nullopt);
  if (flow == Flow::switch_to_worker)
    observe_push(caller.events, worker, between(worker.events, never_before, begun),
                 hop_of(caller.events, operation), observed);
  observe_operation(here, operation.id, what_the_kernel_did(operation), observed);
  observe_activity(here, operation.id, observed);
  observed.note(Moment::continues, find(here, Kind::resumed, operation.id));
  const bool is_emulated = trace.recording.kernel.find("emulated") != std::string::npos;
  return with_true_words(observed.as_steps(flow, false, 0), is_emulated);
}

std::vector<KernelEvent> take_what_emulation_did(std::vector<ThreadRecording>& threads) {
  std::vector<KernelEvent> did;
  for (ThreadRecording& thread : threads) {
    for (const TimedEvent& event : thread.events) {
      if (const auto kind = kind_in_emulation(event.kind); kind)
        did.push_back({.kind = *kind, .user_data = event.id, .ns = event.ns});
    }
    std::erase_if(thread.events,
                  [](const TimedEvent& event) { return kind_in_emulation(event.kind).has_value(); });
  }
  std::ranges::sort(did, {}, &KernelEvent::ns);
  return did;
}

std::vector<ReadSteps> find_steps(Flow flow, const Recorded& recorded, std::size_t most) {
  const std::vector<Observed> reads = observe_all(flow, recorded);
  std::vector<ReadSteps> found;
  for (std::size_t i = 0; i < std::min(most, reads.size()); ++i)
    found.push_back(with_true_words(reads[i].as_steps(flow, i == 0, i), recorded.is_emulated));
  return found;
}

std::optional<ReadSteps> find_last_steps(Flow flow, const Recorded& recorded, std::uint64_t number) {
  const std::vector<Observed> reads = observe_all(flow, recorded);
  if (reads.empty()) return std::nullopt;
  return with_true_words(reads.back().as_steps(flow, number == 0, number), recorded.is_emulated);
}

}  // namespace iotrace
