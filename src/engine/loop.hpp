/// loop.hpp — the worker's loop: what is ready, what is in flight, when to sleep.
///
/// One turn: take what other threads posted, expire timers, run what is ready, hand SQEs to the kernel (and
/// sleep there if there is nothing left to do), and file the completions. Completions are filed first and
/// resumed in the next turn, so user code never runs while the CQ is being walked.
#pragma once

#include <array>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <sched.h>
#include <span>
#include <vector>

#include <corering/base/assert.hpp>
#include <corering/base/intrusive_list.hpp>
#include <corering/base/result.hpp>
#include <corering/emulation/emulated_kernel.hpp>
#include <corering/engine/completion.hpp>
#include <corering/engine/descriptor_use.hpp>
#include <corering/engine/loop_front.hpp>
#include <corering/engine/multishot.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/queued_wait.hpp>
#include <corering/engine/ready_queue.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/engine/strand.hpp>
#include <corering/engine/timer_heap.hpp>
#include <corering/trace/histogram.hpp>
#include <corering/uring/capabilities.hpp>
#include <corering/uring/kernel.hpp>
#include <corering/uring/ring.hpp>

#include "base/spinner.hpp"
#include "engine/cancels.hpp"
#include "engine/loop_counters.hpp"
#include "engine/loop_times.hpp"
#include "engine/mailbox.hpp"
#include "engine/ready_order.hpp"
#include "trace/cpu_watch.hpp"
#include "trace/ticks.hpp"

namespace corering {

class Worker;

namespace detail {

// user_data: the address of a Completion, with many_tag if it gets many replies, or one of the loop's own
// tags.
inline constexpr std::uint64_t tag_bits = 7;
inline constexpr std::uint64_t many_tag = Completion::many_tag;
inline constexpr std::uint64_t wake_read_tag = 1;
inline constexpr std::uint64_t control_tag = 2;  // and the number of the cancel << 3
inline constexpr std::uint64_t closing_tag = 5;
inline constexpr std::uint64_t message_tag = 4;  // and the inbox's slot << 32, its generation << 3
inline constexpr std::uint32_t generation_mask = 0x1fff'ffff;

/// How many coroutines run before the kernel gets its turn. An enter costs about as much as two or three
/// resumes, and 256 resumes take much less time than a sleeping core needs to wake up.
inline constexpr std::size_t ready_budget = 256;

/// How many bytes reads may copy from the page cache in one turn without an SQE; each read counts as one page
/// more than its length. That is some 10 to 20 us, after which the kernel and the other coroutines get their
/// turn.
inline constexpr std::size_t read_now_budget = 128 << 10;

/// How long a worker naps when the kernel is short of memory, or when the worker never ran and waits for what
/// is still away.
inline constexpr Duration memory_nap = std::chrono::milliseconds(1);

/// A wait that ends this much after its time is a late one. Few machines are that busy; kernels have been
/// that wrong.
inline constexpr Duration late_wait = std::chrono::milliseconds(100);

}  // namespace detail

struct LoopOptions {
  Worker* owner = nullptr;  ///< the loop's worker, for code that asks; the loop itself does not use it
  Kernel* kernel = &default_kernel();
  std::uint32_t sq_entries = 256;
  std::uint32_t cq_entries = 0;       ///< 0: 4096, or twice sq_entries if that is more
  std::vector<Opcode> allowed;        ///< see WorkerOptions::allow
  std::uint32_t file_helpers = 0;     ///< see WorkerOptions
  std::uint32_t waiting_helpers = 0;  ///< see WorkerOptions
  Duration spin_before_sleep = Duration::zero();
  Duration stop_patience = std::chrono::seconds(5);
  std::function<void()> on_stuck = [] {};  ///< while stopping: patience has ended; again at that interval
};

class Loop : public LoopFront {
 public:
  /// While it lives, this is the loop that runs on the calling thread. It can be nested: a coroutine may run
  /// another worker.
  class Running {
   public:
    explicit Running(Loop& loop) noexcept;
    Running(Running&&) = delete;
    ~Running();

   private:
    static void enter(LoopFront* front) noexcept;
    LoopFront* outer_;
  };

  explicit Loop(LoopOptions options) noexcept;
  Loop(Loop&&) = delete;
  ~Loop();

