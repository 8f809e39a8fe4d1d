/// join.cpp — to which operation each event belongs.
#include "join.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include <corering/uring/uapi.hpp>

namespace iotrace {

using corering::trace::Kind;

namespace {

constexpr std::uint64_t tag_bits = 7;
constexpr std::uint64_t many_tag = 3;  // of a request that is answered many times

// The kernel's clock and the recorder's agree to about this much.
constexpr Ns clock_slack = 2000;

bool begins_an_operation(Kind kind) {
  return kind == Kind::await || kind == Kind::wait_begins || kind == Kind::read_now;
}

std::size_t index_of(At moment) { return static_cast<std::size_t>(moment); }

void note(Operation& operation, At moment, Ns ns) { operation.at[index_of(moment)] = ns; }
void note_first(Operation& operation, At moment, Ns ns) {
  if (operation.time(moment) == unseen) note(operation, moment, ns);
}

/// Returns the id that is meant by the kernel's or the emulation's user_data; 0 if it is none of ours.
std::uint64_t id_of_user_data(std::uint64_t user_data) {
  const std::uint64_t tag = user_data & tag_bits;
  return tag == 0 || tag == many_tag ? (user_data - tag) & corering::trace::Event::id_mask : 0;
}

bool has_only_what_the_kernel_told(const corering::trace::ThreadRecording& thread) {
  return std::ranges::all_of(thread.events, [](const corering::trace::TimedEvent& event) {
    return event.kind >= Kind::kernel_began && event.kind <= Kind::cpu_on;
  });
}

}  // namespace

Join::Join(Trace& trace) : trace_(trace) {
  const std::size_t count = trace.recording.threads.size();
  for (std::uint32_t i = 0; i < count; ++i) threads_.emplace_back(i);
  is_stranger_ = std::ranges::all_of(trace.recording.threads, has_only_what_the_kernel_told);
  trace_.marks.resize(count);
  trace_.spans.resize(count);
  count_room();
}

// What is reserved too much is never touched, so it takes no memory.
void Join::count_room() {
  std::size_t operations = 0;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    std::size_t begun = 0;
    for (const Event& event : trace_.recording.threads[i].events) begun += begins_an_operation(event.kind);
    operations += begun;
    threads_[i].cutter.reserve(trace_.recording.threads[i].events.size() / 2);
  }
  trace_.operations.reserve(operations + operations / 8 + 1024);
}

std::uint32_t Join::add(std::uint64_t id) {
  const auto index = static_cast<std::uint32_t>(trace_.operations.size());
  Operation& operation = trace_.operations.emplace_back();
  operation.number = index + 1;
  operation.id = id;
  const auto [known, is_new] = by_id_.try_emplace(id, index);
  before_.push_back(is_new ? none : std::exchange(known->second, index));
  return index;
}

std::uint32_t Join::find(std::uint64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? none : found->second;
}

std::uint32_t Join::find_or_add(std::uint64_t id, At moment) {
  const std::uint32_t index = find(id);
  if (index == none) return add(id);
  const Operation& operation = trace_.operations[index];
  const bool had_it = operation.time(moment) != unseen || operation.time(At::resumed) != unseen;
  return had_it ? add(id) : index;
}

/// Begins an operation, or goes on with the hop that brought its coroutine here.
std::uint32_t Join::begin(std::uint32_t thread, const Event& event) {
  const std::uint32_t hop = std::exchange(threads_[thread].arrived, none);
  const std::uint32_t index = hop != none ? hop : add(event.id);
  Operation& operation = at(index);
  if (hop == none) {
    note(operation, At::awaited, event.ns);
    operation.caller = thread;
  } else {
    const std::uint32_t before = find(event.id);
    before_[hop] = before < hop ? before : none;  // so that no chain has a circle
    by_id_[event.id] = hop;
    operation.id = event.id;
    operation.has_ended = false;
  }
  note(operation, At::begun, event.ns);
  operation.thread = thread;
  return index;
}

