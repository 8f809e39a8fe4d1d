/// loop.cpp — one turn of the loop, and its steps.
#include "engine/loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include <corering/base/pause.hpp>
#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>

namespace corering {
namespace {

using trace::Kind;

// 64 KiB: this is room for what many idle connections may answer at once.
constexpr std::uint32_t usual_cq_entries = 4096;

// How many bytes reads may copy from the page cache in one turn without an SQE; each read counts as one page
// more than its length. That is some 10 to 20 us, after which the kernel and the other coroutines get their
// turn.
constexpr std::size_t read_now_budget = 128 << 10;

void record(Kind kind, const void* id, std::uint64_t a = 0, std::uint64_t b = 0,
            std::uint8_t opcode = trace::no_opcode) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(kind, opcode, id, a, b);
}

void record_processed(std::uint64_t stamp, const Cqe& cqe) noexcept {
  using namespace detail;
  const std::uint64_t id = (cqe.user_data & tag_bits) == many_tag ? cqe.user_data - many_tag : cqe.user_data;
  trace::record_at(stamp, Kind::processed, trace::no_opcode, reinterpret_cast<const void*>(id),
                   static_cast<std::uint64_t>(static_cast<std::uint32_t>(cqe.res)) << 32 | cqe.flags);
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
      spinner_(options_.spin_before_sleep),
      mailbox_(kernel_, this) {}

Loop::~Loop() { CORERING_ASSERT(!is_attached(), "a worker was destroyed while its loop was still alive"); }

// ---- birth ----

Result<void> Loop::attach() {
  if (!wrong_name_in_mask().empty()) return std::unexpected(setup_error(SetupStep::mask, EINVAL));
  attached_at_ = trace::ClockPair::now();
  turn_ticks_ = attached_at_.ticks;
  if (const int opened = mailbox_.open(); opened < 0) {
    return std::unexpected(setup_error(SetupStep::eventfd, -opened));
  }
  const std::uint32_t cq_entries =
      options_.cq_entries > 0 ? options_.cq_entries : std::max(usual_cq_entries, 2 * options_.sq_entries);
  if (auto opened = ring_.open(kernel_, options_.sq_entries, cq_entries); !opened) {
    mailbox_.close();
    return opened;
  }
  if (&kernel_ == &real_kernel()) (void)capabilities();  // now, while there still are descriptors
  return {};
}

void Loop::keep_helpers_on(const cpu_set_t& processors) noexcept {
  cpu_set_t set = processors;
  // The size is in bytes. An older kernel (before 5.14) refuses this; then the helper threads stay where they
  // are.
  ring_.register_resource(abi::register_iowq_aff, &set, sizeof set);
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
  if (!cancelling_.empty()) shorten(std::max(next_cancel_ - kernel_.now(), Duration::zero()));
  if (stopping_) shorten(std::max(patience_ends_ - kernel_.now(), Duration::zero()));
  return limit;
}

// Sleeps, unless something to do has come in the meantime.
[[gnu::always_inline]] inline void Loop::sleep(std::optional<Duration> limit) noexcept {
  if (!(mailbox_.is_wake_read_armed() || arm_wake_read()) || !mailbox_.fall_asleep()) [[unlikely]]
    return peek();
  record(Kind::submitted, this, ring_.unsubmitted(), 1);
  const int result = ring_.submit_and_wait(limit);
  record(Kind::woken, this, static_cast<std::uint64_t>(result));
  mailbox_.wake_up();
  turns_until_clock_ = 0;
  note_enter_result(result);
}

[[gnu::always_inline]] inline void Loop::peek() noexcept {
  // What comes without being asked for (messages of other rings, the wake-up) shows as task work.
  if (in_flight_ + controls_in_flight_ == 0 && ring_.unsubmitted() == 0 && !ring_.has_task_work()) return;
  record(Kind::submitted, this, ring_.unsubmitted(), 0);
  const int result = ring_.submit_and_peek();
  record(Kind::entered, this, static_cast<std::uint64_t>(result));
  note_enter_result(result);
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
    if (!mailbox_.empty() || ring_.has_cqes()) return spinner_.found();
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
  if (!cancelling_.empty() && kernel_.now() >= next_cancel_) cancel_again();
  unpark();
}

// Files one reply of an operation that gets only one: nearly every completion is like that.
[[gnu::always_inline]] inline void Loop::file_plain(const Cqe& cqe, ReadyQueue::Batch& ready) noexcept {
  static_assert(offsetof(Reply, res) == 0 && offsetof(Reply, flags) == 4 &&
                offsetof(Cqe, flags) == offsetof(Cqe, res) + 4);
  auto& completion = *reinterpret_cast<Completion*>(cqe.user_data);
  if (completion.state_ != Completion::State::in_flight) [[unlikely]]
    completion.unlink();  // from those being cancelled, or in no scope
  CORERING_DEBUG_ASSERT(completion.state_ != Completion::State::answered && completion.waiter_,
                        "an operation is answered once, and somebody waits for it");
  completion.state_ = Completion::State::answered;
  std::memcpy(static_cast<void*>(&completion.reply_), &cqe.res, sizeof cqe.res + sizeof cqe.flags);
  completion.reply_.offset = 0;
  __builtin_prefetch(completion.waiter_.address());  // its turn comes when the whole batch is filed
  ready.push(completion.waiter_);
}

// Returns where it stopped: at a completion that is not a plain one, or at the end.
template <bool recording>
[[gnu::always_inline]] inline const Cqe* Loop::file_plain_ones(const Cqe* cqe, const Cqe* end) noexcept {
  ReadyQueue::Batch ready(ready_, static_cast<std::size_t>(end - cqe));
  const Cqe* const begin = cqe;
  [[maybe_unused]] const std::uint64_t now = recording ? trace::stamp() : 0;  // one stamp for all
  const auto file_until = [&](const Cqe* stop, auto look_ahead) {
    for (; cqe < stop && (cqe->user_data & tag_bits) == 0; ++cqe) {
      // Mostly this is an address that will soon be written to. If it is not an address, or a stale one, a
      // prefetch does nothing.
      if constexpr (look_ahead) __builtin_prefetch(reinterpret_cast<const void*>(cqe[4].user_data), 1);
      if constexpr (recording) record_processed(now, *cqe);
      file_plain(*cqe, ready);
    }
  };
  if (end - cqe > 4) file_until(end - 4, std::true_type());
  if (end - cqe <= 4) file_until(end, std::false_type());
  CORERING_DEBUG_ASSERT(in_flight_ >= static_cast<std::uint64_t>(cqe - begin),
                        "each operation gets one last answer");
  in_flight_ -= static_cast<std::uint64_t>(cqe - begin);
  return cqe;
}

template <bool recording>
[[gnu::always_inline]] inline void Loop::process() noexcept {
  const Ring::Cqes there = ring_.cqes();
  const Cqe* const end = there.cqes.data() + there.cqes.size();
  for (const Cqe* cqe = there.cqes.data(); cqe != end;) {
    cqe = file_plain_ones<recording>(cqe, end);
    if (cqe == end) break;
    if constexpr (recording) record_processed(trace::stamp(), *cqe);
    file_tagged(*cqe++);
  }
  ring_.release(there);
}

[[gnu::always_inline]] inline void Loop::process_completions() noexcept {
  if (trace::enabled()) [[unlikely]]
    return process_and_record();
  process<false>();
}

[[gnu::noinline]] void Loop::process_and_record() noexcept { process<true>(); }

void Loop::wait_for_kernel() noexcept {
  if (short_of_memory_) kernel_.nap(memory_nap);
  note_enter_result(ring_.submit_and_wait(std::nullopt));
  process_completions();
}

// ---- a turn ----

// The parts of a turn are inlined here, so that few returns come after the system call: where the kernel
// guards against speculation, it leaves the processor without predictions for them.
[[gnu::always_inline]] inline bool Loop::step(std::optional<Duration> patience) {
  if (ended_) return false;
  if (turns_until_clock_-- == 0) look_at_clock();
  if (!mailbox_.empty()) drain_posts();
  if (!timers_.empty()) expire_timers();
  bytes_to_read_now_ = read_now_budget;
  if (ready_.run(ready_budget) == ready_budget) turns_until_clock_ = 0;  // this may have taken long
  if (!drainers_.empty()) [[unlikely]]
    release_drained();
  if (stopping_ && is_quiet() && mailbox_.try_close()) [[unlikely]] {
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
  CORERING_ASSERT(parked_.empty() || looks_closer_, "parked operations wait where the loop does not look");
  CORERING_ASSERT(!stopping_ || looks_closer_, "a stopping loop looks closer at what begins");
  CORERING_ASSERT(stopping_ || shields_hold_, "shields hold until a stop has run out of patience");
  CORERING_ASSERT(ring_.unsubmitted() <= ring_.sq_entries(), "the SQ holds what is filled");
  CORERING_ASSERT(timers_.is_in_order(), "the nearest timer is on top");
  std::uint64_t cancelling = 0;
  cancelling_.for_first(looked_at, [&cancelling](const Completion& completion) {
    CORERING_ASSERT(completion.state_ == Completion::State::cancelling,
                    "what is in the list is being cancelled");
    ++cancelling;
  });
  CORERING_ASSERT(cancelling <= in_flight_, "what is being cancelled is in flight");
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
  return step(patience);
}

void Loop::run() {
  const Running here(*this);
  while (step(std::nullopt)) {
  }
}

// Reading the clock takes a tenth of the time of a nop. A worker that has not waited since the last reading
// reads it only now and then.
void Loop::look_at_clock() noexcept {
  turn_ticks_ = trace::ticks_now();
  turns_until_clock_ = 7;
}

void Loop::drain_posts() noexcept {
  for (PostNode* node = mailbox_.take(); node != nullptr;) {
    PostNode* const next = node->next;
    if (node->kind != PostNode::Kind::hop || trace::enabled()) {
      accept_post(*node);
    } else {  // nearly all posts are like this
      if (node->strand != nullptr) hosts(*node->strand);
      node->refused = !is_attached();
      ready_.push(node->coroutine);
    }
    node = next;
  }
}

void Loop::accept_post(PostNode& node) noexcept {
  if (node.kind == PostNode::Kind::stop) return begin_stop();
  if (node.kind == PostNode::Kind::call) return node.call(node, *this);
  if (node.strand != nullptr) hosts(*node.strand);
  if (node.kind == PostNode::Kind::homecoming) forgo_homecoming();
  if (node.kind == PostNode::Kind::hop) node.refused = !is_attached();
  record(Kind::popped, &node, reinterpret_cast<std::uintptr_t>(node.coroutine.address()));
  ready_.push(node.coroutine);
}

void Loop::expire_timers() noexcept {
  const TimePoint now = kernel_.now();
  while (!timers_.empty() && timers_.next_deadline() <= now) {
    TimerNode& timer = timers_.pop();
    record(Kind::timer_fired, &timer);
    timer.fire(timer);
  }
}

namespace {

/// The real kernel is the same for every worker. If we cannot find out what it can do because there is no
/// descriptor, that is not remembered.
const Capabilities& capabilities_of_this_machine() {
  static std::mutex mutex;
  static std::optional<Capabilities> found;
  static const Capabilities nothing;
  const std::lock_guard lock(mutex);
  if (!found) found = probe(real_kernel());
  return found ? *found : nothing;
}

}  // namespace

const Capabilities& Loop::capabilities() {
  if (&kernel_ == &real_kernel()) return capabilities_of_this_machine();
  if (own_capabilities_ == nullptr) {
    own_capabilities_ = std::make_unique<Capabilities>(probe(kernel_).value_or(Capabilities()));
  }
  return *own_capabilities_;
}

// ---- completions ----

void Loop::file_tagged(const Cqe& cqe) noexcept {
  switch (cqe.user_data & tag_bits) {
    case wake_read_tag:
      return mailbox_.wake_read_done(cqe.res);
    case control_tag:
      CORERING_ASSERT(controls_in_flight_ > 0, "each cancel is answered once");
      --controls_in_flight_;
      return;
    case many_tag:
      return file_one_of_many(cqe);
    default:
      return file_message(cqe);
  }
}

void Loop::file_one_of_many(const Cqe& cqe) noexcept {
  auto& completion = *reinterpret_cast<Completion*>(cqe.user_data - many_tag);
  if ((cqe.flags & abi::cqe_more) == 0) {
    CORERING_ASSERT(in_flight_ > 0, "each operation gets one last answer");
    --in_flight_;
    completion.state_ = Completion::State::answered;
    completion.unlink();
  }
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
