/// loop.cpp — one turn of the loop, and its steps.
#include "engine/loop.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <corering/base/pause.hpp>
#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>

#include "trace/probes.hpp"

namespace corering {
namespace {

using trace::Kind;

void record(Kind kind, const void* id, std::uint64_t a = 0) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(kind, trace::no_opcode, id, a);
}

[[noreturn]] void fail_enter(int errno_value) noexcept {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), "io_uring_enter failed for good with %s%s",
                strerrorname_np(errno_value),
                errno_value == EEXIST ? ": a ring cannot be used after fork() or from another thread" : "");
  fail_assertion("the ring can be entered", text.data(), std::source_location::current());
}

}  // namespace

using namespace detail;

// ---- which loop is this? ----

namespace {
struct NoLoop : LoopFront {
  constexpr NoLoop() noexcept : LoopFront(Nobody()) {}
};
constinit NoLoop no_loop;  // nobody ever writes to it
}  // namespace

// initial-exec: it is found without a call, also from position-independent code. Outside of this file,
// CORERING_THREAD_WORD reads it, and optimisation at link time does not see that: hence "used".
[[gnu::tls_model("initial-exec")]] extern constinit thread_local LoopFront* current_front __asm__(
    "corering_front");
[[gnu::used, gnu::tls_model("initial-exec")]] constinit thread_local LoopFront* current_front = &no_loop;

[[gnu::noinline]] LoopFront& here::find_front() noexcept { return *current_front; }

Loop::Running::Running(Loop& loop) noexcept : outer_(current_front) { enter(&loop); }
Loop::Running::~Running() { enter(outer_); }
[[gnu::noinline]] void Loop::Running::enter(LoopFront* front) noexcept {
  current_front = front;
  thread_word_written();
}

Loop::Loop(LoopOptions options) noexcept
    : LoopFront(*this),
      options_(std::move(options)),
      kernel_(*options_.kernel),
      spinner_(kernel_.is_worth_watching() ? options_.spin_before_sleep : Duration::zero()),
      mailbox_(kernel_, this) {}

Loop::~Loop() {
  CORERING_ASSERT(!is_attached(), "a worker was destroyed while its loop was still alive");
  delete times_.load(std::memory_order_relaxed);
}

// ---- sleep ----

[[gnu::always_inline]] inline std::optional<Duration> Loop::time_to_sleep(
    std::optional<Duration> patience) const noexcept {
  std::optional<Duration> limit = patience;
  const auto shorten = [&limit](Duration to) { limit = limit ? std::min(*limit, to) : to; };
  if (!timers_.empty()) {
    const TimePoint now = kernel_.now();
    shorten(timers_.next_deadline() <= now ? Duration::zero() : timers_.next_deadline() - now);
  }
  if (!is_unsettled()) [[likely]]
    return limit;
  if (!parked_.empty()) return Duration::zero();
  if (cancels_.needs_attention()) shorten(cancels_.until_due(kernel_.now()));
  if (stopping_) shorten(std::max(patience_ends_ - kernel_.now(), Duration::zero()));
  return limit;
}

[[gnu::always_inline]] inline void Loop::note_enter(bool may_sleep) noexcept {
  if (trace::counts()) [[unlikely]]
    observe_enter(may_sleep);
  (may_sleep ? counters_.sleeps : counters_.peeks).add();
}

[[gnu::always_inline]] inline void Loop::note_return(trace::Kind kind, int result) noexcept {
  if (trace::enabled()) [[unlikely]]
    observe_return(kind, result);
  note_enter_result(result);
}

void Loop::hand_over() noexcept {
  if (trace::enabled()) [[unlikely]]
    record_call(trace::stamp(), false);
  counters_.peeks.add();
  note_return(Kind::entered, ring_.submit());
  returned_ = 0;  // the turn goes on
}

