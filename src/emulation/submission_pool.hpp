/// submission_pool.hpp — where submissions come from, without an allocation for each.
#pragma once

#include "emulation/submission.hpp"

namespace corering::emulation {

/// Makes operations, and keeps those that ended for the next ones.
class SubmissionPool {
 public:
  SubmissionPool() noexcept = default;
  SubmissionPool(SubmissionPool&&) = delete;
  ~SubmissionPool();

  /// Makes sure that the next `count` calls of make() find memory. Returns false if there is none.
  [[nodiscard]] bool prepare(std::size_t count) noexcept {
    return count <= spare_count_ || grow(count - spare_count_);
  }
  /// How many there are, with those that are in use.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Returns null if nobody has called prepare() and there is no memory.
  [[nodiscard]] Submission* make(const Sqe& sqe) noexcept;
  void give_back(Submission& operation) noexcept;

 private:
  bool grow(std::size_t by) noexcept;
  void put(Submission& spare) noexcept;

  Submission* spare_ = nullptr;
  std::size_t spare_count_ = 0;
  std::size_t size_ = 0;
};

}  // namespace corering::emulation
