/// loop.cpp — one turn, and what its verbs do.
#include "core/loop.hpp"

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

#include <corering/core/worker.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>

namespace corering {
namespace {

using trace::Kind;

// user_data: the address of a Completion, with many_tag if it gets many replies, or one of the loop's own.
constexpr std::uint64_t tag_bits = 7;
constexpr std::uint64_t many_tag = Completion::many_tag;
constexpr std::uint64_t wake_read_tag = 1;
constexpr std::uint64_t control_tag = 2;
constexpr std::uint64_t message_tag = 4;  // above it: the inbox's slot << 32, its generation << 3
constexpr std::uint32_t generation_mask = 0x1fff'ffff;

// How many coroutines run before the kernel gets its turn: an enter costs about as much as two or three
// resumes, and 256 resumes are well under the time a sleeping core needs to wake up.
constexpr std::size_t ready_budget = 256;

// What reads may copy from the page cache in one turn without an SQE, each counted as if it were a page
// longer: some 10 to 20 us, after which the kernel and the other coroutines get their turn.
constexpr std::size_t read_now_budget = 128 << 10;
constexpr std::size_t cost_of_a_call = 4 << 10;

// While stopping, cancel again what an earlier cancel missed because it was between two states.
constexpr Duration cancel_again_after = std::chrono::milliseconds(10);
constexpr Duration shortest_patience = std::chrono::milliseconds(10);  // between two reports
constexpr Duration memory_nap = std::chrono::milliseconds(1);

// 64 KiB: room for what many idle connections may answer at once.
constexpr std::uint32_t usual_cq_entries = 4096;

// initial-exec: found without a call, also from position-independent code.
[[gnu::tls_model("initial-exec")]] constinit thread_local Loop* current_loop = nullptr;

void record(Kind kind, const void* id, std::uint64_t a = 0, std::uint64_t b = 0,
            std::uint8_t opcode = trace::no_opcode) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(kind, opcode, id, a, b);
}

// Out of line, and called only when recording: its arguments must cost nothing otherwise.
[[gnu::noinline]] void record_filled(const Completion& completion, const Request& request) noexcept {
  const auto fd = static_cast<std::uint32_t>(request.fd);
  trace::record(Kind::sqe_filled, static_cast<std::uint8_t>(request.opcode()), &completion,
                static_cast<std::uint64_t>(fd) << 32 | request.len, request.off);
}

void record_processed(const Cqe& cqe) noexcept {
  const std::uint64_t id = (cqe.user_data & tag_bits) == many_tag ? cqe.user_data - many_tag : cqe.user_data;
  trace::record(Kind::processed, trace::no_opcode, reinterpret_cast<const void*>(id),
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

// ---- which loop is this? ----

[[gnu::noinline]] Loop* Loop::current() noexcept { return current_loop; }

[[gnu::noinline]] Loop::Running::Running(Loop& loop) noexcept : outer_(std::exchange(current_loop, &loop)) {}
[[gnu::noinline]] Loop::Running::~Running() { current_loop = outer_; }

Loop::Loop(Worker& worker, const WorkerOptions& options) noexcept
    : worker_(worker),
      kernel_(*options.kernel),
      stop_patience_(options.stop_patience),
      spinner_(options.spin_before_sleep) {}

Loop::~Loop() { CORERING_ASSERT(!attached(), "a worker was destroyed while its loop was still alive"); }

// ---- any thread ----

bool Loop::post(PostNode& node) noexcept {
  return !refuses_posts_.load(std::memory_order_acquire) && push(node);
}

void Loop::post_home(PostNode& node) noexcept {
  const bool pushed = push(node);
  CORERING_ASSERT(pushed, "a worker ended although it expected a coroutine back");
}

void Loop::request_stop() noexcept {
  if (stop_requested_.exchange(true, std::memory_order_acq_rel)) return;
  refuses_posts_.store(true, std::memory_order_release);
  stop_node_.kind = PostNode::Kind::stop;
  // Not through push(): a signal handler may be calling, and the recorder may allocate.
  if (posts_.push(stop_node_) == MpscQueue::Pushed::must_wake) wake();
}

bool Loop::push(PostNode& node) noexcept {
  const void* const id = &node;
  if (trace::enabled()) [[unlikely]] {
    const void* const coroutine = node.kind == PostNode::Kind::call ? nullptr : node.coroutine.address();
    trace::record(Kind::pushed, trace::no_opcode, id, reinterpret_cast<std::uintptr_t>(coroutine),
                  reinterpret_cast<std::uintptr_t>(&worker_));
  }
  // Once pushed, the node may be gone; so may this loop, unless it has to wait for our wake.
  switch (posts_.push(node)) {
    case MpscQueue::Pushed::closed:
      return false;
    case MpscQueue::Pushed::queued:
      record(Kind::wake_elided, id);
      return true;
    case MpscQueue::Pushed::must_wake:
      record(Kind::wake_written, id);
      wake();
      return true;
  }
  return false;
}

void Loop::wake() noexcept {
  Kernel& kernel = kernel_;
  const int eventfd = eventfd_;
  // The last touch of the loop: it ends when it has seen this count and read this wake.
  wakes_sent_.fetch_add(1, std::memory_order_release);
  kernel.wake(eventfd);
}

// ---- birth ----

Result<void> Loop::attach(const WorkerOptions& options) {
  if (!wrong_name_in_mask().empty()) return std::unexpected(setup_error(SetupStep::mask, EINVAL));
  attached_at_ = trace::ClockPair::now();
  turn_ticks_ = attached_at_.ticks;
  eventfd_ = kernel_.open_eventfd();
  if (eventfd_ < 0) return std::unexpected(setup_error(SetupStep::eventfd, -eventfd_));
  const std::uint32_t cq_entries =
      options.cq_entries > 0 ? options.cq_entries : std::max(usual_cq_entries, 2 * options.sq_entries);
  if (auto opened = ring_.open(kernel_, options.sq_entries, cq_entries); !opened) {
    kernel_.close(eventfd_);
    return opened;
  }
  if (&kernel_ == &real_kernel()) (void)capabilities();  // now, while there are descriptors
  return {};
}

void Loop::keep_helpers_on(const cpu_set_t& processors) noexcept {
  cpu_set_t set = processors;
  // The size is in bytes. An older kernel (before 5.14) refuses; then the helpers stay where they are.
  ring_.register_resource(abi::register_iowq_aff, &set, sizeof set);
}

// ---- sleep ----

[[gnu::always_inline]] inline std::optional<Duration> Loop::time_to_sleep(
    std::optional<Duration> patience) const noexcept {
  if (!ready_.empty()) return Duration::zero();
  std::optional<Duration> limit = patience;
  const auto shorten = [&limit](Duration to) { limit = limit ? std::min(*limit, to) : to; };
  if (!timers_.empty()) {
    const TimePoint now = kernel_.now();
    shorten(timers_.next_deadline() <= now ? Duration::zero() : timers_.next_deadline() - now);
  }
  if (!cancelling_.empty()) shorten(std::max(next_cancel_ - kernel_.now(), Duration::zero()));
  if (stopping_) shorten(std::max(patience_ends_ - kernel_.now(), Duration::zero()));
  return limit;
}

[[gnu::always_inline]] inline bool Loop::must_wait(std::optional<Duration> limit) const noexcept {
  return ready_.empty() && parked_.empty() && (!limit || *limit > Duration::zero());
}

// Sleeps, unless there is something to do after all.
[[gnu::always_inline]] inline void Loop::sleep(std::optional<Duration> limit) noexcept {
  if (!(wake_read_armed_ || arm_wake_read()) || !posts_.mark_asleep()) [[unlikely]]
    return peek();
  record(Kind::submitted, this, ring_.unsubmitted(), 1);
  const int result = ring_.submit_and_wait(limit);
  record(Kind::woken, this, static_cast<std::uint64_t>(result));
  // An atomic exchange per sleep; leaving the mark would have posters write the eventfd of a worker that is
  // awake.
  mark_was_taken_ = !posts_.take_mark_back();
  turns_until_clock_ = 0;
  note_enter_result(result);
}

[[gnu::always_inline]] inline void Loop::peek() noexcept {
  // What comes uncalled (messages of other rings, the wake-up) shows as task work.
  if (in_flight_ + controls_in_flight_ == 0 && ring_.unsubmitted() == 0 && !ring_.has_task_work()) return;
  record(Kind::submitted, this, ring_.unsubmitted(), 0);
  const int result = ring_.submit_and_peek();
  record(Kind::entered, this, static_cast<std::uint64_t>(result));
  note_enter_result(result);
}

[[gnu::always_inline]] inline void Loop::wait(std::optional<Duration> limit) noexcept {
  if (!spinner_.is_on()) return sleep_and_learn(limit);
  peek();
  if (!ring_.has_completions()) [[unlikely]]
    watch(limit);
}

[[gnu::noinline]] void Loop::sleep_and_learn(std::optional<Duration> limit) noexcept {
  if (!spinner_.may_be_on()) return sleep(limit);
  const TimePoint begin = kernel_.now();
  sleep(limit);
  const Duration slept = kernel_.now() - begin;
  if (!limit || slept < *limit) spinner_.slept(slept);  // a timer of our own says nothing about others
}

// Nothing has come yet, but lately it soon did. What comes at a known time is not worth watching for.
[[gnu::noinline]] void Loop::watch(std::optional<Duration> limit) noexcept {
  turns_until_clock_ = 0;
  if (limit && *limit <= spinner_.budget()) return sleep(limit);
  const TimePoint begin = kernel_.now();
  Duration spent{};
  do {
    if (!posts_.is_empty() || ring_.has_completions()) return spinner_.found();
    if (ring_.has_task_work()) peek();
    Spinner::pause();
    spent = kernel_.now() - begin;
  } while (spent < spinner_.budget());
  spinner_.found_nothing();
  if (limit && *limit <= spent) return peek();
  sleep(limit ? std::optional(*limit - spent) : limit);
}

[[gnu::always_inline]] inline void Loop::note_enter_result(int result) noexcept {
  short_of_memory_ = false;
  if (result < 0) [[unlikely]]
    note_enter_error(result);
}

[[gnu::noinline]] void Loop::note_enter_error(int result) noexcept {
  switch (-result) {
    case EINTR:
    case ETIME:
      return;
    case EAGAIN:
    case EBUSY:
    case ENOMEM:  // for now; the SQEs stay where they are and go with the next enter
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
  const std::optional<Duration> limit = time_to_sleep(patience);
  if (must_wait(limit)) {
    wait(limit);
  } else {
    peek();
  }
}

void Loop::settle() noexcept {
  if (short_of_memory_ && ready_.empty()) kernel_.nap(memory_nap);
  if (stopping_ && kernel_.now() >= patience_ends_) lose_patience();
  if (!cancelling_.empty() && kernel_.now() >= next_cancel_) cancel_again();
  unpark();
}

// Word by word: a Reply that is put together on the stack and then copied whole would make the processor
// wait, which cannot forward a wide load from narrower stores.
void Loop::answer(Completion& completion, std::int32_t res) noexcept {
  completion.state_ = Completion::State::answered;
  completion.unlink();
  completion.drop_kept();
  if (completion.tag_ != 0) return completion.received({.res = res});
  completion.reply_.res = res;
  completion.reply_.flags = completion.reply_.offset = 0;
  ready_.push(completion.waiter_);
}

// One reply of an operation that gets one: nearly every completion is that.
[[gnu::always_inline]] inline void Loop::file_plain(const Cqe& cqe, ReadyQueue::Batch& ready) noexcept {
  static_assert(offsetof(Reply, res) == 0 && offsetof(Reply, flags) == 4 &&
                offsetof(Cqe, flags) == offsetof(Cqe, res) + 4);
  auto& completion = *reinterpret_cast<Completion*>(cqe.user_data);
  if (completion.state_ != Completion::State::in_flight) [[unlikely]]
    completion.unlink();  // from those being cancelled, or in no scope
  completion.state_ = Completion::State::answered;
  std::memcpy(static_cast<void*>(&completion.reply_), &cqe.res, sizeof cqe.res + sizeof cqe.flags);
  completion.reply_.offset = 0;
  __builtin_prefetch(completion.waiter_.address());  // its turn comes when the whole batch is filed
  ready.push(completion.waiter_);
}

// Returns where it stopped: at a completion that is no plain one, or at the end.
template <bool recording>
[[gnu::always_inline]] inline const Cqe* Loop::file_plain_ones(const Cqe* cqe, const Cqe* end) noexcept {
  ReadyQueue::Batch ready(ready_, static_cast<std::size_t>(end - cqe));
  const Cqe* const begin = cqe;
  for (; cqe != end && (cqe->user_data & tag_bits) == 0; ++cqe) {
    // Mostly an address, soon to be written to; where it is none, or stale, a prefetch does nothing.
    if (end - cqe > 4) __builtin_prefetch(reinterpret_cast<const void*>(cqe[4].user_data), 1);
    if constexpr (recording) record_processed(*cqe);
    file_plain(*cqe, ready);
  }
  in_flight_ -= static_cast<std::uint64_t>(cqe - begin);
  return cqe;
}

template <bool recording>
[[gnu::always_inline]] inline void Loop::process() noexcept {
  const Ring::Completions there = ring_.completions();
  for (const std::span<const Cqe> part : there.parts) {
    const Cqe* const end = part.data() + part.size();
    for (const Cqe* cqe = part.data(); cqe != end;) {
      cqe = file_plain_ones<recording>(cqe, end);
      if (cqe == end) break;
      if constexpr (recording) record_processed(*cqe);
      file_tagged(*cqe++);
    }
  }
  ring_.release(there);
}

[[gnu::always_inline]] inline void Loop::process_completions() noexcept {
  if (trace::enabled()) [[unlikely]]
    return process_and_record();
  process<false>();
}

[[gnu::noinline]] void Loop::process_and_record() noexcept { process<true>(); }

// ---- a turn ----

// What a turn consists of is inlined here, so that few returns come after the system call: where the kernel
// guards against speculation it leaves the processor without predictions for them.
[[gnu::always_inline]] inline bool Loop::step(std::optional<Duration> patience) {
  if (ended_) return false;
  if (turns_until_clock_-- == 0) look_at_clock();
  if (!posts_.is_empty()) drain_posts();
  if (!timers_.empty()) expire_timers();
  bytes_to_read_now_ = read_now_budget;
  if (ready_.run(ready_budget) == ready_budget) turns_until_clock_ = 0;  // that may have taken long
  if (!drainers_.empty()) [[unlikely]]
    release_drained();
  if (stopping_ && quiet() && posts_.try_close()) [[unlikely]] {
    end();
    return false;
  }
  submit(patience);
  process_completions();
  return true;
}

bool Loop::turn(std::optional<Duration> patience) {
  const Running here(*this);
  turns_until_clock_ = 0;  // nobody knows how long ago the one before was
  return step(patience);
}

void Loop::run() {
  const Running here(*this);
  while (step(std::nullopt)) {
  }
}

// Reading it takes a tenth of the time of a nop; a worker that has not waited since does it now and then.
void Loop::look_at_clock() noexcept {
  turn_ticks_ = trace::ticks_now();
  turns_until_clock_ = 7;
}

void Loop::drain_posts() noexcept {
  PostNode* node = posts_.take();
  if (node == nullptr) return;
  // Whoever took our mark by pushing first owes the eventfd one write.
  if (std::exchange(mark_was_taken_, false)) ++promised_wakes_;
  while (node != nullptr) {
    PostNode* const next = node->next;
    if (node->kind != PostNode::Kind::hop || node->strand != nullptr || trace::enabled()) {
      accept_post(*node);
    } else {  // a coroutine, and nothing else
      node->refused = !attached();
      ready_.push(node->coroutine);
    }
    node = next;
  }
}

void Loop::accept_post(PostNode& node) noexcept {
  if (node.kind == PostNode::Kind::stop) return begin_stop();
  if (node.kind == PostNode::Kind::call) return node.call(node, *this);
  if (node.strand != nullptr) node.strand->arrive(*this);
  if (node.kind == PostNode::Kind::homecoming) --expected_homecomings_;
  if (node.kind == PostNode::Kind::hop) node.refused = !attached();
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

/// The real kernel is the same for every worker. A failure to find out, for want of a descriptor, is not
/// remembered.
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

// ---- operations ----

// What nearly every operation does. Null, and nothing has happened, when something is out of the ordinary.
[[gnu::always_inline]] inline Sqe* Loop::start_at_once(Completion& completion, Frame& frame) noexcept {
  Scope* const scope = frame.scope;
  if (looks_closer_ || trace::enabled() || scope == nullptr || scope->cancelled()) [[unlikely]]
    return nullptr;
  if (!ring_.knows_free_sqe()) [[unlikely]]
    return start_in_the_next_room(completion, *scope);
  return &started(completion, *scope, ring_.take_sqe());
}

[[gnu::always_inline]] inline Sqe& Loop::started(Completion& completion, Scope& scope, Sqe& sqe) noexcept {
  scope.waits_for(&completion, turn_ticks_);
  completion.state_ = Completion::State::in_flight;
  ++in_flight_;
  return sqe;
}

[[gnu::noinline]] Sqe* Loop::start_in_the_next_room(Completion& completion, Scope& scope) noexcept {
  Sqe* const sqe = find_sqe();
  return sqe != nullptr ? &started(completion, scope, *sqe) : nullptr;
}

void Loop::start(Completion& completion) noexcept {
  Frame* const frame = completion.frame_;
  Scope* const scope = frame != nullptr ? frame->scope : nullptr;
  if (scope != nullptr) scope->waits_for(&completion, turn_ticks_);
  if (refuses_waits(scope)) return answer(completion, -ECANCELED);
  if (completion.kept_ == nullptr) return answer(completion, -ENOMEM);
  if (Sqe* const sqe = parked_.empty() ? find_sqe() : nullptr; sqe != nullptr) return fill(*sqe, completion);
  park(completion);
}

std::int32_t Loop::read_now(const Scope* scope, const Request& request) noexcept {
  const std::size_t cost = request.len + cost_of_a_call;
  const bool is_slot = (request.what >> 8 & abi::sqe_fixed_file) != 0;
  if (cost > bytes_to_read_now_ || is_slot || refuses_waits(scope)) return -EAGAIN;
  const std::int32_t got = kernel_.read_now(request.fd, reinterpret_cast<void*>(request.addr), request.len,
                                            static_cast<std::int64_t>(request.off));
  if (got < 0) return -EAGAIN;  // whatever it is: on the usual way it comes again, and is reported
  bytes_to_read_now_ -= cost;
  return got;
}

void Loop::start_unscoped(Completion& completion, const Scope* permitting) noexcept {
  completion.frame_ = nullptr;
  if (stopping_ && !may_work_while_stopping(permitting)) return answer(completion, -ECANCELED);
  if (Sqe* const sqe = parked_.empty() ? find_sqe() : nullptr; sqe != nullptr) return fill(*sqe, completion);
  park(completion);
}

void Loop::cancel_and_submit(Completion& completion) noexcept {
  cancel(completion);
  if (ring_.unsubmitted() > 0) note_enter_result(ring_.submit());
}

void Loop::close_streams_on(int fd) noexcept {
  streams_.for_each([fd](detail::StreamNode& node) {
    auto& stream = static_cast<detail::MultishotBlock&>(node);
    if (stream.is_on(fd)) stream.close();
  });
}

// All SQEs of a chain go with one enter, and nothing comes between them.
void Loop::start_chain(std::span<Completion* const> links) noexcept {
  for (std::size_t i = 0; i < links.size(); ++i) {
    links[i]->links_behind_ = static_cast<std::uint16_t>(links.size() - 1 - i);
  }
  if (ring_.free_sqes() < links.size()) note_enter_result(ring_.submit());
  if (parked_.empty() && ring_.free_sqes() >= links.size()) {
    for (Completion* const link : links) fill(*ring_.next_sqe(), *link);
  } else {
    for (Completion* const link : links) park(*link);
  }
}

Sqe* Loop::find_sqe() noexcept {
  if (Sqe* const sqe = ring_.next_sqe(); sqe != nullptr) [[likely]]
    return sqe;
  note_enter_result(ring_.submit());
  return ring_.next_sqe();
}

void Loop::fill(Sqe& sqe, Completion& completion) noexcept {
  completion.note_what_is_kept();
  completion.kept_->fill(sqe, completion.user_data());
  completion.state_ = Completion::State::in_flight;
  ++in_flight_;
  if (completion.frame_ == nullptr || completion.frame_->scope == nullptr) {
    completion.state_ = Completion::State::orphaned;
    look_after(completion);
  }
  if (trace::enabled()) record_filled(completion, *completion.kept_);
  completion.drop_kept();
}

// The kernel takes nothing at the moment. The operation waits its turn; no other one passes it.
void Loop::park(Completion& completion) noexcept {
  completion.note_what_is_kept();
  record(Kind::parked, &completion);
  completion.state_ = Completion::State::parked;
  parked_.push_back(completion);
  looks_closer_ = true;
}

// A chain is unparked whole.
void Loop::unpark() noexcept {
  while (!parked_.empty()) {
    const std::uint32_t links = parked_.front().links_behind_ + 1U;
    if (ring_.free_sqes() < links) note_enter_result(ring_.submit());
    if (ring_.free_sqes() < links) return;
    for (std::uint32_t i = 0; i < links; ++i) fill(*ring_.next_sqe(), parked_.pop_front());
  }
  looks_closer_ = stopping_;
}

void Loop::arm(TimerNode& node, TimePoint deadline) noexcept {
  timers_.push(node, deadline);
  if (trace::enabled()) [[unlikely]] {
    const TimePoint now = kernel_.now();
    record(Kind::timer_armed, &node,
           deadline <= now ? 0 : static_cast<std::uint64_t>((deadline - now).count()));
  }
}

// ---- cancelling ----

void Loop::cancel(Completion& completion) noexcept {
  switch (completion.state_) {
    case Completion::State::parked:
      return answer(completion, -ECANCELED);
    case Completion::State::in_flight:
    case Completion::State::orphaned:
      completion.unlink();
      completion.state_ = Completion::State::cancelling;
      if (cancelling_.empty()) next_cancel_ = kernel_.now() + cancel_again_after;
      cancelling_.push_back(completion);
      return ask_kernel_to_cancel(completion);
    case Completion::State::idle:
    case Completion::State::cancelling:
    case Completion::State::answered:
      return;
  }
}

// Lands behind its target in the SQ, or the target has been submitted before: the kernel takes them in order,
// so the target is known to it. And in front of whatever gets the same address later. With no SQE free it is
// asked for the next time.
void Loop::ask_kernel_to_cancel(const Completion& completion) noexcept {
  Sqe* const sqe = find_sqe();
  if (sqe == nullptr) return;
  *sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::async_cancel),
             .addr = completion.user_data(),
             .user_data = control_tag};
  ++controls_in_flight_;
}

// An operation that was between two states when the kernel looked for it was not found (ENOENT).
void Loop::cancel_again() noexcept {
  next_cancel_ = kernel_.now() + cancel_again_after;
  cancelling_.for_each([this](const Completion& completion) { ask_kernel_to_cancel(completion); });
}

// ---- the way in: an awaiter starts its operation ----

[[gnu::noinline]] Sqe* Completion::begin(Frame& frame) noexcept {
  frame_ = &frame;
  Loop* const loop = current_loop;
  return loop != nullptr ? loop->start_at_once(*this, frame) : nullptr;
}

[[gnu::noinline]] bool Completion::read_now(const Frame& frame, const Request& request) noexcept {
  Loop* const loop = current_loop;
  const std::int32_t got = loop != nullptr ? loop->read_now(frame.scope, request) : -EAGAIN;
  if (got < 0) return false;
  state_ = State::answered;
  reply_ = {.res = got};
  if (trace::enabled()) [[unlikely]] {
    trace::record(Kind::await, static_cast<std::uint8_t>(opcode()), this, 0,
                  trace::pack_place(frame.awaiting));
    trace::record(Kind::read_now, static_cast<std::uint8_t>(opcode()), this, static_cast<std::uint64_t>(got),
                  request.off);
  }
  return true;
}

// Rare, and small: the frame cache has it. Without memory the operation fails.
[[gnu::noinline]] void Completion::keep_copy(const Request& request) noexcept {
  try {
    kept_ = ::new (allocate_frame(sizeof request)) Request(request);
    owns_kept_ = true;
  } catch (const std::bad_alloc&) {
    kept_ = nullptr;
  }
}

void Completion::drop_kept() noexcept {
  if (!std::exchange(owns_kept_, false)) return;
  free_frame(const_cast<Request*>(kept_), sizeof *kept_);
}

void Completion::start(std::coroutine_handle<> waiter, Frame* frame, const Request& request) noexcept {
  waiter_ = waiter;
  kept_ = &request;
  frame_ = frame;
  start_slowly();
}

[[gnu::noinline]] void Completion::start_slowly() noexcept {
  Loop* const loop = current_loop;
  CORERING_ASSERT(
      loop != nullptr,
      "an operation was awaited on a thread without a worker: name one, as in co_await operation.on(worker)");
  if (!trace::enabled()) return loop->start(*this);
  const auto code = static_cast<std::uint8_t>(opcode());
  trace::record(Kind::await, code, this, reinterpret_cast<std::uintptr_t>(waiter_.address()),
                frame_ != nullptr ? trace::pack_place(frame_->awaiting) : 0);
  loop->start(*this);
  trace::record(Kind::suspended, code, this);
}

void Completion::start_unscoped(const Scope* permitting, const Request& request) noexcept {
  kept_ = &request;
  Loop* const loop = current_loop;
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::await, static_cast<std::uint8_t>(opcode()), this);
  loop->start_unscoped(*this, permitting);
}

[[gnu::noinline]] void Completion::start_chain(std::span<Completion* const> links, Frame* frame) noexcept {
  Loop* const loop = current_loop;
  CORERING_ASSERT(loop != nullptr, "a chain was awaited on a thread without a worker: hop to one first");
  for (Completion* const link : links) link->frame_ = frame;
  loop->start_chain(links);
}

Waiter* Completion::cancel(const CancelCause&) noexcept {
  Loop::current()->cancel(*this);
  return nullptr;
}

void Completion::describe(std::string& text) const {
  text += name_of(opcode());
  if (fd_ < 0) return;
  text.append(is_on_slot() ? " (slot " : " (fd ").append(std::to_string(fd_)).append(")");
}

std::error_code Completion::error_of(std::int32_t res) const noexcept {
  // A helper thread of the kernel was interrupted in a system call that blocks. What it says to that is
  // EINTR, or one of the numbers that user space is never to see.
  const bool was_interrupted = res == -EINTR || (res <= -512 && res >= -514) || res == -516;
  const bool was_cancelled = res == -ECANCELED || was_interrupted;
  if (was_cancelled && frame_ != nullptr && frame_->scope != nullptr && frame_->scope->cancelled()) {
    return frame_->scope->reason().error();
  }
  return {was_interrupted ? EINTR : -res, std::system_category()};
}

void Completion::record_resumed() const noexcept {
  trace::record(Kind::resumed, static_cast<std::uint8_t>(opcode()), this,
                static_cast<std::uint64_t>(reply_.res));
}

void Completion::abort_destroyed_in_flight() const noexcept {
  const std::source_location where = frame_ != nullptr ? frame_->awaiting : std::source_location();
  dprintf(2, "corering: a coroutine was destroyed while its %.*s (fd %d) was in flight, awaited at %s:%u\n",
          static_cast<int>(name_of(opcode()).size()), name_of(opcode()).data(), fd_,
          where.line() != 0 ? where.file_name() : "a place in a coroutine of another library", where.line());
  std::abort();
}

// ---- completions ----

void Loop::file_tagged(const Cqe& cqe) noexcept {
  switch (cqe.user_data & tag_bits) {
    case wake_read_tag:
      return wake_read_done(cqe.res);
    case control_tag:
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
    --in_flight_;
    completion.state_ = Completion::State::answered;
    completion.unlink();
  }
  completion.received({.res = cqe.res, .flags = cqe.flags});
}

void Completion::resume_with(const Reply& reply) noexcept {
  reply_ = reply;
  Loop::current()->schedule(waiter_);
}

// The result comes first; the notification, if there is one, says whether the kernel copied after all.
void NotifiedCompletion::received(const Reply& reply) noexcept {
  Reply total = reply;
  if ((reply.flags & abi::cqe_notif) != 0) {
    const auto usage = static_cast<std::uint32_t>(reply.res) & abi::notif_usage_zc_copied;
    total = {.res = this->reply().res, .flags = (this->reply().flags & ~abi::cqe_more) | reply.flags | usage};
  }
  note_reply(total);
  if (reply.is_last()) resume_with(total);
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

// What comes for an inbox that is closed is dropped: the sender cannot know.
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
  if (wake_read_armed_) return true;
  Sqe* const sqe = find_sqe();
  if (sqe == nullptr) return false;
  *sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::read),
             .fd = eventfd_,
             .addr = reinterpret_cast<std::uintptr_t>(&wake_count_),
             .len = sizeof wake_count_,
             .user_data = wake_read_tag};
  return wake_read_armed_ = true;
}