[[gnu::noinline]] int Loop::submit_and_wait_for_timer(Duration limit) noexcept {
  if (!timers_.empty()) wait_is_due_ = timers_.next_deadline();
  return ring_.submit_and_wait(limit);
}

// Sleeps, unless something to do has come in the meantime.
[[gnu::always_inline]] inline void Loop::sleep(std::optional<Duration> limit) noexcept {
  if (!(mailbox_.is_wake_read_armed() || arm_wake_read()) || !mailbox_.queue().fall_asleep()) [[unlikely]]
    return peek();
  note_enter(true);
  const int result = limit ? submit_and_wait_for_timer(*limit) : ring_.submit_and_wait(std::nullopt);
  mailbox_.queue().wake_up();
  turns_until_clock_ = 0;
  note_return(Kind::woken, result);
}

[[gnu::always_inline]] inline void Loop::peek() noexcept {
  // What comes without being asked for (messages of other rings, the wake-up) shows as task work.
  if (in_flight_ == 0 && cancels_.asked() == 0 && closes_in_flight_ == 0 && ring_.unsubmitted() == 0 &&
      !ring_.has_task_work())
    return counters_.skipped.add();
  note_enter(false);
  note_return(Kind::entered, ring_.submit_and_peek());
}

[[gnu::always_inline]] inline void Loop::wait(std::optional<Duration> limit) noexcept {
  if (!spinner_.is_on()) return sleep_and_learn(limit);
  peek();
  if (!ring_.has_cqes()) [[unlikely]]
    watch(limit);
}

[[gnu::noinline]] void Loop::sleep_and_learn(std::optional<Duration> limit) noexcept {
  if (!spinner_.may_be_on()) return sleep(limit);
  const TimePoint begin = kernel_.now();
  sleep(limit);
  const Duration slept = kernel_.now() - begin;
  if (!limit || slept < *limit) spinner_.slept(slept);  // our own timer says nothing about the others
}

// Nothing has come yet, but lately something came soon. If we know when the next thing comes, it is not worth
// watching for.
[[gnu::noinline]] void Loop::watch(std::optional<Duration> limit) noexcept {
  turns_until_clock_ = 0;
  if (limit && *limit <= spinner_.budget()) return sleep(limit);
  const TimePoint begin = kernel_.now();
  Duration spent{};
  do {
    if (!mailbox_.queue().empty() || ring_.has_cqes()) return spinner_.found();
    if (ring_.has_task_work()) peek();
    pause_processor();
    spent = kernel_.now() - begin;
  } while (spent < spinner_.budget());
  spinner_.found_nothing();
  if (limit && *limit <= spent) return peek();
  sleep(limit ? std::optional(*limit - spent) : limit);
}

[[gnu::noinline]] void Loop::note_enter_error(int result) noexcept {
  switch (-result) {
    case EINTR:
    case ETIME:
      return;
    case EAGAIN:
    case EBUSY:
    case ENOMEM:  // only for now; the SQEs stay where they are and go with the next enter
      short_of_memory_ = true;
      counters_.failed_enters.add();
      return;
    default:
      fail_enter(-result);
  }
}

// ---- what a turn consists of ----

[[gnu::always_inline]] inline void Loop::submit(std::optional<Duration> patience) noexcept {
  if (is_unsettled()) [[unlikely]]
    settle();
  if (!ready_.empty()) return peek();
  const std::optional<Duration> limit = time_to_sleep(patience);
  if (limit && *limit <= Duration::zero()) return peek();
  wait(limit);
}

void Loop::settle() noexcept {
  if (short_of_memory_ && ready_.empty()) kernel_.nap(memory_nap);
  if (stopping_ && kernel_.now() >= patience_ends_) lose_patience();
  if (cancels_.needs_attention()) {
    cancels_.look(kernel_.now());
    ask_kernel_to_cancel();
  }
  unpark();
}

[[gnu::always_inline]] inline void Loop::count_failed(const Completion& completion) noexcept {
  count(failed_[completion.head_ & last_kind]);
}

