/// setup_error.cpp — the sentences for set-ups that failed. Each sentence names every usual cause, because
/// the errno alone does not.
#include <array>
#include <cerrno>
#include <string>

#include <corering/uring/capabilities.hpp>
#include <corering/uring/kernel_choice.hpp>
#include <corering/uring/setup_error.hpp>

#include "base/immortal.hpp"

namespace corering {
namespace {

constexpr int step_unit = 1 << 16;

struct Advice {
  SetupStep step;
  int errno_value;
  const char* sentence;
};

constexpr std::array advices = {
    Advice{
        SetupStep::ring, EPERM,
        "io_uring is not permitted here: allow the io_uring system calls in the seccomp profile "
        "(containers block "
        "them by default), or set the sysctl kernel.io_uring_disabled to 0; or run on the emulation, which "
        "is slower: CORERING_KERNEL=auto"},
    Advice{
        SetupStep::ring, EACCES,
        "io_uring is denied here: allow it in the security module's policy (SELinux, AppArmor) or the "
        "seccomp "
        "profile, and check that the sysctl kernel.io_uring_disabled is 0; or run on the emulation, which is "
        "slower: CORERING_KERNEL=auto"},
    Advice{SetupStep::ring, ENOSYS,
           "this kernel offers no io_uring: run Linux 5.19 or newer (best 6.1), or allow the io_uring system "
           "calls in "
           "the seccomp "
           "profile (some answer ENOSYS), and check that the sysctl kernel.io_uring_disabled is 0; or run on "
           "the "
           "emulation, which is slower: CORERING_KERNEL=auto"},
    Advice{SetupStep::ring, ENOMEM,
           "no memory for the ring: raise RLIMIT_MEMLOCK (ulimit -l), or ask for fewer sq_entries and "
           "cq_entries"},
    Advice{SetupStep::ring, EMFILE,
           "no descriptor is left for the ring: raise RLIMIT_NOFILE (ulimit -n), or close descriptors that "
           "you do not need"},
    Advice{SetupStep::ring, ENFILE, "the system has too many open files: raise the sysctl fs.file-max"},
    Advice{SetupStep::ring, EINVAL,
           "the kernel refused the ring even without optional flags: run Linux 5.19 or newer (best 6.1), and "
           "outside of a sandbox that imitates io_uring"},
    Advice{SetupStep::sizes, EINVAL,
           "the ring cannot have the size that was asked for: sq_entries must be 1 to 32768, and cq_entries "
           "0, or "
           "at least sq_entries"},
    Advice{SetupStep::eventfd, EMFILE,
           "no descriptor is left for the eventfd: raise RLIMIT_NOFILE (ulimit -n), or close descriptors "
           "that you do not need"},
    Advice{SetupStep::doorbell, EMFILE,
           "no descriptor is left for an event loop to watch: raise RLIMIT_NOFILE (ulimit -n), or close "
           "descriptors that you do not need"},
    Advice{SetupStep::thread, EAGAIN,
           "no thread could be started: raise RLIMIT_NPROC (ulimit -u) or the cgroup's pids.max"},
    Advice{
        SetupStep::helper, EAGAIN,
        "the kernel could not start a helper thread, which this operation needs: raise RLIMIT_NPROC (ulimit "
        "-u) or the cgroup's pids.max"},
    Advice{
        SetupStep::pinning, EINVAL,
        "the worker cannot be pinned: the processor asked for does not exist or is not in this process's set "
        "(taskset -p, cgroup cpuset)"},
    Advice{SetupStep::mask, EINVAL,
           "the environment variable CORERING_MASK names something that cannot be hidden: unset it, or use "
           "names that `corering doctor` prints, separated by commas"},
    Advice{SetupStep::kernel, EINVAL,
           "the environment variable CORERING_KERNEL names no kernel: unset it, or set it to io_uring, "
           "emulated or auto"},
    Advice{SetupStep::restrictions, EINVAL,
           "WorkerOptions::allow names an opcode that this kernel does not know: leave it out"},
    Advice{SetupStep::replay, EINVAL,
           "the environment variable CORERING_REPLAY names a run that cannot be replayed"},
};

constexpr std::array step_names = {
    "io_uring_setup", "eventfd", "starting the thread", "pinning the thread",      "CORERING_MASK",
    "WorkerOptions",  "io-wq",   "CORERING_KERNEL",     "the worker's descriptor", "WorkerOptions::allow",
    "CORERING_REPLAY"};

class SetupCategory final : public std::error_category {
 public:
  constexpr SetupCategory() noexcept = default;
  const char* name() const noexcept override { return "corering.setup"; }

  std::string message(int value) const override {
    const auto step = static_cast<SetupStep>(value / step_unit);
    const int errno_value = value % step_unit;
    for (const Advice& advice : advices) {
      if (advice.step == step && advice.errno_value == errno_value) return sentence(advice.sentence, value);
    }
    return sentence("the worker could not be set up", value);
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    return std::system_category().default_error_condition(value % step_unit);
  }

 private:
  static std::string sentence(const char* text, int value) {
    const auto step = static_cast<SetupStep>(value / step_unit);
    const bool is_name = step == SetupStep::mask || step == SetupStep::kernel;
    const std::string_view wrong = step == SetupStep::mask ? wrong_name_in_mask() : wrong_kernel_name();
    if (is_name) return std::string(text).append(" (not '").append(wrong).append("')");
    return std::string(text) + " (" + step_names[static_cast<std::size_t>(value / step_unit)] + ": " +
           std::system_category().message(value % step_unit) + ")";
  }
};

}  // namespace

const std::error_category& setup_category() noexcept {
  static constinit Immortal<SetupCategory> category;
  return category.object;
}

std::error_code setup_error(SetupStep step, int errno_value) noexcept {
  return {static_cast<int>(step) * step_unit + errno_value, setup_category()};
}

}  // namespace corering
