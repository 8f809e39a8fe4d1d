/// kernel.hpp — the seam: everything a worker asks of the outside, in one interface.
///
/// A worker crosses it once per turn of the loop, not once per operation (except for reads that ask the page
/// cache first). So a virtual call costs the hot path nothing, and a simulated kernel can be used instead.
/// All calls return what the system call returns, or -errno.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <corering/base/time.hpp>
#include <corering/uring/doorbell.hpp>
#include <corering/uring/uapi.hpp>

namespace corering {

class Capabilities;

/// The parameters that a ring is asked for, and those that it got.
struct RingParams {
  std::uint32_t sq_entries = 0;
  std::uint32_t cq_entries = 0;
  std::uint32_t flags = 0;
  std::uint32_t features = 0;  ///< filled by the kernel
};

/// The addresses of an open ring's shared memory. The object that opened the ring owns it.
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

/// One ring of a kernel.
/// thread: make, use and destroy it on the worker's thread
class KernelRing {
 public:
  virtual ~KernelRing() = default;

  /// Returns the ring's memory, which is valid until this object is destroyed.
  [[nodiscard]] virtual const RingMemory& memory() const noexcept = 0;

  /// `flags` are uapi::enter_*. `arg` may be null.
  /// follows: io_uring_enter(2)
  virtual int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
                    const uapi::GetEventsArg* arg) noexcept = 0;

  /// Returns the ring's descriptor, for messages from other rings, or -1 if it has none. Unless the ring was
  /// given uapi::setup_defer_taskrun, it can be polled: it is readable while an enter would make CQEs appear.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }

  /// Returns when an enter would make completions appear although the descriptor does not show it: a ring
  /// that is interpreted in the process keeps its timers itself. Nothing if there is no such time.
  [[nodiscard]] virtual std::optional<Duration> until_due() const noexcept { return std::nullopt; }

  /// Registers or unregisters a resource of the ring.
  /// follows: io_uring_register(2)
  virtual int register_resource(unsigned opcode, void* arg, unsigned count) noexcept = 0;
};

/// A kernel.
/// keep alive: it, longer than every worker that uses it · thread: any may call wake() and now()
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// Opens a ring and maps its memory. On success it fills `ring` and the parameters that the kernel decided,
  /// and returns 0.
  /// follows: io_uring_setup(2)
  virtual int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept = 0;

  /// Opens an eventfd that counts and is close-on-exec.
  /// follows: eventfd(2)
  virtual int open_eventfd() noexcept = 0;

  /// Adds 1 to the eventfd. It is async-signal-safe.
  /// follows: write(2)
  virtual int wake(int eventfd) noexcept = 0;

  /// Called for each post to a worker while times are kept (trace::Level::hist), in builds with checks for
  /// every one, and for each stop request.
  /// thread: any, also in a signal handler
  virtual void posted() noexcept {}

  /// Blocks the calling thread for `how_long`. A worker calls it when the kernel is short of memory.
  virtual void nap(Duration how_long) noexcept = 0;

  /// Closes a descriptor.
  /// follows: close(2)
  virtual void close(int fd) noexcept = 0;

  /// Reads what is in the page cache. Returns less than was asked for if only a part of it is there.
  /// errors: EAGAIN if it would wait, or if there is no page cache to ask · follows: preadv2(2) with
  ///   RWF_NOWAIT
  virtual std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept {
    (void)fd, (void)into, (void)size, (void)offset;
    return -EAGAIN;
  }

  /// Opens what somebody else's event loop watches: readable while `ring` is, the descriptor of a ring, and
  /// from a set time on. Returns 0 or -errno.
  virtual int open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept {
    return open_system_doorbell(ring, doorbell);
  }

  /// Returns what the kernel is known to be able to do, or null: then a trial ring finds it out.
  [[nodiscard]] virtual const Capabilities* known_capabilities() const noexcept { return nullptr; }

  /// Returns false if completions appear only in an enter. Then no worker watches its ring before it sleeps.
  [[nodiscard]] virtual bool is_worth_watching() const noexcept { return true; }

  /// What traces, dumps and messages call it: "io_uring", or "io_uring, emulated".
  [[nodiscard]] virtual std::string_view name() const noexcept { return "io_uring"; }

  /// Returns the time of CLOCK_MONOTONIC.
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;

  /// The same for what people read, traces and dumps. Whether somebody looks must not change a recorded run.
  [[nodiscard]] virtual TimePoint now_to_show() const noexcept { return now(); }
};

/// Returns the kernel that this process runs on.
[[nodiscard]] Kernel& real_kernel() noexcept;

}  // namespace corering