// Files one reply of an operation that gets only one: nearly every completion is like that.
[[gnu::always_inline]] inline void Loop::file_plain(const Cqe& cqe, ReadyQueue::Batch& ready) noexcept {
  static_assert(offsetof(Reply, res) == 0 && offsetof(Reply, flags) == 4 &&
                offsetof(Cqe, flags) == offsetof(Cqe, res) + 4);
  auto& completion = *reinterpret_cast<Completion*>(cqe.user_data);
  if (completion.state_ != Completion::State::in_flight) [[unlikely]] {
    file_rare(completion, cqe);
  } else {
    std::memcpy(static_cast<void*>(&completion.reply_), &cqe.res, sizeof cqe.res + sizeof cqe.flags);
  }
  completion.state_ = Completion::State::answered;
  __builtin_prefetch(completion.waiter_.address());  // its turn comes when the whole batch is filed
  ready.push(completion.waiter_);
}

namespace {

/// Ends the program: going on would write to memory that belongs to somebody else.
[[noreturn, gnu::noinline]] void fail_unknown(const Cqe& cqe) noexcept {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(),
                "the kernel answered a request that is not in flight (user_data 0x%llx, res %d, flags 0x%x)",
                static_cast<unsigned long long>(cqe.user_data), cqe.res, cqe.flags);
  fail_assertion("each completion names an operation", text.data(), std::source_location::current());
}

bool is_of_one_answer(const Cqe& cqe) noexcept { return (cqe.user_data & tag_bits) == 0; }

/// Returns true if more answers follow, or if this is an error: both in one comparison for each operation.
bool is_out_of_the_ordinary(const Cqe& cqe) noexcept {
  // The byte with the sign of res, and the first three of the flags: that is one instruction less than the
  // flags alone.
  static_assert(std::endian::native == std::endian::little && uapi::cqe_more < 0x100 &&
                offsetof(Cqe, flags) == offsetof(Cqe, res) + sizeof cqe.res);
  std::uint32_t bytes = 0;
  std::memcpy(&bytes, reinterpret_cast<const char*>(&cqe) + offsetof(Cqe, res) + 3, sizeof bytes);
  return (bytes & (uapi::cqe_more << 8 | 0x80U)) != 0;
}

}  // namespace

// The operation is in no scope, or being cancelled, or the kernel has answered a part of it before.
[[gnu::noinline]] void Loop::file_rare(Completion& completion, const Cqe& cqe) noexcept {
  if (!completion.is_with_kernel()) fail_unknown(cqe);
  leaves_kernel(completion);
  completion.reply_ = completion.with_parts({.res = cqe.res, .flags = cqe.flags});
  completion.has_part_ = 0;
}

void Loop::leaves_kernel(Completion& completion) noexcept {
  if (completion.state_ == Completion::State::cancelling) return cancels_.answered(completion);
  completion.unlink();  // from those in no scope
}

// Returns where it stopped: at a completion that is not a plain one, or at the end.
template <bool observed>
[[gnu::always_inline]] inline const Cqe* Loop::file_plain_ones(const Cqe* cqe, const Cqe* end,
                                                               std::uint64_t now) noexcept {
  ReadyQueue::Batch ready(ready_, static_cast<std::size_t>(end - cqe));
  const Cqe* const begin = cqe;
  const auto file_until = [&](const Cqe* stop, auto look_ahead) {
    for (; cqe < stop && is_of_one_answer(*cqe); ++cqe) {
      if (is_out_of_the_ordinary(*cqe)) [[unlikely]] {
        if ((cqe->flags & uapi::cqe_more) != 0) break;
        if (cqe->res != -ETIME) count_failed(*reinterpret_cast<const Completion*>(cqe->user_data));
      }
      // Mostly this is an address that will soon be written to. If it is not an address, or a stale one, a
      // prefetch does nothing.
      if constexpr (look_ahead) __builtin_prefetch(reinterpret_cast<const void*>(cqe[4].user_data), 1);
      if constexpr (observed) observe_plain(now, *cqe);
      file_plain(*cqe, ready);
      if constexpr (observed) reinterpret_cast<Completion*>(cqe->user_data)->note_reaped(now);
    }
  };
  if (end - cqe > 4) file_until(end - 4, std::true_type());
  if (end - cqe <= 4) file_until(end, std::false_type());
  CORERING_DEBUG_ASSERT(in_flight_ >= static_cast<std::uint64_t>(cqe - begin),
                        "each operation gets one last answer");
  in_flight_ -= static_cast<std::uint64_t>(cqe - begin);
  return cqe;
}