void Loop::wake_read_done(std::int32_t res) noexcept {
  wake_read_armed_ = false;
  if (res == sizeof wake_count_) received_wakes_ += wake_count_;
}

// ---- the end ----

bool Loop::may_work_while_stopping(const Scope* scope) const noexcept {
  return shields_hold_ && scope != nullptr && scope->is_shielded();
}

void Loop::begin_stop() noexcept {
  stopping_ = looks_closer_ = true;
  refuses_posts_.store(true, std::memory_order_release);
  patience_ends_ = saturating_add(kernel_.now(), stop_patience_);
  cancel_everything(!shields_hold_);
}

namespace {

/// The part of a strand that is its worker's to cancel: what lies below the scopes that other workers have
/// opened.
struct OwnPart {
  Waiter* first;
  bool in_a_shield;  ///< one that lies above it, or around the whole strand
};

OwnPart own_part_of(Strand& strand, const Loop& here) noexcept {
  OwnPart own{.first = &strand, .in_a_shield = strand.is_shielded()};
  for (Scope* scope = &strand; scope != nullptr;) {
    Waiter* const below = scope->waiting();
    if (scope->home() != nullptr && scope->home() != &here) {
      own = {.first = below, .in_a_shield = scope->is_shielded()};
    }
    scope = below != nullptr ? below->as_scope() : nullptr;
  }
  return own;
}

}  // namespace