  /// Returns what reaches the worker.
  /// thread: any
  [[nodiscard]] Mailbox& mailbox() noexcept { return mailbox_; }

  // ---- the worker's thread ----

  /// Opens the eventfd and the ring.
  /// thread: the one that will make every turn · errors: may also throw std::bad_alloc
  Result<void> attach(Ring::Watched watched = Ring::Watched::by_entering);
  /// The same for a guest: a loop whose thread sleeps in somebody else's event loop. Returns the descriptor
  /// that is watched there.
  Result<int> attach_as_guest();
  /// Returns the guest's descriptor, or -1 if this loop is no guest.
  [[nodiscard]] int guest_descriptor() const noexcept {
    return doorbell_ == nullptr ? -1 : doorbell_->descriptor();
  }
  /// From now on it is asked before each round of a guest.
  /// keep alive: `order`, longer than the loop
  void set_order(ReadyOrder& order) noexcept { order_ = &order; }
  [[nodiscard]] bool is_attached() const noexcept { return ring_.is_open(); }

  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// Makes the kernel's helper threads (io-wq) of this ring run only on these processors. Otherwise they
  /// would inherit the worker's own processors.
  void keep_helpers_on(const cpu_set_t& processors) noexcept;

  /// Makes one turn, and sleeps at most for `patience` (or for ever, without one). Returns false when the
  /// loop has ended. A guest's turn has a few rounds.
  bool turn(std::optional<Duration> patience);
  /// Makes turns until the loop has ended.
  void run();

  /// For a worker that never ran: answers what was posted to it, on the calling thread.
  void refuse_everything() noexcept;
  /// The same in steps, for several workers whose tasks may wait for each other: begins, and goes one round.
  /// The second returns true when nothing is left.
  void begin_to_refuse() noexcept;
  [[nodiscard]] bool refuse_what_is_there() noexcept;

  void begin(Completion& completion) noexcept;
  /// See Completion::read_now().
  [[nodiscard]] bool read_now(Completion& completion, const PromiseBase& promise,
                              const Request& request) noexcept;
  void begin_unscoped(Completion& completion, const Scope* permitting) noexcept;
  void begin_chain(std::span<Completion* const> links) noexcept;
  /// Asks the kernel to close `fd` on a helper thread; nobody waits for that. Returns false, and nothing has
  /// happened, if there is no room for the request.
  [[nodiscard]] bool close_by_helper(int fd) noexcept;
  void cancel_and_submit(Completion& completion) noexcept;
  void cancel(Completion& completion) noexcept;
  /// To be called with an operation that has answered and will answer again: if it is to end, the kernel may
  /// have to be asked once more.
  void cancel_again(Completion& completion) noexcept;
  void schedule(std::coroutine_handle<> coroutine) noexcept { ready_.push(coroutine); }
  /// In the middle of a turn: takes what was posted, and fires the timers that are due. Resumes nothing.
  void look_outside() noexcept;
  [[nodiscard]] TimePoint now() const noexcept { return kernel_.now(); }
  [[nodiscard]] bool arm(TimerNode& node, TimePoint deadline) noexcept;
  void disarm(TimerNode& node) noexcept { timers_.remove(node); }

  /// Notes a strand that goes on here. The strand leaves the list by itself.
  void hosts(Strand& strand) noexcept { strands_.push_back(strand); }
  /// Notes a scope that must be closed here. The scope leaves the list by itself.
  void opened(Scope& scope) noexcept { scopes_.push_back(scope); }

  /// Returns true if nothing in `scope`, which may be null, may begin to wait here.
  [[nodiscard]] bool refuses_waits(const Scope* scope) const noexcept {
    return (scope != nullptr && scope->is_cancelled()) || (stopping_ && !may_work_while_stopping(scope));
  }

  /// Notes a wait that is in no scope, and that must be cancelled when the worker stops.
  void look_after(Wait& orphan) noexcept { orphans_.push_back(orphan); }

  /// Notes a use of a descriptor. It leaves the list by itself.
  void knows(DescriptorUse& use, int fd) noexcept { uses_on(fd).uses.push_back(use); }
  /// Returns a number that is another one after this descriptor was closed.
  [[nodiscard]] std::uint32_t closes_of(int fd) noexcept { return uses_on(fd).closes; }
  /// See here::end_uses_of().
  std::size_t end_uses_of(int fd) noexcept;
  /// See here::before_close().
  void before_close(int fd) noexcept;
  void lose_uses_of(int fd) noexcept;

