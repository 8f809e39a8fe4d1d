/// rest_of_call.hpp — the buffers of a call that goes on where an earlier attempt stopped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/uio.h>

namespace corering::emulation {

/// The buffers of a call, without what has been moved already.
class RestOfCall {
 public:
  /// `list` has `count` buffers, of which at most the next `most` bytes are to be moved.
  RestOfCall(const iovec* list, std::size_t count, std::uint64_t moved,
             std::uint64_t most = UINT64_MAX) noexcept;
  RestOfCall(RestOfCall&&) = delete;

  [[nodiscard]] const iovec* data() const noexcept { return list_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// How much fits into them: all that is left, or a part of it if there are many buffers.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t window_size = 16;
  const iovec* list_;
  std::size_t count_;
  std::uint64_t bytes_ = 0;
  iovec window_[window_size];
};

}  // namespace corering::emulation