void Loop::cancel_everything(bool through_shields) noexcept {
  const CancelCause cause{.reason = CancelReason::asked(), .through_shields = through_shields};
  strands_.for_each([this, &cause](Strand& strand) {
    const OwnPart own = own_part_of(strand, *this);
    if (own.in_a_shield && !cause.through_shields) return;
    for (Waiter* next = own.first; next != nullptr;) next = next->cancel(cause);
  });
  // Coroutines that must come back, from wherever they are.
  scopes_.for_each([&cause](Scope& scope) {
    if (cause.through_shields || !scope.is_shielded()) scope.request_cancel(cause);
  });
  while (!orphans_.empty()) orphans_.front().cancel(cause);
  parked_.for_each([this](Completion& completion) {
    if (completion.frame_ == nullptr || completion.frame_->scope == nullptr) answer(completion, -ECANCELED);
  });
}

void Loop::lose_patience() noexcept {
  shields_hold_ = false;
  patience_ends_ = saturating_add(kernel_.now(), std::max(stop_patience_, shortest_patience));
  cancel_everything(true);
  worker_.report_stuck();
}

bool Loop::quiet() const noexcept {
  return in_flight_ == 0 && controls_in_flight_ == 0 && expected_homecomings_ == 0 && ready_.empty() &&
         parked_.empty() && timers_.empty() && strands_.empty() && scopes_.empty();
}

