/// rest_of_call.cpp — leaves out what has been moved already.
#include "emulation/rest_of_call.hpp"

#include <algorithm>
#include <climits>

namespace corering::emulation {

// Without a beginning that was moved the list stays where it is. Otherwise the next buffers are copied.
RestOfCall::RestOfCall(const iovec* list, std::size_t count, std::uint64_t moved, std::uint64_t most) noexcept
    : list_(list), count_(count) {
  if (count > IOV_MAX) return;  // the system call refuses it
  if (moved > 0) {
    for (; count > 0 && moved >= list->iov_len; ++list, --count) moved -= list->iov_len;
    count_ = std::min(count, window_size);
    std::copy_n(list, count_, window_);
    list_ = window_;
    if (count_ > 0) {
      window_[0].iov_base = static_cast<char*>(window_[0].iov_base) + moved;
      window_[0].iov_len -= moved;
    }
  }
  for (std::size_t i = 0; i < count_; ++i) bytes_ += list_[i].iov_len;
  bytes_ = std::min(bytes_, most);
  if (list_ != window_) return;  // the system call itself moves no more than `most`
  for (std::size_t i = 0; i < count_; ++i) {
    window_[i].iov_len = std::min<std::uint64_t>(window_[i].iov_len, most);
    most -= window_[i].iov_len;
  }
}

}  // namespace corering::emulation