  /// Returns the trace's clock, as read when this turn began or, if there was no wait since, in one of the
  /// seven turns before.
  [[nodiscard]] std::uint64_t turn_ticks() const noexcept { return turn_ticks_; }

  /// For Completion::finish(), while times are kept.
  void observe_resumed(const Completion& completion) noexcept;

  /// From now on only coroutines that come back are taken. Returns the line in which to wait until every
  /// strand has ended, except those in the same tree of members as the strand that waits.
  [[nodiscard]] QueuedWait::Line& begin_drain() noexcept;

  /// For dumps: every strand that is here, every scope that must be closed here, and the numbers.
  template <class Visit>
  void for_each_strand(Visit&& visit) {
    strands_.for_each(visit);
  }
  template <class Visit>
  void for_each_scope(Visit&& visit) {
    scopes_.for_each(visit);
  }
  [[nodiscard]] std::uint64_t in_flight() const noexcept { return in_flight_; }
  /// thread: any
  [[nodiscard]] const LoopCounters& counters() const noexcept { return counters_; }
  /// Returns how many requests a helper thread of the kernel does in any case.
  /// thread: any
  [[nodiscard]] std::uint64_t requests_for_helpers() const noexcept {
    return std::atomic_ref(const_cast<std::uint64_t&>(for_helpers_)).load(std::memory_order_relaxed);
  }
  /// Returns how many operations with this opcode have begun, and how many of them the kernel answered with
  /// an error. thread: any
  struct OperationCount {
    std::uint64_t begun, failed;
  };
  [[nodiscard]] OperationCount operations_of(std::size_t opcode) const noexcept {
    const auto read = [](const std::uint64_t& number) {
      return std::atomic_ref(const_cast<std::uint64_t&>(number)).load(std::memory_order_relaxed);
    };
    return {.begun = read(begun_[opcode]), .failed = read(failed_[opcode])};
  }
  /// Returns how late waits for a timer ended, in nanoseconds.
  /// thread: any
  [[nodiscard]] const trace::Histogram& lateness() const noexcept { return lateness_; }
  /// Returns null if no times have been kept, see trace::Level::hist.
  /// thread: any
  [[nodiscard]] const LoopTimes* times() const noexcept { return times_.load(std::memory_order_acquire); }
  [[nodiscard]] std::uint64_t expected_homecomings() const noexcept { return expected_homecomings_; }
  [[nodiscard]] const trace::layout::Moment& attached_at() const noexcept { return attached_at_; }

  void expect_homecoming() noexcept { ++expected_homecomings_; }
  void forgo_homecoming() noexcept {
    CORERING_DEBUG_ASSERT(expected_homecomings_ > 0, "only what was expected comes home");
    --expected_homecomings_;
  }

  [[nodiscard]] Worker* owner() noexcept { return options_.owner; }
  [[nodiscard]] Kernel& kernel() noexcept { return kernel_; }
  [[nodiscard]] Ring& ring() noexcept { return ring_; }
  [[nodiscard]] std::uint32_t setup_flags() const noexcept { return ring_.setup_flags(); }

  /// Returns what the kernel can do, which is found out when it is first asked for.
  [[nodiscard]] const Capabilities& capabilities();

  /// Notes a resource that is told before the ring is closed. The resource leaves the list by itself.
  void attach_resource(RingResource& resource) noexcept { resources_.push_back(resource); }
  [[nodiscard]] std::uint16_t next_buffer_group() noexcept { return next_buffer_group_++; }
  /// The resource that the ring's table of files, or of buffers, belongs to; there is one of each.
  [[nodiscard]] RingResource*& file_table() noexcept { return file_table_; }
  [[nodiscard]] RingResource*& buffer_table() noexcept { return buffer_table_; }

  /// Gives to `inbox` what other rings send to the address that this returns.
  [[nodiscard]] std::uint64_t open_inbox(Inbox& inbox);
  void close_inbox(std::uint64_t address) noexcept;

 private:
  void limit_helpers() noexcept;

