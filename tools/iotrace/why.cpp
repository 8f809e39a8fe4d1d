/// why.cpp — the longest part of an operation's life, and its cause.
#include "why.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <vector>

#include <corering/uring/uapi.hpp>

#include "evidence.hpp"
#include "why_foreign.hpp"

namespace iotrace {
namespace {

using corering::Opcode;
using corering::trace::Kind;
using corering::trace::TimedEvent;
using corering::trace::WaitFor;

// What is shorter needs no explanation.
constexpr Ns short_time = 20'000;
constexpr Ns short_time_in_kernel = 200'000;
constexpr Ns late_end = 1'000'000;

/// A part of an operation's life.
struct Part {
  enum class What : std::uint8_t { queue, dispatch, prepare, batch, kernel, reap, resume, wait };
  What what;
  Stretch when;
};

std::string_view words_of(Part::What what) {
  static constexpr std::array<std::string_view, 8> words = {
      "waited in the worker's queue",
      "waited, already taken from the queue, until it ran",
      "waited for a free SQE",
      "waited, with its SQE filled, for the next call of the kernel",
      "was with the kernel",
      "was complete and waited to be reaped",
      "had its result and waited until its coroutine ran",
      "waited"};
  return words[static_cast<std::size_t>(what)];
}

void add_part(std::vector<Part>& parts, Part::What what, Ns from, Ns to) {
  if (from != unseen && to != unseen && to > from) parts.push_back({what, {from, to}});
}

Ns first_seen(Ns one, Ns other) { return one != unseen ? one : other; }

/// Returns the parts that do not overlap.
std::vector<Part> parts_of(const Operation& op) {
  std::vector<Part> parts;
  using enum Part::What;
  if (op.waits_for != Operation::waits_for_nothing) {
    add_part(parts, queue, op.time(At::pushed), op.time(At::popped));
    add_part(parts, wait, first_seen(op.time(At::begun), op.time(At::awaited)), op.time(At::resumed));
    return parts;
  }
  add_part(parts, queue, op.time(At::pushed), op.time(At::popped));
  add_part(parts, dispatch, op.time(At::popped), op.time(At::on_worker));
  add_part(parts, prepare, first_seen(op.time(At::begun), op.time(At::awaited)), op.time(At::filled));
  add_part(parts, batch, op.time(At::filled), op.time(At::submitted));
  add_part(parts, kernel, op.time(At::submitted),
           first_seen(op.time(At::kernel_ended), op.time(At::processed)));
  add_part(parts, reap, op.time(At::kernel_ended), op.time(At::processed));
  add_part(parts, resume, op.time(At::processed), op.time(At::resumed));
  return parts;
}

bool is_any_of(const Operation& op, std::initializer_list<Opcode> opcodes) {
  return op.waits_for == Operation::waits_for_nothing &&
         std::ranges::find(opcodes, static_cast<Opcode>(op.opcode)) != opcodes.end();
}

/// Explains one operation.
class Explainer {
 public:
  Explainer(const Trace& trace, const Operation& op)
      : trace_(trace), op_(op), worker_(trace, op.thread), parts_(parts_of(op)) {}

  Explanation explain() {
    if (auto told = by_storm_of_its_own(); told) return *told;
    if (auto told = by_cancelling(); told) return *told;
    if (op_.waits_for == static_cast<std::uint8_t>(WaitFor::time)) return late_timer();
    if (auto told = by_no_buffers(); told) return *told;
    if (!op_.has_ended) return {Cause::unfinished, head() + "has not ended in this recording."};
    const auto longest =
        std::ranges::max_element(parts_, {}, [](const Part& part) { return part.when.length(); });
    if (longest == parts_.end()) return {Cause::nothing_unusual, head() + "was recorded only in part."};
    return of_part(*longest);
  }

 private:
  [[nodiscard]] std::string head() const {
    return std::string(name_of_operation(op_)) + " " + std::to_string(op_.number) + " ";
  }
  [[nodiscard]] Ns all() const { return op_.end() - op_.begin(); }
  [[nodiscard]] Stretch life() const { return {op_.begin(), op_.end()}; }
  [[nodiscard]] std::string sentence(const Part& part, std::string_view because) const {
    return head() + std::string(words_of(part.what)) + " for " + duration_text(part.when.length()) + " of " +
           duration_text(all()) + std::string(because) + ".";
  }

