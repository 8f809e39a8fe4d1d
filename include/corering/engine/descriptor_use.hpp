/// descriptor_use.hpp — what a worker has on a descriptor and must end before the descriptor is closed.
#pragma once

#include <cstddef>

#include <corering/base/intrusive_list.hpp>

namespace corering {

/// A use that the kernel's own search (IORING_ASYNC_CANCEL_FD) does not find, or does not find at all times:
/// a stream, which may be armed again, or a zero-copy send whose bytes are still in the socket. thread: one
/// worker's
class DescriptorUse : public ListNode {
 public:
  /// Ends it if it is on this descriptor. Returns true if that takes a while.
  virtual bool end_use_of(int fd) noexcept = 0;
  /// If it is on this descriptor: from now on the number may be somebody else's, and must not be used.
  virtual void lose(int fd) noexcept = 0;

 protected:
  ~DescriptorUse() = default;
};

namespace here {

/// To be called before a descriptor is closed in order: ends what this worker has on it. Returns how many
/// uses have not ended yet; ask again later.
std::size_t end_uses_of(int fd) noexcept;

/// To be called just before a descriptor is closed with close(2): no request that this worker has made, and
/// none that it will make, goes to the next owner of the number.
void before_close(int fd) noexcept;

/// To be called just before the ring gets the request to close a descriptor. The kernel takes requests in
/// order, so those that were made before it are not in danger.
void before_close_by_ring(int fd) noexcept;

}  // namespace here

}  // namespace corering
