/// ring.hpp — one io_uring: where SQEs are filled, handed over, and answered.
///
/// Belongs to one thread. The kernel reads the SQ only inside enter() (no SQPOLL), so the tail is published
/// once per enter and every SQE of a turn travels together.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include <corering/base/result.hpp>
#include <corering/uring/kernel.hpp>

namespace corering {

class Ring {
 public:
  /// Opens on the calling thread, which must be the one that enters it (SINGLE_ISSUER). Asks for the best set
  /// of flags and drops the newest ones, one step at a time, where the kernel answers EINVAL. `cq_entries` 0
  /// takes the kernel's choice, twice the SQ.
  Result<void> open(Kernel& kernel, std::uint32_t sq_entries, std::uint32_t cq_entries);

  /// Unmaps and closes. Nothing may be in flight: closing is no barrier, the kernel would still write to
  /// buffers.
  void close() noexcept { ring_.reset(); }

  [[nodiscard]] bool is_open() const noexcept { return ring_ != nullptr; }

  /// The setup flags (abi::setup_*) that this kernel granted.
  [[nodiscard]] std::uint32_t setup_flags() const noexcept { return params_.flags; }

  /// What the kernel says about itself (abi::feature_*).
  [[nodiscard]] std::uint32_t features() const noexcept { return params_.features; }

  /// io_uring_register(2).
  int register_resource(unsigned opcode, void* arg, unsigned count) noexcept {
    return ring_->register_resource(opcode, arg, count);
  }

  /// The next free SQE, its content undefined, or null when the SQ is full. It belongs to the next enter().
  [[nodiscard]] Sqe* next_sqe() noexcept {
    if (sq_tail_ - sq_head_ == memory_.sq_entries) {
      sq_head_ = load(memory_.sq_head, std::memory_order_acquire);
      if (sq_tail_ - sq_head_ == memory_.sq_entries) return nullptr;
    }
    return &memory_.sqes[sq_tail_++ & (memory_.sq_entries - 1)];
  }

  [[nodiscard]] std::uint32_t sq_entries() const noexcept { return memory_.sq_entries; }

  /// How many SQEs next_sqe() can give.
  [[nodiscard]] std::uint32_t free_sqes() noexcept {
    sq_head_ = load(memory_.sq_head, std::memory_order_acquire);
    return memory_.sq_entries - (sq_tail_ - sq_head_);
  }

  /// For other rings' messages.
  [[nodiscard]] int descriptor() const noexcept { return ring_->descriptor(); }

  /// SQEs filled but not yet taken by the kernel.
  [[nodiscard]] std::uint32_t unsubmitted() const noexcept {
    return sq_tail_ - load(memory_.sq_head, std::memory_order_relaxed);
  }

  /// True when a completion can be reaped without entering the kernel.
  [[nodiscard]] bool has_completions() const noexcept {
    return load(memory_.cq_tail, std::memory_order_acquire) !=
           load(memory_.cq_head, std::memory_order_relaxed);
  }

  /// Hands over what is unsubmitted; runs no completion work. Returns the count taken or -errno.
  int submit() noexcept { return enter(0, 0, nullptr); }

  /// Hands over what is unsubmitted and lets completions appear, without waiting.
  int submit_and_peek() noexcept { return enter(0, abi::enter_getevents, nullptr); }

  /// Hands over what is unsubmitted and waits for one completion, at most `limit` (nothing: for ever).
  int submit_and_wait(std::optional<Duration> limit) noexcept;

  /// Calls `file` with every completion that is there, then gives their slots back to the kernel. `file` must
  /// only file: it runs no user code. Returns how many.
  template <class File>
  unsigned reap(File&& file) noexcept {
    const std::uint32_t tail = load(memory_.cq_tail, std::memory_order_acquire);
    const std::uint32_t head = load(memory_.cq_head, std::memory_order_relaxed);
    const std::uint32_t mask = memory_.cq_entries - 1;
    const Cqe* const cqes = memory_.cqes;
    for (std::uint32_t at = head; at != tail; ++at) {
      // Mostly an address, soon to be written to; where it is none, or stale, a prefetch does nothing.
      __builtin_prefetch(reinterpret_cast<const void*>(cqes[(at + 4) & mask].user_data), 1);
      file(cqes[at & mask]);
    }
    std::atomic_ref(*memory_.cq_head).store(tail, std::memory_order_release);
    return tail - head;
  }

 private:
  static std::uint32_t load(std::uint32_t* word, std::memory_order order) noexcept {
    return std::atomic_ref(*word).load(order);
  }

  int enter(unsigned min_complete, unsigned flags, const abi::GetEventsArg* arg) noexcept {
    std::atomic_ref(*memory_.sq_tail).store(sq_tail_, std::memory_order_release);
    return ring_->enter(unsubmitted(), min_complete, flags, arg);
  }

  RingMemory memory_;
  std::uint32_t sq_tail_ = 0;  // ours; the kernel's copy follows at enter
  std::uint32_t sq_head_ = 0;  // the kernel's, as last seen
  std::uint32_t wait_flags_ = 0;
  RingParams params_;
  std::unique_ptr<KernelRing> ring_;
};

}  // namespace corering