void Join::await(std::uint32_t thread, const Event& event) {
  const bool is_hop =
      event.opcode == corering::trace::no_opcode || event.opcode == corering::trace::hop_of_operation;
  // When the page cache did not have it, the operation has begun with asking.
  std::uint32_t asked = is_hop ? none : find(event.id);
  if (asked != none && (!at(asked).missed_cache || at(asked).time(At::filled) != unseen)) asked = none;
  const std::uint32_t index = asked != none ? asked : begin(thread, event);
  Operation& operation = at(index);
  if (is_hop) {
    note(operation, At::begun, unseen);
    operation.thread = no_thread;
    operation.waits_for = event.opcode == corering::trace::hop_of_operation
                              ? Operation::waits_for_what_follows
                              : Operation::waits_for_nothing;
  } else {
    operation.opcode = event.opcode;
    operation.waits_for = Operation::waits_for_nothing;
  }
  operation.task = task_of(event.a);
  if (operation.place == 0) operation.place = event.b;
}

void Join::wait_begins(std::uint32_t thread, const Event& event) {
  Operation& operation = at(begin(thread, event));
  operation.waits_for = event.opcode;
  operation.task = task_of(event.a);
  if (operation.place == 0) operation.place = event.b;
  const bool sleeps = event.opcode == static_cast<std::uint8_t>(corering::trace::WaitFor::time);
  threads_[thread].sleeper = sleeps ? static_cast<std::uint32_t>(operation.number - 1) : none;
}

void Join::wait_ends(std::uint32_t thread, const Event& event) {
  Operation& operation = at(find_or_add(event.id, At::resumed));
  note(operation, At::resumed, event.ns);
  if (operation.waits_for == Operation::waits_for_nothing) operation.waits_for = event.opcode;
  operation.thread = thread;
  operation.result = event.a != 0 ? 0 : -ECANCELED;
  operation.has_ended = true;
}

void Join::joins(const Event& event) {
  const std::uint32_t index = find(event.id);
  if (index != none && at(index).time(At::resumed) == unseen) at(index).joined = task_of(event.a);
}

// A sleep arms its timer right after it begins. Deadlines have timers, too, which belong to no operation.
void Join::timer(std::uint32_t thread, const Event& event) {
  if (event.kind == Kind::timer_armed) {
    const std::uint32_t index = std::exchange(threads_[thread].sleeper, none);
    if (index == none) return;
    note(at(index), At::filled, event.ns);
    at(index).offset = event.a;
    sleepers_[event.id] = index;
    return;
  }
  const auto found = sleepers_.find(event.id);
  if (found == sleepers_.end()) return;
  note(at(found->second), At::kernel_ready, event.ns);
  sleepers_.erase(found);
}

// If it has what was asked for, `resumed` follows; otherwise `await`.
void Join::read_now(std::uint32_t thread, const Event& event) {
  Operation& operation = at(begin(thread, event));
  operation.opcode = event.opcode;
  operation.waits_for = Operation::waits_for_nothing;
  operation.missed_cache = true;
  operation.fd = static_cast<std::int32_t>(event.a >> 32);
  operation.length = static_cast<std::uint32_t>(event.a);
  if (operation.place == 0) operation.place = event.b;
}

void Join::filled(std::uint32_t thread, const Event& event) {
  const std::uint32_t index = find_or_add(event.id, At::filled);
  Operation& operation = at(index);
  note(operation, At::filled, event.ns);
  operation.opcode = event.opcode;
  operation.fd = static_cast<std::int32_t>(event.a >> 32);
  operation.length = static_cast<std::uint32_t>(event.a);
  operation.offset = corering::trace::offset_of(event.b);
  operation.sqe_flags = static_cast<std::uint8_t>(event.b >> 56);
  operation.thread = thread;
  threads_[thread].filled.push_back(index);
}

void Join::processed(std::uint32_t thread, const Event& event) {
  if ((event.id & tag_bits) != 0 || event.id == 0) return;  // the loop's own requests
  std::uint32_t index = find(event.id);
  if (index == none || at(index).time(At::resumed) != unseen) index = add(event.id);
  Operation& operation = at(index);
  note(operation, At::returned, threads_[thread].last_return);
  note(operation, At::processed, event.ns);
  operation.result = static_cast<std::int32_t>(event.a >> 32);
  operation.cqe_flags = static_cast<std::uint32_t>(event.a);
  operation.thread = thread;
  ++operation.completions;
  operation.has_ended = (operation.cqe_flags & corering::uapi::cqe_more) == 0;
}

void Join::resumed(std::uint32_t thread, const Event& event) {
  Operation& operation = at(find_or_add(event.id, At::resumed));
  note(operation, At::resumed, event.ns);
  if (operation.opcode == corering::trace::no_opcode) operation.opcode = event.opcode;
  if (operation.time(At::filled) == unseen && operation.completions == 0)
    operation.result = static_cast<std::int32_t>(event.a);
  if (operation.completions == 0 && operation.time(At::submitted) == unseen) operation.missed_cache = false;
  operation.thread = thread;
  operation.has_ended = true;
}

