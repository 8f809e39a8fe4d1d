/// submission_table.hpp — the submissions that wait, and how they are found.
#pragma once

#include <cstdint>
#include <vector>

#include "emulation/submission.hpp"

namespace corering::emulation {

/// The operations that can be found: by their user_data in constant time, and in the order of their begin.
class SubmissionTable {
 public:
  /// Returns false if there is no memory for the first one.
  [[nodiscard]] bool open() noexcept;

  void add(Submission& operation) noexcept;
  void remove(Submission& operation) noexcept;
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] Submission* oldest() const noexcept { return oldest_; }

  /// Returns an operation of this user_data for which `is_wanted` is true, or null.
  template <class Question>
  [[nodiscard]] Submission* find(std::uint64_t user_data, Question&& is_wanted) const {
    for (Submission* at = buckets_[bucket_of(user_data)]; at != nullptr; at = at->bucket_next)
      if (at->sqe.user_data == user_data && is_wanted(*at)) return at;
    return nullptr;
  }
  /// The same with every operation, the oldest first.
  template <class Question>
  [[nodiscard]] Submission* find_any(Question&& is_wanted) const {
    for (Submission* at = oldest_; at != nullptr; at = at->younger)
      if (is_wanted(*at)) return at;
    return nullptr;
  }

 private:
  [[nodiscard]] std::size_t bucket_of(std::uint64_t user_data) const noexcept {
    return (user_data * 0x9e37'79b9'7f4a'7c15) >> shift_;
  }
  void put_into_bucket(Submission& operation) noexcept;
  void grow() noexcept;

  std::vector<Submission*> buckets_;
  unsigned shift_ = 64 - 6;
  std::size_t count_ = 0;
  Submission* oldest_ = nullptr;
  Submission* youngest_ = nullptr;
};

}  // namespace corering::emulation
