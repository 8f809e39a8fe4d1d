/// ring.hpp — one io_uring: where SQEs are filled, handed over, and answered.
///
/// The kernel reads the SQ only inside enter() (there is no SQPOLL), so the tail is published once per enter,
/// and all SQEs of a turn travel together.
/// thread: one
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <corering/base/assert.hpp>
#include <corering/base/result.hpp>
#include <corering/uring/kernel.hpp>

namespace corering {

/// Our side of the SQ: which SQE is the next free one. It is separate from Ring because it is inlined where
/// operations begin.
/// thread: the ring's
class SubmissionQueue {
 public:
  constexpr SubmissionQueue() noexcept = default;
  SubmissionQueue(SubmissionQueue&&) = delete;

  /// Returns false if it knows of none. Then ask Ring::free_sqes(), which looks whether the kernel has taken
  /// some.
  [[nodiscard]] bool knows_free_sqe() const noexcept { return tail_ != limit_; }
  /// While they are hidden it knows of none, whatever there is: then whoever wants one has to ask the ring,
  /// which still gives them.
  void hide_free_sqes(bool hidden) noexcept {
    hidden_ = hidden;
    limit_ = tail_;  // it learns of them when the ring looks the next time
  }
  [[nodiscard]] bool hides_free_sqes() const noexcept { return hidden_; }
  /// Returns the SQE that was taken last.
  [[nodiscard]] const Sqe& last_taken() const noexcept { return sqes_[(tail_ - 1) & mask_]; }
  /// Returns the next free SQE; there must be one. Its content is undefined, and it goes with the ring's next
  /// enter.
  [[nodiscard]] Sqe& take_sqe() noexcept { return sqes_[tail_++ & mask_]; }

 private:
  friend class Ring;
  /// Takes note of the tail at which the SQ is full.
  void set_full_at(std::uint32_t limit) noexcept { limit_ = hidden_ ? tail_ : limit; }
  Sqe& take_hidden_sqe() noexcept {
    Sqe& sqe = take_sqe();
    set_full_at(limit_);
    return sqe;
  }

  Sqe* sqes_ = nullptr;
  std::uint32_t tail_ = 0;   // the kernel's copy is updated at enter
  std::uint32_t limit_ = 0;  // the tail at which the SQ is full, by the kernel's head as we last saw it
  std::uint32_t mask_ = 0;
  bool hidden_ = false;
};

class Ring {
 public:
  explicit Ring(SubmissionQueue& sq) noexcept : sq_(sq) {}

  /// Who waits for completions: the worker, in an enter, or others, who poll the ring's descriptor.
  enum class Watched : std::uint8_t { by_entering, from_outside };

  /// Opens the ring on the calling thread. It asks for the best set of flags; if the kernel answers EINVAL,
  /// it drops the newest ones, one step at a time. `cq_entries` 0 means the kernel's choice, which is twice
  /// the SQ. If `allowed` names opcodes, the ring refuses all others, see WorkerOptions::allow.
  /// thread: the one that will enter the ring (SINGLE_ISSUER)
  Result<void> open(Kernel& kernel, std::uint32_t sq_entries, std::uint32_t cq_entries,
                    Watched watched = Watched::by_entering, std::span<const Opcode> allowed = {});

  /// Unmaps and closes. Nothing may be in flight: closing waits for nothing, and the kernel would still write
  /// to buffers.
  void close() noexcept { ring_.reset(); }

  [[nodiscard]] bool is_open() const noexcept { return ring_ != nullptr; }

  /// Returns the setup flags (uapi::setup_*) that this kernel granted.
  [[nodiscard]] std::uint32_t setup_flags() const noexcept { return params_.flags; }

  /// Returns what the kernel says about itself (uapi::feature_*).
  [[nodiscard]] std::uint32_t features() const noexcept { return params_.features; }

  /// Registers or unregisters a resource of the ring.
  /// follows: io_uring_register(2)
  int register_resource(unsigned opcode, void* arg, unsigned count) noexcept {
    return ring_->register_resource(opcode, arg, count);
  }

  /// Returns the next free SQE, or null when the SQ is full. Its content is undefined, and it goes with the
  /// next enter().
  [[nodiscard]] Sqe* next_sqe() noexcept {
    if (sq_.knows_free_sqe()) return &sq_.take_sqe();
    return free_sqes() > 0 ? &sq_.take_hidden_sqe() : nullptr;
  }

  [[nodiscard]] std::uint32_t sq_entries() const noexcept { return memory_.sq_entries; }

  [[nodiscard]] std::uint32_t cq_entries() const noexcept { return memory_.cq_entries; }

  /// Returns how many SQEs next_sqe() can give.
  [[nodiscard]] std::uint32_t free_sqes() noexcept {
    const std::uint32_t limit = load(memory_.sq_head, std::memory_order_acquire) + memory_.sq_entries;
    sq_.set_full_at(limit);
    return limit - sq_.tail_;
  }