// ---- hops ----

void Join::pushed(std::uint32_t thread, const Event& event) {
  std::uint32_t index = find(event.id);
  const bool is_awaited = index != none && at(index).time(At::pushed) == unseen &&
                          at(index).time(At::resumed) == unseen && !at(index).is_post &&
                          at(index).time(At::awaited) != unseen;
  if (!is_awaited) {
    index = add(event.id);
    at(index).is_post = true;
    at(index).caller = thread;
  }
  note(at(index), At::pushed, event.ns);
  if (at(index).task == 0) at(index).task = task_of(event.a);
}

void Join::popped(std::uint32_t thread, const Event& event) {
  Operation& operation = at(find_or_add(event.id, At::popped));
  note(operation, At::popped, event.ns);
  operation.thread = thread;
  operation.has_ended = operation.is_post;
  if (operation.task == 0) operation.task = task_of(event.a);
  const Ns woken = threads_[thread].last_woken;
  if (operation.was_woken_for && woken > operation.time(At::pushed)) note(operation, At::woken, woken);
}

void Join::take_of_hop(std::uint32_t thread, const Event& event) {
  if (event.kind == Kind::pushed) return pushed(thread, event);
  if (event.kind == Kind::popped) return popped(thread, event);
  if (event.kind == Kind::resumed_on_worker) {
    const std::uint32_t index = find_or_add(event.id, At::on_worker);
    Operation& operation = at(index);
    note(operation, At::on_worker, event.ns);
    operation.thread = thread;
    operation.has_ended = true;
    if (operation.task == 0) operation.task = task_of(event.a);
    if (operation.waits_for == Operation::waits_for_what_follows) threads_[thread].arrived = index;
    return;
  }
  const std::uint32_t index = find(event.id);
  if (index != none) at(index).was_woken_for = true;
}

// ---- tasks ----

std::uint64_t Join::task_of(std::uint64_t address) const {
  const auto found = tasks_.find(address);
  return found == tasks_.end() ? address : recorded_task | found->second;
}

// A member knows its owner's task. Any other task was spawned by the one that ran here.
void Join::spawned(std::uint32_t thread, const Event& event) {
  const std::uint64_t parent = event.a != 0 ? task_of(event.a) : threads_[thread].cutter.running();
  tasks_[event.id] = static_cast<std::uint32_t>(trace_.tasks.size());
  trace_.tasks.push_back({.address = event.id, .place = event.b, .parent = parent, .spawned = event.ns});
  take_mark(thread, event);
  threads_[thread].cutter.take(event, task_of(event.id), event.b);
}

// ---- the loop ----

// The kernel took as many SQEs as it says, and the others go with the next call.
void Join::returned(Thread& thread, const Event& event) {
  const auto taken = static_cast<std::int64_t>(event.a);
  const std::uint64_t left =
      taken < 0 ? thread.handed : thread.handed - std::min<std::uint64_t>(taken, thread.handed);
  const std::size_t keep = std::min<std::size_t>(left, thread.filled.size());
  thread.filled.erase(thread.filled.begin(), thread.filled.end() - static_cast<std::ptrdiff_t>(keep));
  for (const std::uint32_t index : thread.filled) note(at(index), At::submitted, unseen);
  thread.handed = 0;
  thread.last_return = event.ns;
  if (event.kind == Kind::woken) thread.last_woken = event.ns;
}

void Join::take_of_loop(Thread& thread, const Event& event) {
  if (event.kind != Kind::submitted) return returned(thread, event);
  thread.handed = event.a;
  for (const std::uint32_t index : thread.filled) note(at(index), At::submitted, event.ns);
}

void Join::take_mark(std::uint32_t thread, const Event& event) {
  Event mark = event;
  if (event.kind == Kind::cancel_asked) {
    const std::uint32_t index = find(event.id);
    if (index == none || at(index).time(At::resumed) != unseen) return;
    at(index).was_cancelled = true;
    mark.id = index + 1;
  }
  if (event.kind == Kind::kept) {
    const std::uint32_t index = find_kept(event);
    if (index != none) kept(at(index), event);
    mark.id = index != none ? index + 1 : 0;
  }
  trace_.marks[thread].push_back(mark);
}

