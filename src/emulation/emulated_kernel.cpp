/// emulated_kernel.cpp — the kernel whose rings are interpreted here, and the choice between the two.
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <new>

#include <corering/base/outside.hpp>
#include <corering/emulation/emulated_kernel.hpp>

#include "base/immortal.hpp"
#include "emulation/software_ring.hpp"
#include "replay/environment.hpp"
#include "uring/linux_kernel.hpp"

namespace corering {
namespace {

std::atomic<std::size_t> most_helpers = EmulationOptions().most_helpers;

class SoftwareKernel final : public LinuxKernel {
 public:
  constexpr SoftwareKernel() noexcept = default;

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override {
    int error = 0;
    std::unique_ptr<emulation::World> world = emulation::make_os_world(error, most_helpers.load());
    if (world == nullptr) return error;
    std::unique_ptr<emulation::SoftwareRing> opened(new (std::nothrow)
                                                        emulation::SoftwareRing(std::move(world)));
    if (opened == nullptr) return -ENOMEM;
    if (const int result = opened->open(params); result < 0) return result;
    ring = std::move(opened);
    return 0;
  }

  std::string_view name() const noexcept override { return "io_uring, emulated"; }
};

// ---- the choice ----

void print_emulation(std::error_code reason) {
  std::fprintf(
      stderr,
      "corering: io_uring cannot be used here (%s); this process runs on the emulation, which is slower\n",
      reason.message().c_str());
}

std::atomic<KernelChoice> preferred = KernelChoice::io_uring;
std::atomic<EmulationHook> emulation_hook = print_emulation;

/// Returns 0 if a ring can be opened, or -errno. Want of memory or descriptors says nothing about that.
int try_real_ring() noexcept {
  RingParams smallest{.sq_entries = 1};
  std::unique_ptr<KernelRing> ring;
  const int result = real_kernel().open_ring(smallest, ring);
  if (result == 0 && (smallest.features & uapi::feature_ext_arg) == 0) return -ENOSYS;
  return result == -EPERM || result == -ENOSYS || result == -EACCES ? result : 0;
}

Kernel& whichever_is_allowed() noexcept {
  static const int error = [] {
    const int result = try_real_ring();
    if (result < 0) emulation_hook.load()(std::error_code(-result, std::system_category()));
    return result;
  }();
  return error == 0 ? real_kernel() : emulated_kernel();
}

}  // namespace

Kernel& emulated_kernel() noexcept {
  static constinit Immortal<SoftwareKernel> kernel;
  return kernel.object;
}

void set_emulation(const EmulationOptions& options) noexcept { most_helpers = options.most_helpers; }

void prefer_kernel(KernelChoice choice) noexcept { preferred = choice; }

void on_emulation(EmulationHook hook) noexcept { emulation_hook = hook == nullptr ? print_emulation : hook; }

namespace {
Kernel& kernel_by_choice() noexcept {
  switch (kernel_choice_in_environment().value_or(preferred.load())) {
    case KernelChoice::io_uring:
      break;
    case KernelChoice::emulated:
      return emulated_kernel();
    case KernelChoice::automatic:
      return whichever_is_allowed();
  }
  return real_kernel();
}
}  // namespace

Kernel& default_kernel() noexcept {
  if (Outside* const world = os::world(); world != nullptr && world->kernel() != nullptr)
    return *world->kernel();
  Kernel* const taped = replay::kernel_of_environment(&kernel_by_choice);
  return taped != nullptr ? *taped : kernel_by_choice();
}

}  // namespace corering
