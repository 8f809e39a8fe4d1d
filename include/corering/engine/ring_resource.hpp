/// ring_resource.hpp — what belongs to a worker's ring and is not an operation: buffer rings, tables,
/// inboxes.
#pragma once

#include <cstdint>

#include <corering/base/intrusive_list.hpp>
#include <corering/uring/capabilities.hpp>

namespace corering {

/// Something registered with a ring. When the worker ends and nothing is in flight any more, ring_closes() is
/// called, before the ring is closed. After that the resource must not use the ring again.
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

/// Registers or unregisters a resource of the current worker's ring.
/// follows: io_uring_register(2)
int register_resource(unsigned opcode, void* argument, unsigned count) noexcept;

/// On a worker: `resource` is told before the worker's ring is closed.
void attach_resource(RingResource& resource) noexcept;

/// Registers a ring of buffers under a free number, which it writes into `wish`. Returns 0 or -errno.
[[nodiscard]] int register_buffer_ring(uapi::BufferRingRegister& wish) noexcept;

/// The resource that holds the current ring's only table of files, or its only table of buffers; null if
/// there is none.
[[nodiscard]] RingResource*& file_table() noexcept;
[[nodiscard]] RingResource*& buffer_table() noexcept;

/// On a worker: open_inbox() returns the user_data that reaches `inbox` through this worker's ring, and
/// ring_fd() the ring's descriptor.
[[nodiscard]] std::uint64_t open_inbox(Inbox& inbox);
void close_inbox(std::uint64_t address) noexcept;
[[nodiscard]] int ring_fd() noexcept;

/// Returns how many SQEs one submission of the current worker can carry.
[[nodiscard]] std::uint32_t sq_entries() noexcept;

/// Returns what the current worker's kernel can do.
[[nodiscard]] const Capabilities& capabilities() noexcept;

}  // namespace here
}  // namespace corering