  // ---- ends that were asked for ----

  [[nodiscard]] const TimedEvent* when_cancelled() const {
    const TimedEvent* first = nullptr;
    for (const auto& marks : trace_.marks) {
      for (const TimedEvent& mark : marks) {
        const bool is_it = mark.kind == Kind::cancel_asked && mark.id == op_.number;
        if (is_it && (first == nullptr || mark.ns < first->ns)) first = &mark;
      }
    }
    return first;
  }

  [[nodiscard]] bool was_stopping_at(Ns ns) const {
    const TimedEvent* const stop = worker_.mark(Kind::stopping, {INT64_MIN + 1, ns});
    return stop != nullptr;
  }

  std::optional<Explanation> by_cancelling() {
    const TimedEvent* const asked = op_.was_cancelled ? when_cancelled() : nullptr;
    const Ns began = op_.begin();
    if (asked == nullptr) {
      if (op_.result != -ECANCELED || !was_stopping_at(op_.end())) return std::nullopt;
      return Explanation{Cause::stop_in_progress, head() + "ended at once, because its worker was stopping."};
    }
    const Ns late = op_.has_ended ? op_.end() - asked->ns : 0;
    if (late >= late_end && (2 * late >= op_.end() - began || late >= 5 * late_end))
      return cancelled_late(*asked, late);
    if (was_stopping_at(asked->ns))
      return Explanation{Cause::stop_in_progress, head() + "was ended after " +
                                                      duration_text(asked->ns - began) +
                                                      ", because its worker was stopping."};
    if (asked->a == ETIMEDOUT) return by_deadline(*asked);
    return Explanation{Cause::cancelled, head() + "was ended after " + duration_text(asked->ns - began) +
                                             ", because somebody asked for it."};
  }

  Explanation cancelled_late(const TimedEvent& asked, Ns late) {
    const auto busy = by_worker({asked.ns, op_.end()});
    return {Cause::cancelled_late, head() + "was to end after " + duration_text(asked.ns - op_.begin()) +
                                       ", and ended " + duration_text(late) + " later" +
                                       (busy ? ", because " + busy->text : ", when the kernel let it go") +
                                       "."};
  }

  Explanation by_deadline(const TimedEvent& asked) {
    const bool is_own = asked.b == op_.place;
    const std::string where =
        asked.b == 0 ? "a deadline" : "the deadline of " + trace_.name_of_place(asked.b);
    return {is_own ? Cause::own_deadline : Cause::deadline_inherited,
            head() + "was ended after " + duration_text(asked.ns - op_.begin()) + ", because " + where +
                " passed" + (is_own ? "" : ", which was set further out") + "."};
  }

  // ---- tries ----

  /// The same coroutine did the same before, and failed each time.
  std::optional<Explanation> by_storm_of_its_own() {
    constexpr std::size_t many = 5;
    constexpr std::size_t looked_back = 100'000;
    std::size_t failed = 0;
    Ns first = 0;
    int error = 0;
    const std::size_t oldest = op_.number - std::min<std::size_t>(op_.number, looked_back);
    for (std::size_t i = op_.number - 1; i-- > oldest;) {
      const Operation& before = trace_.operations[i];
      const bool is_same = before.task == op_.task && before.place == op_.place &&
                           before.opcode == op_.opcode && before.waits_for == op_.waits_for &&
                           op_.task != 0 && op_.place != 0;
      if (!is_same) continue;
      if (before.result >= 0 || before.result == -ECANCELED) break;
      ++failed;
      first = before.begin();
      error = -before.result;
    }
    if (failed < many || op_.begin() - first < all()) return std::nullopt;
    return Explanation{Cause::retry_storm, head() + "was tried " + std::to_string(failed) +
                                               " times before, for " + duration_text(op_.begin() - first) +
                                               "; the last time it failed with " + std::strerror(error) +
                                               "."};
  }