template <bool observed>
[[gnu::always_inline]] inline void Loop::process() noexcept {
  const Ring::Cqes there = ring_.cqes();
  const Cqe* const end = there.cqes.data() + there.cqes.size();
  const std::uint64_t now = observed ? time_of_return() : 0;  // one stamp for all
  if constexpr (observed) counters_.completed.add(there.cqes.size());
  for (const Cqe* cqe = there.cqes.data(); cqe != end;) {
    cqe = file_plain_ones<observed>(cqe, end, now);
    if (cqe == end) break;
    if constexpr (observed) observe_tagged(now, *cqe);
    file_tagged(*cqe++);
  }
  ring_.release(there);
}

[[gnu::always_inline]] inline void Loop::process_completions() noexcept {
  if (trace::counts()) [[unlikely]]
    return process_and_observe();
  process<false>();
}

[[gnu::noinline]] void Loop::process_and_observe() noexcept { process<true>(); }

void Loop::wait_for_kernel() noexcept {
  if (short_of_memory_) kernel_.nap(memory_nap);
  note_enter_result(ring_.submit_and_wait(std::nullopt));
  returned_ = 0;
  process_completions();
}

// ---- a turn ----

[[gnu::always_inline]] inline void Loop::work() {
  if (!mailbox_.queue().empty()) drain_posts();
  if (!timers_.empty()) expire_timers();
  bytes_to_read_now_ = read_now_budget;
  if (ready_.run(ready_budget) == ready_budget) turns_until_clock_ = 0;  // this may have taken long
}

// The parts of a turn are inlined here, so that few returns come after the system call: where the kernel
// guards against speculation, it leaves the processor without predictions for them.
[[gnu::always_inline]] inline bool Loop::step(std::optional<Duration> patience) {
  if (ended_) return false;
  if (turns_until_clock_-- != 0 || !has_worked_on_record()) [[likely]]
    work();
  if (!drainers_.empty()) [[unlikely]]
    release_drained();
  if (stopping_ && is_quiet() && mailbox_.queue().try_close()) [[unlikely]] {
    end();
    return false;
  }
  submit(patience);
  process_completions();
  CORERING_DEBUG_ASSERT(holds_its_invariants(), "see there which");
  return true;
}

// Every fact that two places of the loop must agree on. In checked builds it is asked after every turn; each
// line says by itself which one is broken.
[[gnu::noinline]] bool Loop::holds_its_invariants() noexcept {
  constexpr std::size_t looked_at = 64;  // of each list, so that a turn stays short
  CORERING_ASSERT(parked_.empty() || sq_.hides_free_sqes(), "no operation passes one that is parked");
  CORERING_ASSERT(!stopping_ || sq_.hides_free_sqes(), "a stopping loop is asked about all that begins");
  CORERING_ASSERT(stopping_ || shields_hold_, "shields hold until a stop has run out of patience");
  CORERING_ASSERT(ring_.unsubmitted() <= ring_.sq_entries(), "the SQ holds what is filled");
  CORERING_ASSERT(timers_.is_in_order(), "the nearest timer is on top");
  CORERING_ASSERT(cancels_.holds_its_invariants(looked_at), "see there which");
  parked_.for_first(looked_at, [](const Completion& completion) {
    CORERING_ASSERT(completion.state_ == Completion::State::parked, "what is in the list is parked");
  });
  strands_.for_first(looked_at, [](Strand& strand) {
    CORERING_ASSERT(strand.is_here(), "a strand is in the list of the loop where it is");
    CORERING_ASSERT(strand.home() == nullptr, "a strand's own scope is opened by nobody");
  });
  scopes_.for_first(looked_at, [this](const Scope& scope) {
    CORERING_ASSERT(scope.home() == this, "a scope is in the list of the loop that closes it");
    CORERING_ASSERT(scope.strand() != nullptr, "a scope belongs to a strand");
  });
  drainers_.for_first(looked_at, [](const QueuedWait& drainer) {
    CORERING_ASSERT(drainer.promise() != nullptr, "who drains is a task of the library");
  });
  return true;
}

