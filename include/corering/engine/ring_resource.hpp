/// ring_resource.hpp — what belongs to a worker's ring besides operations: buffer rings, tables, inboxes.
#pragma once

#include <cstdint>

#include <corering/base/intrusive_list.hpp>
#include <corering/uring/capabilities.hpp>

namespace corering {

/// Something registered with a ring. When the worker ends, nothing is in flight any more, and each is told
/// before the ring is closed; from then on it does not turn to the ring again.
class RingResource : public ListNode {
 public:
  virtual void ring_closes() noexcept = 0;

 protected:
  ~RingResource() = default;
};

/// Where messages from other rings arrive (streams/messages.hpp).
class Inbox {
 public:
  virtual void received(std::int32_t res) noexcept = 0;

 protected:
  ~Inbox() = default;
};

namespace here {

/// io_uring_register(2) on the current worker's ring.
int register_resource(unsigned opcode, void* argument, unsigned count) noexcept;

/// On a worker.
void attach_resource(RingResource& resource) noexcept;

/// Registers a ring of buffers under a number that is free, which it writes into `wish`. 0 or -errno.
[[nodiscard]] int register_buffer_ring(abi::BufferRingRegister& wish) noexcept;

/// Which resource holds the current ring's one table of files, and of buffers; null when none does.
[[nodiscard]] RingResource*& file_table() noexcept;
[[nodiscard]] RingResource*& buffer_table() noexcept;

/// On a worker: the user_data that reaches `inbox` through this worker's ring; and the ring's descriptor.
[[nodiscard]] std::uint64_t open_inbox(Inbox& inbox);
void close_inbox(std::uint64_t address) noexcept;
[[nodiscard]] int ring_fd() noexcept;

/// How many SQEs one submission of the current worker can carry.
[[nodiscard]] std::uint32_t sq_entries() noexcept;

/// What the current worker's kernel can do.
[[nodiscard]] const Capabilities& capabilities() noexcept;

}  // namespace here
}  // namespace corering