// The queue is closed: no poster can take the asleep mark any more, and those who took it are counted.
void Loop::end() noexcept {
  await_promised_wakes();
  cancel_wake_read();
  detach();
}

// Closing the eventfd while a poster is about to write it would write to whoever gets the number next.
void Loop::await_promised_wakes() noexcept {
  while (received_wakes_ != promised_wakes_) {
    if (arm_wake_read()) wait_for_kernel();
  }
  // What has come through the kernel has been counted before. This is what makes it so for the memory model.
  while (wakes_sent_.load(std::memory_order_acquire) != promised_wakes_) {
  }
}

void Loop::cancel_wake_read() noexcept {
  bool asked = false;
  while (wake_read_armed_ || controls_in_flight_ > 0) {
    if (Sqe* const sqe = asked ? nullptr : find_sqe(); sqe != nullptr) {
      *sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::async_cancel),
                 .addr = wake_read_tag,
                 .user_data = control_tag};
      ++controls_in_flight_;
      asked = true;
    }
    wait_for_kernel();
  }
}

void Loop::wait_for_kernel() noexcept {
  if (short_of_memory_) kernel_.nap(memory_nap);
  note_enter_result(ring_.submit_and_wait(std::nullopt));
  process_completions();
}

void Loop::detach() noexcept {
  while (!resources_.empty()) resources_.pop_front().ring_closes();
  while (!streams_.empty()) (void)streams_.pop_front();  // they have ended, and may outlive us
  ring_.close();
  kernel_.close(eventfd_);
  ended_ = true;
}

void Loop::refuse_everything() noexcept {
  if (ended_) return;
  const Running here(*this);
  shields_hold_ = false;  // there is no ring to clean up with
  begin_stop();
  while (!quiet() || !posts_.try_close()) {
    drain_posts();
    ready_.run(ready_budget);
    if (ready_.empty()) kernel_.nap(memory_nap);  // for those that are still away
  }
  ended_ = true;
}

}  // namespace corering
