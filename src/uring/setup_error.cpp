/// setup_error.cpp — the sentences for set-ups that failed. Each sentence names every usual cause, because
/// the errno alone does not.
#include <array>
#include <cerrno>
#include <string>

#include <corering/uring/capabilities.hpp>
#include <corering/uring/setup_error.hpp>

namespace corering {
namespace {

constexpr int step_unit = 1 << 16;

struct Advice {
  SetupStep step;
  int errno_value;
  const char* sentence;
};

constexpr std::array advices = {
    Advice{SetupStep::ring, EPERM,
           "io_uring is not permitted here: allow the io_uring system calls in the seccomp profile "
           "(containers block "
           "them by default), or set the sysctl kernel.io_uring_disabled to 0"},
    Advice{SetupStep::ring, EACCES,
           "io_uring is denied here: allow it in the security module's policy (SELinux, AppArmor) or the "
           "seccomp "
           "profile, and check that the sysctl kernel.io_uring_disabled is 0"},
    Advice{SetupStep::ring, ENOSYS,
           "this kernel offers no io_uring: run Linux 5.19 or newer (best 6.1), or allow the io_uring system "
           "calls in "
           "the seccomp "
           "profile (some answer ENOSYS), and check that the sysctl kernel.io_uring_disabled is 0"},
    Advice{SetupStep::ring, ENOMEM,
           "no memory for the ring: raise RLIMIT_MEMLOCK (ulimit -l), or ask for fewer sq_entries and "
           "cq_entries"},
    Advice{SetupStep::ring, EMFILE,
           "no descriptor is left for the ring: raise RLIMIT_NOFILE (ulimit -n), or close descriptors that "
           "you do not need"},
    Advice{SetupStep::ring, ENFILE, "the system has too many open files: raise the sysctl fs.file-max"},
    Advice{SetupStep::ring, EINVAL,
           "the kernel refused the ring even without optional flags: sq_entries must be 1 to 32768, and "
           "cq_entries 0 "
           "or at least sq_entries"},
    Advice{SetupStep::eventfd, EMFILE,
           "no descriptor is left for the eventfd: raise RLIMIT_NOFILE (ulimit -n), or close descriptors "
           "that you do not need"},
    Advice{SetupStep::thread, EAGAIN,
           "no thread could be started: raise RLIMIT_NPROC (ulimit -u) or the cgroup's pids.max"},
    Advice{
        SetupStep::pinning, EINVAL,
        "the worker cannot be pinned: the processor asked for does not exist or is not in this process's set "
        "(taskset -p, cgroup cpuset)"},
    Advice{SetupStep::mask, EINVAL,
           "the environment variable CORERING_MASK names something that cannot be hidden: unset it, or use "
           "names that `corering doctor` prints, separated by commas"},
};

constexpr std::array step_names = {"io_uring_setup", "eventfd", "starting the thread", "pinning the thread",
                                   "CORERING_MASK"};

class SetupCategory final : public std::error_category {
 public:
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
    if (value / step_unit == static_cast<int>(SetupStep::mask)) {
      return std::string(text).append(" (not '").append(wrong_name_in_mask()).append("')");
    }
    return std::string(text) + " (" + step_names[static_cast<std::size_t>(value / step_unit)] + ": " +
           std::system_category().message(value % step_unit) + ")";
  }
};

}  // namespace

const std::error_category& setup_category() noexcept {
  static const SetupCategory category;
  return category;
}

std::error_code setup_error(SetupStep step, int errno_value) noexcept {
  return {static_cast<int>(step) * step_unit + errno_value, setup_category()};
}

}  // namespace corering
