/// loop.hpp — the worker's loop: what is ready, what is in flight, when to sleep.
///
/// One turn: take what other threads posted, expire timers, run what is ready, hand SQEs to the kernel (and
/// sleep there if there is nothing left to do), and file the completions. Completions are filed first and
/// resumed in the next turn, so user code never runs while the CQ is being walked.
#pragma once

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
#include <corering/engine/completion.hpp>
#include <corering/engine/loop_front.hpp>
#include <corering/engine/multishot.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/queued_wait.hpp>
#include <corering/engine/ready_queue.hpp>
#include <corering/engine/ring_resource.hpp>
#include <corering/engine/strand.hpp>
#include <corering/engine/timer_heap.hpp>
#include <corering/uring/capabilities.hpp>
#include <corering/uring/kernel.hpp>
#include <corering/uring/ring.hpp>

#include "base/spinner.hpp"
#include "engine/mailbox.hpp"
#include "trace/ticks.hpp"

namespace corering {

class Worker;

namespace detail {

// user_data: the address of a Completion, with many_tag if it gets many replies, or one of the loop's own
// tags.
inline constexpr std::uint64_t tag_bits = 7;
inline constexpr std::uint64_t many_tag = Completion::many_tag;
inline constexpr std::uint64_t wake_read_tag = 1;
inline constexpr std::uint64_t control_tag = 2;
inline constexpr std::uint64_t message_tag = 4;  // and the inbox's slot << 32, its generation << 3
inline constexpr std::uint32_t generation_mask = 0x1fff'ffff;

/// How many coroutines run before the kernel gets its turn. An enter costs about as much as two or three
/// resumes, and 256 resumes take much less time than a sleeping core needs to wake up.
inline constexpr std::size_t ready_budget = 256;

/// How long a worker naps when the kernel is short of memory, or when the worker never ran and waits for what
/// is still away.
inline constexpr Duration memory_nap = std::chrono::milliseconds(1);

}  // namespace detail

struct LoopOptions {
  Worker* owner = nullptr;  ///< the loop's worker, for code that asks; the loop itself does not use it
  Kernel* kernel = &real_kernel();
  std::uint32_t sq_entries = 256;
  std::uint32_t cq_entries = 0;  ///< 0: 4096, or twice sq_entries if that is more
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
  /// thread: the one that will make every turn
  Result<void> attach();
  [[nodiscard]] bool is_attached() const noexcept { return ring_.is_open(); }

  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// Makes the kernel's helper threads (io-wq) of this ring run only on these processors. Otherwise they
  /// would inherit the worker's own processors.
  void keep_helpers_on(const cpu_set_t& processors) noexcept;

  /// Makes one turn, and sleeps at most for `patience` (or for ever, without one). Returns false when the
  /// loop has ended.
  bool turn(std::optional<Duration> patience);
  /// Makes turns until the loop has ended.
  void run();

  /// For a worker that never ran: answers what was posted to it, on the calling thread.
  void refuse_everything() noexcept;

  void begin(Completion& completion) noexcept;
  /// See Completion::read_now().
  [[nodiscard]] bool read_now(Completion& completion, const PromiseBase& promise,
                              const Request& request) noexcept;
  void begin_unscoped(Completion& completion, const Scope* permitting) noexcept;
  void begin_chain(std::span<Completion* const> links) noexcept;
  void cancel_and_submit(Completion& completion) noexcept;
  void cancel(Completion& completion) noexcept;
  void schedule(std::coroutine_handle<> coroutine) noexcept { ready_.push(coroutine); }
  [[nodiscard]] TimePoint now() const noexcept { return kernel_.now(); }
  void arm(TimerNode& node, TimePoint deadline) noexcept;
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

  /// Notes a stream that was made here. The stream leaves the list by itself.
  void knows(detail::StreamNode& stream) noexcept { streams_.push_back(stream); }
  void close_streams_on(int fd) noexcept;

