/// emulated_kernel.hpp — io_uring without io_uring, for machines that do not have it or do not allow it.
#pragma once

#include <cstddef>
#include <system_error>

#include <corering/uring/kernel.hpp>
#include <corering/uring/kernel_choice.hpp>

namespace corering {

/// Returns a kernel whose rings are interpreted in this process, with plain system calls, epoll, and a few
/// helper threads for calls that block. It gives the answers that io_uring gives; docs/KERNELS.md lists the
/// differences. It is slower. It needs no privilege and no system call of io_uring.
///
/// `WorkerOptions{.kernel = &emulated_kernel()}` makes one worker use it; CORERING_KERNEL=emulated makes
/// every worker use it that does not name a kernel. since: any kernel that corering's own system calls are
/// on; openat2 needs 5.6
[[nodiscard]] Kernel& emulated_kernel() noexcept;

struct EmulationOptions {
  /// How many helper threads the ring of a worker has at most: 1 to 64, and what is beyond counts as the
  /// nearest of them. They start when they are needed, and make the calls that may block: opening files,
  /// fsync, metadata, splice, closing a socket that lingers, reads that are not in the page cache. While all
  /// of them are busy further such calls wait for one. Sockets, pipes, timers, posts and cached reads never
  /// do.
  std::size_t most_helpers = 4;
};

/// Sets what workers on the emulated kernel have that are started from now on.
/// thread: any
void set_emulation(const EmulationOptions& options) noexcept;

/// Sets the choice for workers that are made from now on, unless the environment variable CORERING_KERNEL
/// says otherwise: `io_uring`, `emulated` or `auto`. Without both, the choice is io_uring.
/// thread: any
void prefer_kernel(KernelChoice choice) noexcept;

/// Called once, when `automatic` has taken the emulated kernel, with the reason why the real one cannot be
/// used. If it is not set, one line is printed on stderr.
using EmulationHook = void (*)(std::error_code reason);
/// thread: any, before the first worker is made
void on_emulation(EmulationHook hook) noexcept;

/// Returns the kernel that the choice stands for here; on the thread of a simulated world, that world's own.
/// thread: any
[[nodiscard]] Kernel& default_kernel() noexcept;

}  // namespace corering
