/// submission_queue.hpp — our side of an SQ: which SQE is the next free one.
#pragma once

#include <cstdint>

#include <corering/uring/abi.hpp>

namespace corering {

/// Of one ring, which opens it. Belongs to that ring's thread.
class SubmissionQueue {
 public:
  constexpr SubmissionQueue() noexcept = default;
  SubmissionQueue(SubmissionQueue&&) = delete;

  /// False: the ring looks whether the kernel has taken some.
  [[nodiscard]] bool knows_free_sqe() const noexcept { return tail_ != limit_; }
  /// The one that was taken last.
  [[nodiscard]] const Sqe& last_taken() const noexcept { return sqes_[(tail_ - 1) & mask_]; }
  /// When there is one. Its content is undefined, and it belongs to the ring's next enter.
  [[nodiscard]] Sqe& take_sqe() noexcept { return sqes_[tail_++ & mask_]; }

 private:
  friend class Ring;
  Sqe* sqes_ = nullptr;
  std::uint32_t tail_ = 0;   // the kernel's copy follows at enter
  std::uint32_t limit_ = 0;  // where it is full, by the kernel's head as last seen
  std::uint32_t mask_ = 0;
};

}  // namespace corering
