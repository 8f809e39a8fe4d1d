/// loop.hpp — the worker's loop: what is ready, what is in flight, when to sleep.
///
/// A turn: take what other threads posted, expire timers, run what is ready, hand SQEs to the kernel (and
/// sleep there when nothing is left to do), file the completions. Completions are filed first and resumed in
/// the next turn, so no user code ever runs while the CQ is being walked.
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

// user_data: the address of a Completion, with many_tag if it gets many replies, or one of the loop's own.
inline constexpr std::uint64_t tag_bits = 7;
inline constexpr std::uint64_t many_tag = Completion::many_tag;
inline constexpr std::uint64_t wake_read_tag = 1;
inline constexpr std::uint64_t control_tag = 2;
inline constexpr std::uint64_t message_tag = 4;  // above it: the inbox's slot << 32, its generation << 3
inline constexpr std::uint32_t generation_mask = 0x1fff'ffff;

/// How many coroutines run before the kernel gets its turn: an enter costs about as much as two or three
/// resumes, and 256 resumes are well under the time a sleeping core needs to wake up.
inline constexpr std::size_t ready_budget = 256;

/// When the kernel is short of memory, and when a worker that never ran waits for what is still away.
inline constexpr Duration memory_nap = std::chrono::milliseconds(1);

}  // namespace detail

struct LoopOptions {
  Worker* owner = nullptr;  ///< whose it is, for those who ask; the loop itself does not look
  Kernel* kernel = &real_kernel();
  std::uint32_t sq_entries = 256;
  std::uint32_t cq_entries = 0;  ///< 0: 4096, or twice sq_entries if that is more
  Duration spin_before_sleep = Duration::zero();
  Duration stop_patience = std::chrono::seconds(5);
  std::function<void()> on_stuck = [] {};  ///< while stopping: patience has ended; again at that interval
};

class Loop : public LoopFront {
 public:
  /// While it lives, this is the loop that runs on the calling thread. Nests: a coroutine may run another
  /// worker.
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

  /// Any thread: how to reach the worker.
  [[nodiscard]] Mailbox& mailbox() noexcept { return mailbox_; }

  // ---- the worker's thread ----

  /// Opens eventfd and ring on the calling thread, which must make every turn.
  Result<void> attach();
  [[nodiscard]] bool is_attached() const noexcept { return ring_.is_open(); }

  [[nodiscard]] bool has_ended() const noexcept { return ended_; }

  /// The kernel's helper threads (io-wq) of this ring run on these processors only; they would inherit the
  /// worker's own.
  void keep_helpers_on(const cpu_set_t& processors) noexcept;

  /// One turn; sleeps at most `patience` (nothing: for ever). False when the loop has ended.
  bool turn(std::optional<Duration> patience);
  /// Turns until the loop has ended.
  void run();

  /// Instead of a life: answers what was posted to a worker that never ran, on the calling thread.
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

  /// A strand goes on here; it leaves the list by itself.
  void hosts(Strand& strand) noexcept { strands_.push_back(strand); }
  /// A scope that must be closed here; it leaves the list by itself.
  void opened(Scope& scope) noexcept { scopes_.push_back(scope); }

  /// True when nothing in `scope`, which may be null, is to begin to wait here.
  [[nodiscard]] bool refuses_waits(const Scope* scope) const noexcept {
    return (scope != nullptr && scope->is_cancelled()) || (stopping_ && !may_work_while_stopping(scope));
  }

  /// Waits in no scope, and is cancelled when the worker stops.
  void look_after(Wait& orphan) noexcept { orphans_.push_back(orphan); }

  /// A stream that was made here; it leaves the list by itself.
  void knows(detail::StreamNode& stream) noexcept { streams_.push_back(stream); }
  void close_streams_on(int fd) noexcept;

  /// The trace's clock, read when this turn began, or one of the seven before it if there was no wait since.
  [[nodiscard]] std::uint64_t turn_ticks() const noexcept { return turn_ticks_; }

  /// From now on only coroutines that come back are taken. Where to wait until every strand has ended that
  /// does not belong to the same tree of members as one's own.
  [[nodiscard]] QueuedWait::Line& begin_drain() noexcept;

  /// What a dump tells: every strand that is here, every scope that must be closed here, and the numbers.
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
    CORERING_ASSERT(expected_homecomings_ > 0, "only what was expected comes home");
    --expected_homecomings_;
  }

  [[nodiscard]] Worker* owner() noexcept { return options_.owner; }
  [[nodiscard]] Kernel& kernel() noexcept { return kernel_; }
  [[nodiscard]] Ring& ring() noexcept { return ring_; }
  [[nodiscard]] std::uint32_t setup_flags() const noexcept { return ring_.setup_flags(); }

  /// Found out when first asked for.
  [[nodiscard]] const Capabilities& capabilities();

  /// Told before the ring is closed; it leaves the list by itself.
  void attach_resource(RingResource& resource) noexcept { resources_.push_back(resource); }
  [[nodiscard]] std::uint16_t next_buffer_group() noexcept { return next_buffer_group_++; }
  /// The slot that the ring's table of files belongs to; there is one.
  [[nodiscard]] RingResource*& file_table() noexcept { return file_table_; }
  [[nodiscard]] RingResource*& buffer_table() noexcept { return buffer_table_; }

  /// What other rings send to the address that this returns is given to `inbox`.
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
  /// True when there is more to do before an enter than to enter.
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

  // Set before the loop runs.
  const LoopOptions options_;
  Kernel& kernel_;
  trace::ClockPair attached_at_;

  // The worker's thread only.
  Ring ring_{sq_};
  ReadyQueue ready_;
  TimerHeap timers_;
  std::uint32_t turns_until_clock_ = 0;
  std::size_t bytes_to_read_now_ = 0;  // what is left of this turn's
  Spinner spinner_;
  IntrusiveList<Strand> strands_;     // those that are here
  IntrusiveList<Scope> scopes_;       // those that must be closed here, their coroutines may be elsewhere
  IntrusiveList<Completion> parked_;  // no SQE was free
  IntrusiveList<Wait> orphans_;       // in no scope: coroutines of another library
  IntrusiveList<Completion> cancelling_;
  std::uint64_t controls_in_flight_ = 0;      // our own cancels
  std::uint64_t expected_homecomings_ = 0;    // coroutines of ours that others will hand back
  TimePoint next_cancel_ = TimePoint::min();  // when to ask again for what is being cancelled
  TimePoint patience_ends_ =
      TimePoint::max();  // while stopping: when to pierce shields and name what is left
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

  // Every thread.
  Mailbox mailbox_;
};

/// The loop that runs on the calling thread; ends the program with `message` on any other one.
[[nodiscard]] inline Loop& require_loop(const char* message, const PromiseBase* promise = nullptr) noexcept {
  Loop* const loop = here::loop();
  if (loop == nullptr) [[unlikely]]
    fail_assertion("a worker runs here", message, place_of(promise));
  return *loop;
}

}  // namespace corering