  // ---- timers ----

  Explanation late_timer() {
    const Ns due = op_.due();
    const Ns came = op_.time(At::resumed);
    if (due == unseen || came == unseen || came - due < short_time_in_kernel)
      return {Cause::nothing_unusual, head() + "ended when it was due."};
    const auto busy = by_worker({due, came});
    if (!busy)
      return {Cause::nothing_unusual,
              head() + "ended " + duration_text(came - due) + " late; nothing in the recording tells why."};
    return {Cause::late_timer, head() + "was due after " + duration_text(static_cast<Ns>(op_.offset)) +
                                   " and ended " + duration_text(came - due) + " late, because " +
                                   busy->text + "."};
  }

  // ---- buffers ----

  std::optional<Explanation> by_no_buffers() {
    if (op_.result == -ENOBUFS && op_.completions > 0)
      return Explanation{Cause::no_buffers, head() + "ended with ENOBUFS: no buffer of its pool was free."};
    const bool waits = op_.waits_for == static_cast<std::uint8_t>(WaitFor::event) ||
                       op_.waits_for == static_cast<std::uint8_t>(WaitFor::stream);
    if (!waits || all() < short_time) return std::nullopt;
    for (const Operation& other : trace_.operations) {
      const Ns at = other.time(At::processed);
      const bool was = other.result == -ENOBUFS && other.completions > 0 && other.thread == op_.thread;
      if (was && at != unseen && at >= op_.begin() - late_end && at <= op_.end())
        return Explanation{Cause::no_buffers, head() + "waited " + duration_text(all()) + " for a buffer: " +
                                                  std::string(name_of_operation(other)) + " " +
                                                  std::to_string(other.number) + " had ended with ENOBUFS."};
    }
    return std::nullopt;
  }

  // ---- parts ----

  Explanation of_part(const Part& part) {
    if (part.what == Part::What::kernel) return of_kernel(part);
    if (part.what == Part::What::wait) return of_wait(part);
    if (part.when.length() < short_time) return usual(part);
    if (op_.time(At::parked) != unseen && part.what == Part::What::prepare)
      return {Cause::sq_full,
              sentence(part, ", because the submission queue was full and the kernel took nothing")};
    if (part.what == Part::What::reap && overflowed(part.when)) return overflow(part);
    if (part.what == Part::What::batch && others_were_parked(part.when))
      return {Cause::sq_full,
              sentence(part, ", because the kernel took nothing and the submission queue was full")};
    const auto busy = by_worker(part.when);
    return busy ? Explanation{busy->cause, sentence(part, ", because " + busy->text)} : usual(part);
  }

  [[nodiscard]] bool others_were_parked(Stretch when) const {
    return std::ranges::any_of(trace_.operations, [&](const Operation& other) {
      const Ns at = other.time(At::parked);
      return other.thread == op_.thread && at != unseen && at >= when.from && at <= when.to;
    });
  }

  Explanation usual(const Part& part) {
    if (part.what == Part::What::kernel)
      return {Cause::nothing_unusual, "Nothing unusual: the kernel took " +
                                          duration_text(part.when.length()) + " of " + duration_text(all()) +
                                          "."};
    return {Cause::nothing_unusual, "Nothing unusual: " + sentence(part, "")};
  }

  bool overflowed(Stretch when) const { return worker_.mark(Kind::cq_overflowed, when) != nullptr; }
  Explanation overflow(const Part& part) {
    return {Cause::cq_overflow,
            sentence(part, ", and there were more completions than the completion queue holds")};
  }

  /// The kernel's part ends when the completion was reaped, unless the kernel was watched.
  Explanation of_kernel(const Part& part) {
    const Ns until = op_.time(At::processed);
    const Stretch when{part.when.from, until != unseen ? until : part.when.to};
    const bool is_long = part.when.length() >= short_time_in_kernel;
    if (overflowed({when.from, when.to + short_time})) return overflow(part);
    const auto busy = part.when.length() >= short_time ? by_not_looking(when) : std::nullopt;
    if (busy)
      return {busy->cause, sentence(part, ", or it was done and nobody looked, because " + busy->text)};
    if (!is_long) return usual(part);
    return by_request(part);
  }

