/// submission_pool.cpp — keeping what has ended for the next one.
#include "emulation/submission_pool.hpp"

#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {

SubmissionPool::~SubmissionPool() {
  while (spare_ != nullptr) {
    Submission* const next = spare_->queue_next;
    delete spare_;
    spare_ = next;
  }
}

void SubmissionPool::put(Submission& spare) noexcept {
  spare.queue_next = spare_;
  spare_ = &spare;
  ++spare_count_;
}

bool SubmissionPool::grow(std::size_t by) noexcept {
  for (; by > 0; --by) {
    auto* const made = new (std::nothrow) Submission;
    if (made == nullptr) return false;
    ++size_;
    put(*made);
  }
  return true;
}

Submission* SubmissionPool::make(const Sqe& sqe) noexcept {
  if (!prepare(1)) return nullptr;
  Submission* made = spare_;
  spare_ = made->queue_next;
  --spare_count_;
  made->~Submission();
  made = ::new (made) Submission;
  made->sqe = sqe;
  return made;
}

void SubmissionPool::give_back(Submission& operation) noexcept {
  operation.chosen.several.reset();
  operation.message.reset();
  CORERING_ASSERT(!operation.is_listed && !operation.is_linked(), "what is given back is nowhere any more");
  put(operation);
}

}  // namespace corering::emulation
