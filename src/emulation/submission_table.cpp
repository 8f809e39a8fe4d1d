/// submission_table.cpp — buckets by user_data, and a list in the order of the beginning.
#include "emulation/submission_table.hpp"

#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {

bool SubmissionTable::open() noexcept {
  try {
    buckets_.resize(std::size_t{1} << (64 - shift_));
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

void SubmissionTable::put_into_bucket(Submission& operation) noexcept {
  Submission*& bucket = buckets_[bucket_of(operation.sqe.user_data)];
  operation.bucket_next = bucket;
  bucket = &operation;
}

void SubmissionTable::grow() noexcept {
  try {
    buckets_.assign(buckets_.size() * 4, nullptr);
  } catch (const std::bad_alloc&) {
    return;  // it gets slower, and stays right
  }
  shift_ -= 2;
  for (Submission* at = oldest_; at != nullptr; at = at->younger) put_into_bucket(*at);
}

void SubmissionTable::add(Submission& operation) noexcept {
  if (operation.is_listed) return;
  if (count_ > buckets_.size()) grow();
  operation.is_listed = true;
  ++count_;
  operation.older = youngest_;
  operation.younger = nullptr;
  (youngest_ == nullptr ? oldest_ : youngest_->younger) = &operation;
  youngest_ = &operation;
  put_into_bucket(operation);
}

void SubmissionTable::remove(Submission& operation) noexcept {
  if (!operation.is_listed) return;
  operation.is_listed = false;
  CORERING_ASSERT(count_ > 0, "a table that has something is not empty");
  --count_;
  (operation.older == nullptr ? oldest_ : operation.older->younger) = operation.younger;
  (operation.younger == nullptr ? youngest_ : operation.younger->older) = operation.older;
  Submission** at = &buckets_[bucket_of(operation.sqe.user_data)];
  while (*at != &operation) {
    CORERING_DEBUG_ASSERT(*at != nullptr, "a listed operation is in its bucket");
    at = &(*at)->bucket_next;
  }
  *at = operation.bucket_next;
}

}  // namespace corering::emulation