bool Loop::turn(std::optional<Duration> patience) {
  const Running here(*this);
  turns_until_clock_ = 0;  // we do not know how long ago the last turn was
  returned_ = 0;
  const bool goes_on = doorbell_ == nullptr ? step(patience) : turn_as_guest(patience);
  if (doorbell_ == nullptr) note_end_of_wait();
  if (trace::counts()) end_observed_turn(trace::stamp());  // the time until the next turn is not ours
  return goes_on;
}

[[gnu::noinline]] bool Loop::guest_step(std::optional<Duration> patience) { return step(patience); }
std::optional<Duration> Loop::time_to_sleep_outside() const noexcept { return time_to_sleep(std::nullopt); }

void Loop::run() {
  const Running here(*this);
  if (trace::enabled()) cpu_watch_.after_enter(trace::stamp(), this);
  while (step(std::nullopt)) {
  }
  if (trace::counts()) observe_end();
}

// Reading the clock takes a tenth of the time of a nop. A worker that has not waited since the last reading
// reads it only now and then. While times are kept, every turn does this.
[[gnu::noinline]] bool Loop::has_worked_on_record() {
  if (trace::probes_are_looked_at()) [[unlikely]]
    trace::follow_probes();
  turns_until_clock_ = 7;
  const std::uint64_t returned = std::exchange(returned_, 0);
  turn_ticks_ = returned != 0 ? returned : trace::ticks_now();
  return trace::counts() && has_observed_work();
}

void Loop::drain_posts() noexcept {
  std::uint64_t posts = 0;
  for (PostNode* node = mailbox_.queue().take(); node != nullptr; ++posts) {
    PostNode* const next = node->next;
    if (node->kind != PostNode::Kind::hop || trace::counts()) {
      accept_post(*node);
    } else {  // nearly all posts are like this
      if (node->strand != nullptr) hosts(*node->strand);
      node->refused = !is_attached();
      ready_.push(node->coroutine);
    }
    node = next;
  }
  counters_.posts.add(posts);
}

void Loop::look_outside() noexcept {
  if (!mailbox_.queue().empty()) drain_posts();
  if (!timers_.empty()) expire_timers();
}

void Loop::accept_post(PostNode& node) noexcept {
  if (node.kind == PostNode::Kind::stop) return begin_stop();
  if (node.kind == PostNode::Kind::call) return node.call(node, *this);
  if (node.strand != nullptr) hosts(*node.strand);
  if (node.kind == PostNode::Kind::homecoming) forgo_homecoming();
  if (node.kind == PostNode::Kind::hop) node.refused = !is_attached();
  record(Kind::popped, &node, task_in_trace(node));
  if (trace::counts()) observe_popped(std::exchange(node.pushed, 0));
  ready_.push(node.coroutine);
}

void Loop::expire_timers() noexcept {
  const TimePoint now = kernel_.now();
  if (wait_is_due_ <= now) note_lateness(now);
  wait_is_due_ = TimePoint::max();
  while (!timers_.empty() && timers_.next_deadline() <= now) {
    TimerNode& timer = timers_.pop();
    record(Kind::timer_fired, &timer);
    timer.fire(timer);
  }
}