  /// The worker finds completions when it enters the kernel, and only then some of them are posted. So the
  /// kernel may have been done for as long as the worker did not enter. If much time passed after that, it
  /// was not.
  std::optional<Explanation> by_not_looking(Stretch when) {
    Ns looked = when.from;
    Stretch away{when.from, when.from};
    for (const Span& span : worker_.spans_in(when)) {
      const bool looks = span.what == Span::What::enter || span.what == Span::What::asleep;
      if (!looks) continue;
      if (span.begin - looked > away.length()) away = {looked, span.begin};
      looked = span.end;
    }
    const bool was_soon_found = 4 * (when.to - away.to) <= when.length();
    if (was_soon_found && 2 * away.length() >= when.length()) return by_worker(away);
    return by_starving(when);
  }

  Explanation by_request(const Part& part) {
    if (is_any_of(op_, {Opcode::fsync, Opcode::sync_file_range}))
      return {Cause::slow_sync, sentence(part, ", because the device took so long to write everything")};
    if (op_.missed_cache || is_file_read())
      return {Cause::page_cache_miss, sentence(part, ", because the page cache did not have the data")};
    if (op_.time(At::kernel_lent) != unseen || (op_.sqe_flags & corering::uapi::sqe_async) != 0)
      return {Cause::lent_to_helper, sentence(part, ", where a helper thread made the call")};
    if (is_any_of(op_, {Opcode::send, Opcode::sendmsg, Opcode::send_zc, Opcode::sendmsg_zc}))
      return {Cause::peer_reads_slowly,
              sentence(part, ", because the peer did not take what was sent before")};
    return usual(part);
  }

  /// A read at an offset that was not done by the time the call that handed it over had returned.
  [[nodiscard]] bool is_file_read() const {
    return is_any_of(op_, {Opcode::read, Opcode::readv, Opcode::read_fixed, Opcode::readv_fixed}) &&
           op_.offset != UINT64_MAX && op_.time(At::kernel_waits) == unseen;
  }

  Explanation of_wait(const Part& part) {
    if (part.when.length() < short_time) return usual(part);
    switch (static_cast<WaitFor>(op_.waits_for)) {
      case WaitFor::mutex:
        return {Cause::lock_held,
                sentence(part, " for a mutex that another coroutine held" + who_let_go(part))};
      case WaitFor::channel_room:
        return {Cause::channel_full,
                sentence(part, " for room in a channel: it was full" + who_let_go(part))};
      case WaitFor::semaphore:
        return {Cause::pool_exhausted,
                sentence(part, " for a semaphore: others had all its permits" + who_let_go(part))};
      case WaitFor::pool:
        return of_pool(part);
      case WaitFor::task:
        return {Cause::nothing_unusual,
                "Nothing unusual: " + sentence(part, " for the end of " + joined(part))};
      case WaitFor::join:
        return {Cause::nothing_unusual, "Nothing unusual: " + sentence(part, " for the end of a group")};
      default:
        return usual(part);
    }
  }

  /// Names the task whose end was awaited, and what that did for longest meanwhile.
  [[nodiscard]] std::string joined(const Part& part) const {
    if (op_.joined == 0) return "a task";
    const Operation* longest = nullptr;
    Ns most = 0;
    for (const Operation& other : trace_.operations) {
      if (other.begin() > part.when.to + late_end) break;  // they are in the order in which they began
      const Ns common = other.task == op_.joined ? part.when.common(other.begin(), other.end()) : 0;
      if (common > most) most = common, longest = &other;
    }
    const std::string name = trace_.name_of_task(op_.joined);
    if (longest == nullptr) return name;
    return name + ", which spent " + duration_text(most) + " of it in " +
           std::string(name_of_operation(*longest)) + " " + std::to_string(longest->number);
  }