  /// Returns the trace's clock, as read when this turn began or, if there was no wait since, in one of the
  /// seven turns before.
  [[nodiscard]] std::uint64_t turn_ticks() const noexcept { return turn_ticks_; }

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
  [[nodiscard]] std::uint64_t expected_homecomings() const noexcept { return expected_homecomings_; }
  [[nodiscard]] const trace::ClockPair& attached_at() const noexcept { return attached_at_; }

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
  // A turn, in order.
  bool step(std::optional<Duration> patience);
  [[nodiscard]] bool holds_its_invariants() noexcept;
  void look_at_clock() noexcept;
  void drain_posts() noexcept;
  void accept_post(PostNode& node) noexcept;
  void expire_timers() noexcept;
  void submit(std::optional<Duration> patience) noexcept;
  void process_completions() noexcept;
  void process_and_record() noexcept;

  // Submission.
  [[nodiscard]] Sqe* find_sqe() noexcept;
  void fill(Sqe& sqe, Completion& completion) noexcept;
  [[nodiscard]] bool may_read_now(const Scope* scope, const Request& request) const noexcept;
  void park(Completion& completion) noexcept;
  void unpark() noexcept;
  [[nodiscard]] std::optional<Duration> time_to_sleep(std::optional<Duration> patience) const noexcept;
  void wait(std::optional<Duration> limit) noexcept;
  void sleep(std::optional<Duration> limit) noexcept;
  void sleep_and_learn(std::optional<Duration> limit) noexcept;
  void watch(std::optional<Duration> limit) noexcept;
  void peek() noexcept;
  void note_enter_result(int result) noexcept {
    short_of_memory_ = false;
    if (result < 0) [[unlikely]]
      note_enter_error(result);
  }
  void note_enter_error(int result) noexcept;
  /// Returns true if there is something to do before an enter.
  [[nodiscard]] bool is_unsettled() const noexcept {
    return looks_closer_ || short_of_memory_ || !cancelling_.empty();
  }
  void settle() noexcept;

  // Completions.
  template <bool recording>
  void process() noexcept;
  template <bool recording>
  const Cqe* file_plain_ones(const Cqe* cqe, const Cqe* end) noexcept;
  void file_plain(const Cqe& cqe, ReadyQueue::Batch& ready) noexcept;
  void file_tagged(const Cqe& cqe) noexcept;
  void file_one_of_many(const Cqe& cqe) noexcept;
  void file_message(const Cqe& cqe) noexcept;
  void answer(Completion& completion, std::int32_t res) noexcept;

  [[nodiscard]] bool arm_wake_read() noexcept;

  // Draining.
  void release_drained() noexcept;
  [[nodiscard]] bool only_drains() noexcept;

  // Cancelling.
  void ask_kernel_to_cancel(const Completion& completion) noexcept;
  void cancel_again() noexcept;

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
  trace::ClockPair attached_at_;

  // Only the worker's thread uses these.
  Ring ring_{sq_};
  ReadyQueue ready_;
  TimerHeap timers_;
  std::uint32_t turns_until_clock_ = 0;
  std::size_t bytes_to_read_now_ = 0;  // what is left for this turn
  Spinner spinner_;
  IntrusiveList<Strand> strands_;  // the strands that are here
  IntrusiveList<Scope> scopes_;    // the scopes that must be closed here; their coroutines may be elsewhere
  IntrusiveList<Completion> parked_;  // because no SQE was free
  IntrusiveList<Wait> orphans_;       // in no scope: the waits of coroutines of another library
  IntrusiveList<Completion> cancelling_;
  std::uint64_t controls_in_flight_ = 0;      // cancels that we have sent ourselves
  std::uint64_t expected_homecomings_ = 0;    // coroutines of ours that other threads will hand back
  TimePoint next_cancel_ = TimePoint::min();  // when to ask again for what is being cancelled
  TimePoint patience_ends_ =
      TimePoint::max();  // while stopping: when to break through shields and name what is left
  bool stopping_ = false;
  bool shields_hold_ = true;  // while stopping
  bool ended_ = false;
  bool short_of_memory_ = false;  // the kernel refused the last enter for now
  QueuedWait::Line drainers_;
  IntrusiveList<RingResource> resources_;
  IntrusiveList<detail::StreamNode> streams_;
  RingResource* file_table_ = nullptr;
  RingResource* buffer_table_ = nullptr;
  std::uint16_t next_buffer_group_ = 0;
  struct InboxSlot {
    Inbox* inbox = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<InboxSlot> inboxes_;
  std::unique_ptr<const Capabilities> own_capabilities_;  // of a kernel that is not the real one

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