  // A turn, in order.
  bool step(std::optional<Duration> patience);
  [[nodiscard]] bool holds_its_invariants() noexcept;
  /// Looks at the clock. While times are kept, it also does the work of the turn, and returns true.
  [[nodiscard]] bool has_worked_on_record();
  void work();
  void drain_posts() noexcept;
  void accept_post(PostNode& node) noexcept;
  void expire_timers() noexcept;
  void submit(std::optional<Duration> patience) noexcept;
  void process_completions() noexcept;
  void process_and_observe() noexcept;
  [[nodiscard]] bool has_observed_work();
  void observe_popped(std::uint32_t pushed) noexcept;
  void observe_tagged(std::uint64_t now, const Cqe& cqe) const noexcept;
  void observe_plain(std::uint64_t now, const Cqe& cqe) noexcept;
  [[nodiscard]] LoopTimes* wanted_times() noexcept;

  // Submission.
  [[nodiscard, gnu::always_inline]] Sqe* find_sqe() noexcept {
    return sq_.knows_free_sqe() ? &sq_.take_sqe() : look_for_sqe();
  }
  [[nodiscard]] Sqe* look_for_sqe() noexcept;
  void fill(Sqe& sqe, Completion& completion) noexcept;
  [[nodiscard]] bool may_read_now(const Scope* scope, const Request& request) const noexcept;
  void park(Completion& completion) noexcept;
  void unpark() noexcept;
  [[nodiscard]] std::optional<Duration> time_to_sleep(std::optional<Duration> patience) const noexcept;
  void wait(std::optional<Duration> limit) noexcept;
  void sleep(std::optional<Duration> limit) noexcept;
  void sleep_and_learn(std::optional<Duration> limit) noexcept;
  void watch(std::optional<Duration> limit) noexcept;
  int submit_and_wait_for_timer(Duration limit) noexcept;
  void note_lateness(TimePoint now) noexcept;
  void note_end_of_wait() noexcept;
  void peek() noexcept;
  void note_enter(bool may_sleep) noexcept;
  void observe_enter(bool may_sleep) noexcept;
  void observe_end() noexcept;
  void record_call(std::uint64_t now, bool may_sleep) noexcept;
  void end_observed_turn(std::uint64_t now) noexcept;
  void keep_stall(std::uint64_t began, std::uint64_t now) const noexcept;
  void note_return(trace::Kind kind, int result) noexcept;
  void observe_return(trace::Kind kind, int result) noexcept;
  /// Enters without waiting.
  void hand_over() noexcept;
  void note_enter_result(int result) noexcept {
    short_of_memory_ = false;
    if (result < 0) [[unlikely]]
      return note_enter_error(result);
    counters_.submitted.add(static_cast<std::uint64_t>(result));
  }
  void note_enter_error(int result) noexcept;
  /// Returns true if there is something to do before an enter.
  [[nodiscard]] bool is_unsettled() const noexcept {
    return sq_.hides_free_sqes() || short_of_memory_ || cancels_.needs_attention();
  }
  void settle() noexcept;

  // As a guest.
  bool turn_as_guest(std::optional<Duration> patience);
  bool guest_step(std::optional<Duration> patience);
  void arrange_ready() noexcept;
  [[nodiscard]] bool has_nothing_to_do() const noexcept;
  [[nodiscard]] std::optional<Duration> time_to_sleep_outside() const noexcept;
  void sleep_outside() noexcept;
  void ring_doorbell_after(std::optional<Duration> delay) noexcept;

  // Completions.
  template <bool observed>
  void process() noexcept;
  template <bool observed>
  const Cqe* file_plain_ones(const Cqe* cqe, const Cqe* end, std::uint64_t now) noexcept;
  [[nodiscard]] std::uint64_t time_of_return() noexcept;
  void file_plain(const Cqe& cqe, ReadyQueue::Batch& ready) noexcept;
  void file_rare(Completion& completion, const Cqe& cqe) noexcept;
  void file_part(const Cqe& cqe) noexcept;
  void leaves_kernel(Completion& completion) noexcept;
  void count_failed(const Completion& completion) noexcept;
  void file_tagged(const Cqe& cqe) noexcept;
  void file_one_of_many(const Cqe& cqe) noexcept;
  void file_message(const Cqe& cqe) noexcept;
  void answer(Completion& completion, std::int32_t res) noexcept;

  [[nodiscard]] bool arm_wake_read() noexcept;