  /// Names the coroutine that ran right before this one was let go on.
  [[nodiscard]] std::string who_let_go(const Part& part) const {
    const auto spans = worker_.spans_in({part.when.from, part.when.to});
    for (auto at = spans.rbegin(); at != spans.rend(); ++at) {
      if (at->what != Span::What::run || at->task == op_.task) continue;
      return "; " + trace_.name_of_place(at->place) + " let it go on";
    }
    return "";
  }

  Explanation of_pool(const Part& part) {
    const Ns began = op_.time(At::popped);
    const Ns waited = began == unseen ? 0 : began - part.when.from;
    if (waited < short_time || 2 * waited < part.when.length())
      return {Cause::nothing_unusual,
              "Nothing unusual: " + sentence(part, " for its function on a pool's thread")};
    return {Cause::pool_exhausted, head() + "waited " + duration_text(waited) + " of " +
                                       duration_text(all()) +
                                       " for a thread of its pool: all of them were busy."};
  }

  // ---- what the worker did meanwhile ----

  /// Returns why the worker did not get to this operation in the stretch; nothing if that is not recorded.
  std::optional<Explanation> by_worker(Stretch when) {
    if (when.length() <= 0) return std::nullopt;
    const auto run = worker_.longest_run(when, 0);
    if (run && 2 * when.common(run->begin, run->end) >= when.length()) return by_run(*run);
    const Ns ran = worker_.spent(Span::What::run, when);
    if (2 * ran >= when.length()) return by_others(when, ran);
    return by_starving(when);
  }

  std::optional<Explanation> by_starving(Stretch when) const {
    const auto lost = worker_.lost_time(when);
    const bool starved = lost && 2 * lost->without_a_processor >= when.length() &&
                         lost->without_a_processor >= short_time_in_kernel;
    if (!starved) return std::nullopt;
    return Explanation{Cause::run_queue_delay, worker_.name() + " had no processor for " +
                                                   duration_text(lost->without_a_processor) +
                                                   ": other threads had it"};
  }

  [[nodiscard]] std::string was_running(const Span& run) const {
    return worker_.name() + " was running " + trace_.name_of_place(run.place) + of_named_task(run) + " for " +
           duration_text(run.end - run.begin);
  }

  [[nodiscard]] std::string of_named_task(const Span& run) const {
    const TaskLife* const life = trace_.task(run.task);
    const std::string name = trace_.given_name(run.task);
    return name.empty() || life->place == run.place ? "" : " of the task " + name;
  }

  Explanation by_run(const Span& run) {
    const auto lost = worker_.lost_time({run.begin, run.end});
    const Ns off = lost ? lost->blocked + lost->without_a_processor : 0;
    const std::string_view doubt = lost ? "" : " (whether it computed all that time was not recorded)";
    if (2 * off < run.end - run.begin) return {Cause::long_task, was_running(run) + std::string(doubt)};
    if (lost->without_a_processor >= lost->blocked)
      return {Cause::run_queue_delay, was_running(run) + ", and had no processor for " +
                                          duration_text(lost->without_a_processor) + " of it"};
    return {Cause::blocking_call, was_running(run) + ", and for " + duration_text(lost->blocked) +
                                      " of it stood still in a call that blocks"};
  }

  Explanation by_others(Stretch when, Ns ran) {
    const std::string others = worker_.name() + " ran others for " + duration_text(ran) + ", " +
                               std::to_string(worker_.runs(when)) + " times";
    if (const std::string storm = storm_in(when); !storm.empty())
      return {Cause::retry_storm, others + "; " + storm};
    if (const std::string idle = idle_acceptor(when); !idle.empty())
      return {Cause::accept_imbalance, others + "; " + idle};
    return {Cause::queued_behind_others, others};
  }

  /// Most of what ended on this worker in the stretch had failed.
  [[nodiscard]] std::string storm_in(Stretch when) const {
    constexpr std::size_t many = 10;
    std::size_t ended = 0, failed = 0;
    int error = 0;
    for (const Operation& other : trace_.operations) {
      const Ns at = other.time(At::resumed);
      if (other.thread != op_.thread || at == unseen || at < when.from || at > when.to) continue;
      ++ended;
      if (other.result >= 0 || other.result == -ECANCELED) continue;
      ++failed;
      error = -other.result;
    }
    if (failed < many || 2 * failed < ended) return "";
    return std::to_string(failed) + " of " + std::to_string(ended) + " operations failed, the last with " +
           std::strerror(error);
  }