// ---- completions ----

void Loop::file_tagged(const Cqe& cqe) noexcept {
  switch (cqe.user_data & tag_bits) {
    case wake_read_tag:
      counters_.woken.add();
      return mailbox_.wake_read_done();
    case control_tag:
      return cancels_.take_answer(cqe.user_data, cqe.res, kernel_.now());
    case closing_tag:
      CORERING_ASSERT(closes_in_flight_ > 0, "each close by a helper is answered once");
      --closes_in_flight_;
      if (cqe.res < 0 && cqe.res != -ECANCELED) count(failed_[static_cast<std::size_t>(Opcode::close)]);
      if (cqe.res == -ECANCELED) kernel_.close(static_cast<int>(cqe.user_data >> 3));  // there is no helper
      return;
    case many_tag:
      return file_one_of_many(cqe);
    case message_tag:
      return file_message(cqe);
    case 0:
      return file_part(cqe);
    default:
      fail_unknown(cqe);
  }
}

// No operation of ours asks for several answers without many_tag. But kernels have given them.
void Loop::file_part(const Cqe& cqe) noexcept {
  auto* const completion = reinterpret_cast<Completion*>(cqe.user_data);
  if (completion == nullptr || !completion->is_with_kernel()) fail_unknown(cqe);
  completion->add_part(cqe);
}

void Loop::file_one_of_many(const Cqe& cqe) noexcept {
  auto& completion = *reinterpret_cast<Completion*>(cqe.user_data - many_tag);
  if (!completion.is_with_kernel()) [[unlikely]]
    fail_unknown(cqe);
  if ((cqe.flags & uapi::cqe_more) == 0) {
    CORERING_ASSERT(in_flight_ > 0, "each operation gets one last answer");
    --in_flight_;
    leaves_kernel(completion);
    completion.state_ = Completion::State::answered;
  }
  // A notification is no answer, and a stream that is paused is cancelled and goes on later.
  if (cqe.res < 0 && (cqe.flags & uapi::cqe_notif) == 0 && cqe.res != -ECANCELED) count_failed(completion);
  completion.received({.res = cqe.res, .flags = cqe.flags});
}

// ---- messages from other rings ----

std::uint64_t Loop::open_inbox(Inbox& inbox) {
  const auto free = std::ranges::find(inboxes_, nullptr, &InboxSlot::inbox);
  const auto slot = static_cast<std::size_t>(free - inboxes_.begin());
  if (free == inboxes_.end()) inboxes_.emplace_back();
  inboxes_[slot].inbox = &inbox;
  return (static_cast<std::uint64_t>(slot) << 32 | (++inboxes_[slot].generation & generation_mask) << 3) |
         message_tag;
}

void Loop::close_inbox(std::uint64_t address) noexcept { inboxes_[address >> 32].inbox = nullptr; }

// A message for a closed inbox is dropped: the sender cannot know that the inbox is closed.
void Loop::file_message(const Cqe& cqe) noexcept {
  const std::size_t slot = cqe.user_data >> 32;
  if (slot >= inboxes_.size()) return;
  const auto generation = static_cast<std::uint32_t>(cqe.user_data) >> 3;
  InboxSlot& addressed = inboxes_[slot];
  if (addressed.inbox != nullptr && (addressed.generation & generation_mask) == generation) {
    addressed.inbox->received(cqe.res);
  }
}

// ---- the eventfd ----

bool Loop::arm_wake_read() noexcept {
  if (mailbox_.is_wake_read_armed()) return true;
  Sqe* const sqe = find_sqe();
  if (sqe != nullptr) mailbox_.arm_wake_read(*sqe, wake_read_tag);
  return sqe != nullptr;
}

}  // namespace corering
