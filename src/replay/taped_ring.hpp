/// taped_ring.hpp — a ring whose completions appear only when it is entered, and pass a tape.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <corering/uring/kernel.hpp>

#include "replay/submissions.hpp"
#include "replay/tape.hpp"

namespace corering::replay {

class TapedKernel;

/// While the tape records, the SQ is that of the ring which does the work. The CQ is always our own: the
/// kernel writes its CQ at any time, and when the program sees a completion must be the same in each run.
/// thread: the tape's
class TapedRing final : public KernelRing {
 public:
  TapedRing(Tape& tape, TapedKernel& kernel) noexcept : tape_(tape), kernel_(kernel) {}
  TapedRing(TapedRing&&) = delete;
  ~TapedRing() override;

  /// `kernel` is null while the tape plays.
  int open(Kernel* kernel, RingParams& params) noexcept;

  const RingMemory& memory() const noexcept override { return memory_; }
  int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
            const uapi::GetEventsArg* arg) noexcept override;
  int descriptor() const noexcept override { return descriptor_; }
  std::optional<Duration> until_due() const noexcept override;
  int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override;

 private:
  /// What an enter came to, beside its completions.
  struct Answer {
    std::int32_t result = 0;
    std::uint32_t taken = 0;  // SQEs
    std::uint32_t sq_flags = 0;
    std::uint32_t completions = 0;
  };

  int open_real(Kernel* kernel, RingParams& params) noexcept;
  void make_memory(const RingParams& params);
  void note_submitted() noexcept;
  void enter_real(Answer& answer, unsigned to_submit, unsigned min_complete, unsigned flags,
                  const uapi::GetEventsArg* arg) noexcept;
  void record_completion(Cqe& cqe) noexcept;
  void record_completions(std::uint32_t count) noexcept;
  void play_completion() noexcept;
  void play_effects(const Submission& submission, const Recorded& recorded, Cqe& cqe) noexcept;
  void note_descriptors(const Submission& submission, const Effects& effects, Cqe& cqe) noexcept;
  void push(const Cqe& cqe) noexcept;
  void note_resource(unsigned opcode, const void* arg) noexcept;
  [[nodiscard]] std::uint32_t waiting() const noexcept { return cq_tail_ - cq_head_; }

  Tape& tape_;
  TapedKernel& kernel_;
  std::unique_ptr<KernelRing> ring_;
  RingMemory memory_;
  Submissions submissions_;
  int descriptor_ = -1;
  std::uint32_t submitted_ = 0;  // the SQ's tail as it was at the last enter
  // What the program sees.
  std::uint32_t sq_head_ = 0, sq_tail_ = 0, sq_flags_ = 0, cq_head_ = 0, cq_tail_ = 0;
  std::vector<std::uint32_t> sq_array_;
  std::vector<Sqe> sqes_;
  std::vector<Cqe> cqes_;
};

}  // namespace corering::replay