  /// This worker accepts most connections, and another worker slept.
  [[nodiscard]] std::string idle_acceptor(Stretch when) const {
    constexpr std::uint64_t many = 8;
    std::vector<std::uint64_t> accepted(trace_.spans.size());
    std::uint64_t sum = 0;
    for (const Operation& other : trace_.operations) {
      if (!is_any_of(other, {Opcode::accept}) || other.thread >= accepted.size()) continue;
      accepted[other.thread] += other.result >= 0 ? other.completions : 0;
      sum += other.result >= 0 ? other.completions : 0;
    }
    if (sum < many || op_.thread >= accepted.size() || 4 * accepted[op_.thread] < 3 * sum) return "";
    for (std::uint32_t i = 0; i < accepted.size(); ++i) {
      const Evidence other(trace_, i);
      if (i == op_.thread || !other.has_loop()) continue;
      if (2 * other.spent(Span::What::asleep, when) < when.length()) continue;
      return "it took " + std::to_string(accepted[op_.thread]) + " of " + std::to_string(sum) +
             " connections, and " + other.name() + " slept";
    }
    return "";
  }

  const Trace& trace_;
  const Operation& op_;
  Evidence worker_;
  std::vector<Part> parts_;
};

}  // namespace

Explanation explain(const Trace& trace, const Operation& operation) {
  return is_foreign(operation) ? explain_foreign(trace, operation) : Explainer(trace, operation).explain();
}

std::string why_captured(const Trace& trace, const Operation& operation) {
  using corering::trace::KeptFor;
  if (!operation.was_kept) return "";
  for (const TimedEvent& mark : trace.marks_of(operation.thread)) {
    if (mark.kind != Kind::kept || mark.id != operation.number) continue;
    const bool failed = mark.opcode == static_cast<std::uint8_t>(KeptFor::failed);
    return std::string("It was captured, because it ") + (failed ? "failed" : "was slow") + ".\n";
  }
  return "";
}

// The task that spawned it, the one that spawned that, and so on.
std::string descent_of(const Trace& trace, std::uint64_t task) {
  constexpr int most = 8;
  std::string text;
  const TaskLife* life = trace.task(task);
  for (int i = 0; life != nullptr && i < most; ++i) {
    text += (i == 0 ? "Task " : ", by task ") + std::to_string(Trace::number_of_task(task)) +
            (i == 0 ? " was spawned at " : ": ") + trace.name_of_place(life->place);
    task = life->parent;
    life = trace.task(task);
  }
  return text.empty() ? "" : text + ".\n";
}

std::string_view name_of(Cause cause) noexcept {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Cause::count_)> names = {
      "nothing unusual", "unfinished",       "long task",      "blocking call",   "run-queue delay",
      "queued",          "accept imbalance", "retry storm",    "helper thread",   "page-cache miss",
      "slow sync",       "lock held",        "channel full",   "no buffers",      "CQ overflow",
      "late timer",      "slow peer",        "SQ full",        "cancelled late",  "inherited deadline",
      "deadline",        "cancelled",        "pool exhausted", "stop in progress"};
  return names[static_cast<std::size_t>(cause)];
}

std::string duration_text(Ns ns) {
  std::array<char, 32> text{};
  if (ns < 1000) {
    std::snprintf(text.data(), text.size(), "%lld ns", static_cast<long long>(ns));
  } else {
    const bool in_us = ns < 1'000'000, in_ms = ns < 1'000'000'000;
    const double value = static_cast<double>(ns) / (in_us ? 1e3 : in_ms ? 1e6 : 1e9);
    std::snprintf(text.data(), text.size(), value < 10 ? "%.1f %s" : "%.0f %s", value,
                  in_us   ? "µs"
                  : in_ms ? "ms"
                          : "s");
  }
  return text.data();
}

}  // namespace iotrace