// A later operation may have the same address by now, but that is not answered in the turn in which it
// begins. What was over before `since` is not meant.
std::uint32_t Join::find_kept(const Event& event) const {
  if (event.opcode == static_cast<std::uint8_t>(corering::trace::KeptFor::waited))
    return find_kept_wait(event);
  const auto since = static_cast<Ns>(event.b >> 1);
  const std::uint32_t newest = find(event.id);
  for (std::uint32_t one = newest; one != none; one = before_[one]) {
    const Operation& operation = trace_.operations[one];
    const Ns resumed = operation.time(At::resumed);
    if (operation.id != event.id || (resumed != unseen && resumed < since)) break;
    if (operation.time(At::processed) != unseen) return one;
  }
  return newest;
}

// It is the one that began then. Later ones in the same turn may have the same address.
std::uint32_t Join::find_kept_wait(const Event& event) const {
  const auto since = static_cast<Ns>(event.b >> 1);
  std::uint32_t best = none;
  Ns least = 0;
  for (std::uint32_t one = find(event.id); one != none; one = before_[one]) {
    const Operation& operation = trace_.operations[one];
    const Ns resumed = operation.time(At::resumed);
    if (operation.id != event.id || (resumed != unseen && resumed < since)) break;
    if (operation.waits_for == Operation::waits_for_nothing || resumed == unseen) continue;
    const Ns off = std::abs(operation.begin() - since);
    if (best == none || off < least) best = one, least = off;
  }
  return best;
}

// If it took so long that its begin was overwritten meanwhile, the capture still knows when that was.
void Join::kept(Operation& operation, const Event& event) {
  operation.was_kept = true;
  if (operation.time(At::filled) == unseen) note_first(operation, At::awaited, static_cast<Ns>(event.b >> 1));
}

// Nobody knows what happened here. An address that comes again may be that of another operation.
void Join::gap(std::uint32_t thread, const Event& event) {
  std::erase_if(by_id_, [&](const auto& known) {
    const Operation& operation = at(known.second);
    return operation.id != event.id && (operation.thread == thread || operation.caller == thread);
  });
  Thread& state = threads_[thread];
  state.filled.clear();
  state.handed = 0;
  state.last_return = state.last_woken = unseen;
  state.sleeper = state.arrived = none;
  state.cutter.stop();
}

// ---- the kernel lane ----

void Join::note_in_kernel(std::uint32_t index, At moment, const Event& event, std::uint64_t answer) {
  Operation& operation = at(index);
  if (moment == At::kernel_ended) {
    note(operation, moment, event.ns);  // the last one counts
    if (operation.completions == 0) operation.result = static_cast<std::int32_t>(answer >> 32);
  } else {
    note_first(operation, moment, event.ns);
  }
}

// A program that is not built with corering. Its requests are the operations.
void Join::take_of_stranger(std::uint32_t thread, const Event& event, At moment) {
  if (event.id == 0) return;
  if (moment == At::kernel_began) {
    const std::uint32_t made = add(event.a & corering::trace::Event::id_mask);
    at(made).thread = thread;
    at(made).opcode = event.opcode;
    at(made).sqe_flags = static_cast<std::uint8_t>(event.b >> 56);
    by_request_[event.id] = made;
  }
  const auto found = by_request_.find(event.id);
  if (found == by_request_.end()) return;
  note_in_kernel(found->second, moment, event, event.b);
  if (moment != At::kernel_ended) return;
  Operation& operation = at(found->second);
  ++operation.completions;
  operation.cqe_flags = static_cast<std::uint32_t>(event.b);
  operation.has_ended = (operation.cqe_flags & corering::uapi::cqe_more) == 0;
}