  // Draining.
  void release_drained() noexcept;
  [[nodiscard]] bool only_drains() noexcept;

  // Cancelling.
  void ask_kernel_to_cancel() noexcept;

  // The end.
  [[nodiscard]] bool may_work_while_stopping(const Scope* scope) const noexcept;
  void begin_stop() noexcept;
  void cancel_everything(bool through_shields) noexcept;
  void lose_patience() noexcept;
  [[nodiscard]] bool is_quiet() const noexcept;
  void end() noexcept;
  void await_promised_wakes() noexcept;
  void cancel_wake_read() noexcept;
  void wait_for_kernel() noexcept;
  void detach() noexcept;

  // These are set before the loop runs.
  const LoopOptions options_;
  Kernel& kernel_;
  trace::layout::Moment attached_at_;

  // Only the worker's thread uses these.
  Ring ring_{sq_};
  ReadyQueue ready_;
  TimerHeap timers_;
  // While it sleeps, and until timers are looked at next: when it is to wake. Otherwise, and if there is no
  // timer, never.
  TimePoint wait_is_due_ = TimePoint::max();
  std::uint32_t turns_until_clock_ = 0;
  trace::CpuWatch cpu_watch_;  // while recording
  // While times are kept.
  std::uint64_t turn_began_ = 0;       // 0: nobody noted it
  std::uint64_t returned_ = 0;         // from the kernel in this turn; 0: not yet, or nobody noted it
  std::uint64_t woken_ = 0;            // when it last returned from a sleep
  bool sleeps_ = false;                // the last enter could
  std::size_t bytes_to_read_now_ = 0;  // what is left for this turn
  Spinner spinner_;
  IntrusiveList<Strand> strands_;  // the strands that are here
  IntrusiveList<Scope> scopes_;    // the scopes that must be closed here; their coroutines may be elsewhere
  IntrusiveList<Completion> parked_;  // because no SQE was free
  IntrusiveList<Wait> orphans_;       // in no scope: the waits of coroutines of another library
  Cancels cancels_;
  LoopCounters counters_;
  trace::Histogram lateness_;
  std::atomic<LoopTimes*> times_ = nullptr;  // made when they are first wanted, and owned
  std::uint64_t closes_in_flight_ = 0;       // those that nobody waits for
  std::uint64_t expected_homecomings_ = 0;   // coroutines of ours that other threads will hand back
  TimePoint patience_ends_ =
      TimePoint::max();  // while stopping: when to break through shields and name what is left
  bool stopping_ = false;
  bool shields_hold_ = true;  // while stopping
  bool ended_ = false;
  bool short_of_memory_ = false;  // the kernel refused the last enter for now
  QueuedWait::Line drainers_;
  IntrusiveList<RingResource> resources_;
  // The uses of one descriptor are in one list, and few others are with them.
  struct Uses {
    IntrusiveList<DescriptorUse> uses;
    std::uint32_t closes = 0;  // of these descriptors
  };
  [[nodiscard]] Uses& uses_on(int fd) noexcept { return uses_[static_cast<unsigned>(fd) % uses_.size()]; }
  std::array<Uses, 1024> uses_;
  RingResource* file_table_ = nullptr;
  RingResource* buffer_table_ = nullptr;
  std::uint16_t next_buffer_group_ = 0;
  struct InboxSlot {
    Inbox* inbox = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<InboxSlot> inboxes_;
  decltype(begun_) failed_{};
  std::unique_ptr<const Capabilities> own_capabilities_;  // of a kernel that is not the real one
  std::unique_ptr<Doorbell> doorbell_;                    // of a guest
  TimePoint doorbell_rings_at_ = TimePoint::max();
  bool sleeps_outside_ = false;  // its mark says so
  ReadyOrder* order_ = nullptr;  // of a guest, in a simulation

  // Every thread uses these.
  Mailbox mailbox_;
};

/// Returns the loop that runs on the calling thread. On any other thread, it ends the program with `message`.
[[nodiscard]] inline Loop& require_loop(const char* message, const PromiseBase* promise = nullptr) noexcept {
  Loop* const loop = here::loop();
  if (loop == nullptr) [[unlikely]]
    fail_assertion("a worker runs here", message, place_of(promise));
  return *loop;
}

}  // namespace corering
