/// real_kernel.cpp — the seam on Linux, through stock liburing.
///
/// This is the only file of the library that includes liburing. It takes the system calls and the mappings
/// from it; for everything newer than liburing's headers it uses our own constants (uapi.hpp).
#include <cerrno>
#include <climits>
#include <liburing.h>
#include <new>
#include <unistd.h>

#include <corering/uring/kernel.hpp>

#include "base/immortal.hpp"
#include "uring/linux_kernel.hpp"
#include "uring/mask.hpp"

namespace corering {
namespace {

static_assert(sizeof(Sqe) == sizeof(io_uring_sqe) && sizeof(Cqe) == sizeof(io_uring_cqe));

/// Owns the ring's descriptor and mappings.
class RealRing final : public KernelRing {
 public:
  RealRing() noexcept = default;
  RealRing(const RealRing&) = delete;
  ~RealRing() override {
    if (memory_.sqes == nullptr) return;
    // The registration holds a reference: if only the descriptor were closed, the ring would live as long as
    // the thread.
    if (enter_flags_ != 0) {
      uapi::RsrcUpdate update{.offset = static_cast<std::uint32_t>(enter_fd_)};
      register_resource(uapi::unregister_ring_fds, &update, 1);
    }
    io_uring_queue_exit(&ring_);
  }

  int open(RingParams& wanted) noexcept {
    // CORERING_MASK makes this act as an older kernel, which refuses what it does not know.
    const Mask& mask = process_mask();
    if ((wanted.flags & mask.setup_flags) != 0) return -EINVAL;
    io_uring_params params{};
    params.flags = wanted.flags;
    params.cq_entries = wanted.cq_entries;
    const int fd = io_uring_setup(wanted.sq_entries, &params);
    if (fd < 0) return fd;
    if (const int mapped = io_uring_queue_mmap(fd, &params, &ring_); mapped < 0) {
      ::close(fd);
      return mapped;
    }
    wanted = {params.sq_entries, params.cq_entries, params.flags, params.features & ~mask.features};
    // The k-pointers have existed since liburing 2.0. The copies next to them have not.
    memory_ = {.sq_head = ring_.sq.khead,
               .sq_tail = ring_.sq.ktail,
               .sq_flags = ring_.sq.kflags,
               .sq_array = ring_.sq.array,
               .sqes = reinterpret_cast<Sqe*>(ring_.sq.sqes),
               .sq_entries = *ring_.sq.kring_entries,
               .cq_head = ring_.cq.khead,
               .cq_tail = ring_.cq.ktail,
               .cqes = reinterpret_cast<Cqe*>(ring_.cq.cqes),
               .cq_entries = *ring_.cq.kring_entries};
    register_own_descriptor();
    return 0;
  }

  const RingMemory& memory() const noexcept override { return memory_; }

  int enter(unsigned to_submit, unsigned min_complete, unsigned flags,
            const uapi::GetEventsArg* arg) noexcept override {
    void* what = const_cast<uapi::GetEventsArg*>(arg);
    return io_uring_enter2(static_cast<unsigned>(enter_fd_), to_submit, min_complete, flags | enter_flags_,
                           static_cast<sigset_t*>(what), arg == nullptr ? _NSIG / 8 : sizeof *arg);
  }

  int descriptor() const noexcept override { return ring_.ring_fd; }

  int register_resource(unsigned opcode, void* arg, unsigned count) noexcept override {
    return io_uring_register(static_cast<unsigned>(ring_.ring_fd), opcode, arg, count);
  }

 private:
  // This saves the kernel a descriptor look-up per enter (5.18). If it is refused, the plain descriptor is
  // used.
  void register_own_descriptor() noexcept {
    enter_fd_ = ring_.ring_fd;
    uapi::RsrcUpdate update{.offset = UINT_MAX, .data = static_cast<std::uint64_t>(ring_.ring_fd)};
    if (register_resource(uapi::register_ring_fds, &update, 1) != 1) return;
    enter_fd_ = static_cast<int>(update.offset);
    enter_flags_ = uapi::enter_registered_ring;
  }

  io_uring ring_{};
  RingMemory memory_;
  int enter_fd_ = -1;
  unsigned enter_flags_ = 0;
};

class RealKernel final : public LinuxKernel {
 public:
  constexpr RealKernel() noexcept = default;

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override {
    std::unique_ptr<RealRing> opened(new (std::nothrow) RealRing);
    if (opened == nullptr) return -ENOMEM;
    if (const int result = opened->open(params); result < 0) return result;
    ring = std::move(opened);
    return 0;
  }

  std::string_view name() const noexcept override { return "io_uring"; }
};

}  // namespace

Kernel& real_kernel() noexcept {
  static constinit Immortal<RealKernel> kernel;
  return kernel.object;
}

}  // namespace corering