  /// Returns the ring's descriptor, for messages from other rings.
  [[nodiscard]] int descriptor() const noexcept { return ring_->descriptor(); }

  /// See KernelRing::until_due().
  [[nodiscard]] std::optional<Duration> until_due() const noexcept { return ring_->until_due(); }

  /// Calls `visit` with each SQE that is filled but not yet taken by the kernel.
  template <class Visit>
  void for_each_filled(Visit&& visit) noexcept {
    const std::uint32_t begin = load(memory_.sq_head, std::memory_order_acquire);
    for (std::uint32_t at = begin; at != sq_.tail_; ++at) visit(sq_.sqes_[at & sq_.mask_]);
  }

  /// Returns how many SQEs are filled but not yet taken by the kernel.
  [[nodiscard]] std::uint32_t unsubmitted() const noexcept {
    return sq_.tail_ - load(memory_.sq_head, std::memory_order_relaxed);
  }

  /// Returns true if a completion can be reaped without entering the kernel.
  [[nodiscard]] bool has_cqes() const noexcept {
    return load(memory_.cq_tail, std::memory_order_acquire) !=
           load(memory_.cq_head, std::memory_order_relaxed);
  }

  /// Returns true if an enter may make completions appear that the kernel has put aside. Always true if the
  /// kernel does not tell.
  [[nodiscard]] bool has_task_work() const noexcept {
    return (params_.flags & uapi::setup_taskrun_flag) == 0 ||
           (load(memory_.sq_flags, std::memory_order_relaxed) & (uapi::sq_taskrun | uapi::sq_cq_overflow)) !=
               0;
  }

  /// Returns true if there were more completions than the CQ holds: an enter brings the rest.
  [[nodiscard]] bool has_overflown() const noexcept {
    return (load(memory_.sq_flags, std::memory_order_relaxed) & uapi::sq_cq_overflow) != 0;
  }

  /// Hands over what is unsubmitted, and runs no completion work. Returns how many SQEs were taken, or
  /// -errno.
  int submit() noexcept { return enter(0, 0, nullptr); }

  /// Hands over what is unsubmitted and lets completions appear, without waiting.
  int submit_and_peek() noexcept { return enter(0, uapi::enter_getevents, nullptr); }

  /// Hands over what is unsubmitted and waits for one completion, at most for `limit` (or for ever, without a
  /// limit).
  int submit_and_wait(std::optional<Duration> limit) noexcept {
    if (!limit) return enter(1, wait_flags_, nullptr);
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*limit);
    const uapi::Timespec timeout{.seconds = seconds.count(), .nanoseconds = (*limit - seconds).count()};
    const uapi::GetEventsArg arg{.timespec = reinterpret_cast<std::uintptr_t>(&timeout)};
    return enter(1, wait_flags_ | uapi::enter_ext_arg, &arg);
  }

  /// The CQEs that are there, oldest first. Those after the place where the CQ wraps around come the next
  /// time.
  struct Cqes {
    std::span<const Cqe> cqes;
    std::uint32_t end;
  };
  [[nodiscard]] Cqes cqes() const noexcept {
    const std::uint32_t begin = load(memory_.cq_head, std::memory_order_relaxed);
    const std::uint32_t end = load(memory_.cq_tail, std::memory_order_acquire);
    const std::uint32_t at = begin & (memory_.cq_entries - 1);
    const std::uint32_t count = std::min(end - begin, memory_.cq_entries - at);
    return {.cqes = std::span(memory_.cqes + at, count), .end = begin + count};
  }
  /// Gives the slots of these CQEs back to the kernel.
  void release(const Cqes& reaped) noexcept {
    CORERING_DEBUG_ASSERT(reaped.cqes.size() <= memory_.cq_entries, "a CQ holds no more than its entries");
    std::atomic_ref(*memory_.cq_head).store(reaped.end, std::memory_order_release);
  }

 private:
  static std::uint32_t load(std::uint32_t* word, std::memory_order order) noexcept {
    return std::atomic_ref(*word).load(order);
  }

  int enter(unsigned min_complete, unsigned flags, const uapi::GetEventsArg* arg) noexcept {
    std::atomic_ref(*memory_.sq_tail).store(sq_.tail_, std::memory_order_release);
    const std::uint32_t handed_over = unsubmitted();
    CORERING_DEBUG_ASSERT(handed_over <= memory_.sq_entries, "no more SQEs are filled than the SQ holds");
    const int result = ring_->enter(handed_over, min_complete, flags, arg);
    CORERING_DEBUG_ASSERT(result < 0 || static_cast<std::uint32_t>(result) <= handed_over,
                          "the kernel takes no more SQEs than it was given");
    (void)free_sqes();  // so that who takes the next ones need not ask
    return result;
  }

  SubmissionQueue& sq_;
  RingMemory memory_;
  std::uint32_t wait_flags_ = 0;
  RingParams params_;
  std::unique_ptr<KernelRing> ring_;
};

}  // namespace corering
