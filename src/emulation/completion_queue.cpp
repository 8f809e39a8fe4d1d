/// completion_queue.cpp — posting CQEs, and keeping aside those that do not fit.
#include "emulation/completion_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include <corering/base/assert.hpp>

namespace corering::emulation {

int CompletionQueue::open(std::uint32_t entries, std::uint32_t* sq_flags) noexcept {
  cqes_.reset(new (std::nothrow) Cqe[entries]());
  if (cqes_ == nullptr) return -ENOMEM;
  entries_ = entries;
  sq_flags_ = sq_flags;
  CORERING_ASSERT((entries & (entries - 1)) == 0, "a CQ has a power of two of entries");
  return 0;
}

void CompletionQueue::put(const Cqe& cqe) noexcept {
  cqes_[tail_ & (entries_ - 1)] = cqe;
  std::atomic_ref(tail_).store(tail_ + 1, std::memory_order_release);
}

void CompletionQueue::post(const Cqe& cqe) noexcept {
  ++posted_;
  if (has_room()) [[likely]]
    return put(cqe);
  keep_aside(cqe);
}

bool CompletionQueue::grow(std::size_t count) noexcept try {
  aside_.erase(aside_.begin(), aside_.begin() + static_cast<std::ptrdiff_t>(std::exchange(first_aside_, 0)));
  aside_.reserve(std::max(aside_.size() + count, 2 * aside_.capacity()));
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void CompletionQueue::keep_aside(const Cqe& cqe) noexcept {
  CORERING_ASSERT(aside_.size() < aside_.capacity(), "there is room for every CQE before its SQE is taken");
  aside_.push_back(cqe);
  tell_overflow();
}

void CompletionQueue::tell_overflow() noexcept {
  std::atomic_ref(*sq_flags_).fetch_or(uapi::sq_cq_overflow, std::memory_order_relaxed);
}

void CompletionQueue::tell_no_overflow() noexcept {
  std::atomic_ref(*sq_flags_).fetch_and(~uapi::sq_cq_overflow, std::memory_order_relaxed);
}

bool CompletionQueue::post_more(const Cqe& cqe) noexcept {
  if (!has_room()) return false;
  ++posted_;
  put(cqe);
  return true;
}

void CompletionQueue::flush() noexcept {
  if (aside_.empty()) [[likely]]
    return;
  while (first_aside_ < aside_.size() && ready() < entries_) put(aside_[first_aside_++]);
  if (first_aside_ < aside_.size()) return;
  CORERING_DEBUG_ASSERT(ready() <= entries_, "a CQ holds no more than its entries");
  aside_.clear();
  first_aside_ = 0;
  tell_no_overflow();
}

}  // namespace corering::emulation
