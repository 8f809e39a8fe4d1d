/// kernel.hpp — the seam: everything a worker asks of the outside, in one interface.
///
/// It is crossed once per turn of the loop, not once per operation (but for reads that ask the page cache
/// first), so a virtual call costs the hot path nothing and a simulated kernel can stand behind it. All calls
/// return what the system call returns, or -errno.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <corering/base/time.hpp>
#include <corering/uring/abi.hpp>

namespace corering {

/// What a ring is asked for, and what it came to.
struct RingParams {
  std::uint32_t sq_entries = 0;
  std::uint32_t cq_entries = 0;
  std::uint32_t flags = 0;
  std::uint32_t features = 0;  ///< filled by the kernel
};

/// Where the shared memory of an open ring lies. Owned by whoever opened the ring.
struct RingMemory {
  std::uint32_t* sq_head = nullptr;
  std::uint32_t* sq_tail = nullptr;
  std::uint32_t* sq_flags = nullptr;
  std::uint32_t* sq_array = nullptr;
  Sqe* sqes = nullptr;
  std::uint32_t sq_entries = 0;
  std::uint32_t* cq_head = nullptr;
  std::uint32_t* cq_tail = nullptr;
  Cqe* cqes = nullptr;
  std::uint32_t cq_entries = 0;
};

/// One ring of a kernel. Made, used and destroyed on the worker's thread.
class KernelRing {
 public:
  virtual ~KernelRing() = default;

  /// The ring's memory, valid until destruction.
  [[nodiscard]] virtual const RingMemory& memory() const noexcept = 0;

  /// io_uring_enter(2); `flags` are abi::enter_*. `arg` may be null.
  virtual int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
                    const abi::GetEventsArg* arg) noexcept = 0;

  /// The ring's descriptor, for messages from other rings; -1 if there is none.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }

  /// io_uring_register(2).
  virtual int register_resource(unsigned opcode, void* arg, unsigned count) noexcept = 0;
};

/// A kernel. Must outlive every worker that uses it; wake() and now() are called from any thread.
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// io_uring_setup(2) and the mappings. On success fills `ring` and the parameters that the kernel decided
  /// and returns 0.
  virtual int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept = 0;

  /// eventfd(2), counting and close-on-exec.
  virtual int open_eventfd() noexcept = 0;

  /// Adds 1 to the eventfd: write(2). Async-signal-safe.
  virtual int wake(int eventfd) noexcept = 0;

  /// Blocks the calling thread for `how_long`: what a worker does when the kernel is short of memory.
  virtual void nap(Duration how_long) noexcept = 0;

  /// close(2).
  virtual void close(int fd) noexcept = 0;

  /// preadv2(2) with RWF_NOWAIT: what is in the page cache. EAGAIN where it would wait, or where there is no
  /// such thing; less than was asked for where some of it is there.
  virtual std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept {
    (void)fd, (void)into, (void)size, (void)offset;
    return -EAGAIN;
  }

  /// CLOCK_MONOTONIC.
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
};

/// The kernel this process runs on.
[[nodiscard]] Kernel& real_kernel() noexcept;

}  // namespace corering