void Join::take_of_kernel(std::uint32_t thread, const Event& event) {
  trace_.has_kernel_lane = true;
  const bool is_emulated = event.kind <= Kind::emulation_posted;
  static constexpr std::array<At, 4> of_emulation = {At::kernel_began, At::kernel_waits, At::kernel_lent,
                                                     At::kernel_ended};
  static constexpr std::array<At, 6> of_kernel = {At::kernel_began, At::kernel_waits, At::kernel_lent,
                                                  At::kernel_ready, At::kernel_ended, At::kernel_ended};
  const auto step = static_cast<std::size_t>(event.kind) -
                    static_cast<std::size_t>(is_emulated ? Kind::emulation_took : Kind::kernel_began);
  const At moment = is_emulated ? of_emulation[step] : of_kernel[step];
  if (is_stranger_) return take_of_stranger(thread, event, moment);
  std::uint32_t index = none;
  if (!is_emulated && event.id != 0) {
    // The request's memory is used again: each beginning is of a new one.
    if (const auto found = by_request_.find(event.id);
        found != by_request_.end() && moment != At::kernel_began)
      index = found->second;
  }
  if (index == none) {
    index = find(id_of_user_data(is_emulated ? event.id : event.a));
    if (index == none) return;
    const Operation& operation = at(index);
    const Ns over = operation.time(At::processed);
    const bool fits = over == unseen || event.ns <= over + clock_slack || !operation.has_ended;
    if (!fits) return;
    if (!is_emulated && event.id != 0 && moment == At::kernel_began) by_request_[event.id] = index;
  }
  note_in_kernel(index, moment, event, is_emulated ? event.a : event.b);
}

// ---- all of them ----

void Join::take_of_operation(std::uint32_t thread, const Event& event) {
  switch (event.kind) {
    case Kind::await:
      return await(thread, event);
    case Kind::wait_begins:
      return wait_begins(thread, event);
    case Kind::wait_ends:
      return wait_ends(thread, event);
    case Kind::read_now:
      return read_now(thread, event);
    case Kind::sqe_filled:
      return filled(thread, event);
    case Kind::processed:
      return processed(thread, event);
    case Kind::resumed:
      return resumed(thread, event);
    case Kind::parked:
      return note_first(at(find_or_add(event.id, At::parked)), At::parked, event.ns);
    default:
      return timer(thread, event);
  }
}

void Join::take(std::uint32_t thread, const Event& event) {
  switch (event.kind) {
    case Kind::await:
    case Kind::wait_begins:
    case Kind::wait_ends:
    case Kind::read_now:
    case Kind::sqe_filled:
    case Kind::processed:
    case Kind::resumed:
    case Kind::parked:
    case Kind::timer_armed:
      take_of_operation(thread, event);
      break;
    case Kind::timer_fired:
      take_of_operation(thread, event);
      take_mark(thread, event);
      break;
    case Kind::pushed:
    case Kind::popped:
    case Kind::resumed_on_worker:
    case Kind::wake_written:
      take_of_hop(thread, event);
      break;
    case Kind::submitted:
    case Kind::entered:
    case Kind::woken:
      take_of_loop(threads_[thread], event);
      break;
    case Kind::emulation_took:
    case Kind::emulation_waits:
    case Kind::emulation_lent:
    case Kind::emulation_posted:
    case Kind::kernel_began:
    case Kind::kernel_waits:
    case Kind::kernel_lent:
    case Kind::kernel_ready:
    case Kind::kernel_ended:
    case Kind::kernel_overflow:
      return take_of_kernel(thread, event);
    case Kind::spawned:
      spawned(thread, event);
      return;
    case Kind::cancel_asked:
    case Kind::cq_overflowed:
    case Kind::stopping:
    case Kind::cpu_used:
    case Kind::cpu_off:
    case Kind::cpu_on:
    case Kind::remark:
    case Kind::kept:
      take_mark(thread, event);
      break;
    case Kind::joins:
      return joins(event);
    case Kind::gap:
      return gap(thread, event);
    case Kind::suspended:
      take_suspension(event);
      break;
    default:
      return;
  }
  const std::uint32_t index = find(event.id);
  const bool is_known = event.kind != Kind::submitted && index != none;
  const std::uint64_t task = is_known ? at(index).task : 0;
  const TaskLife* const life = event.kind == Kind::popped ? trace_.task(task) : nullptr;
  threads_[thread].cutter.take(event, task, life != nullptr ? life->place : is_known ? at(index).place : 0);
}

void Join::take_suspension(const Event& event) {
  if (const std::uint32_t index = find(event.id); index != none)
    note_first(at(index), At::suspended, event.ns);
}

// A hop whose operation never began stands for itself.
void Join::finish() {
  for (Operation& operation : trace_.operations) {
    if (operation.waits_for == Operation::waits_for_what_follows)
      operation.waits_for = Operation::waits_for_nothing;
  }
  for (std::size_t i = 0; i < threads_.size(); ++i) trace_.spans[i] = threads_[i].cutter.finish();
}

}  // namespace iotrace
