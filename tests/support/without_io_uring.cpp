/// without_io_uring.cpp — runs a command where io_uring's three system calls are refused, as Docker's profile
/// does.
///
/// The filter is a real one of seccomp(2), so that every child of the command has it, too, and nobody can
/// take it off. Every other system call goes through. no_new_privs is set, because only root may do without
/// it: so programs that are set-user-ID (sudo, ping) keep the rights of the caller. The command replaces this
/// program. So whoever waits for it sees the command's own exit status, or the signal that ended it.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>

namespace {

// io_uring_setup, io_uring_enter, io_uring_register: the same numbers on both architectures, and for their
// 32-bit programs.
constexpr std::uint32_t first_call = 425;
constexpr std::uint32_t last_call = 427;

#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t architecture_of_32_bit = AUDIT_ARCH_I386;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t architecture_of_32_bit = AUDIT_ARCH_ARM;
#else
#error "add the two architectures of this processor (linux/audit.h)"
#endif
// x32 programs (x86-64 with 32-bit addresses) have this bit in the number, and are of the architecture
// x86-64.
constexpr std::uint32_t x32_bit = 0x40000000;

// What env(1) and nohup(1) answer when they cannot do their own part.
constexpr int failed_itself = 125;
constexpr int not_executable = 126;
constexpr int not_found = 127;

constexpr std::string_view usage =
    "usage: without_io_uring [--enosys] COMMAND [ARGUMENT...]   (io_uring answers EPERM, or ENOSYS as on an "
    "old "
    "kernel)\n";

constexpr sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
constexpr sock_filter and_with(std::uint32_t mask) { return BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask); }
/// Skips as many instructions as are named for a yes and for a no.
constexpr sock_filter if_equal(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
constexpr sock_filter if_at_least(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, value, yes, no);
}
constexpr sock_filter answer(std::uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }

/// Takes effect for this thread, and for everything it starts. False: errno says why.
bool refuse_io_uring(int error) {
  std::array<sock_filter, 10> filter = {{
      load(offsetof(seccomp_data, arch)),
      if_equal(architecture, 2, 0),
      if_equal(architecture_of_32_bit, 1, 0),
      answer(SECCOMP_RET_KILL_PROCESS),  // what these numbers mean there is not known
      load(offsetof(seccomp_data, nr)),
      and_with(~x32_bit),
      if_at_least(first_call, 0, 2),
      if_at_least(last_call + 1, 1, 0),
      answer(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
      answer(SECCOMP_RET_ALLOW),
  }};
  const sock_fprog program = {.len = static_cast<unsigned short>(filter.size()), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int fail(const char* what, int status) {
  std::fprintf(stderr, "without_io_uring: %s: %s\n", what, std::strerror(errno));
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h") return std::fputs(usage.data(), stdout) < 0 ? failed_itself : 0;
  const bool old_kernel = first == "--enosys";
  char** const command = argv + (old_kernel ? 2 : 1);
  if (argc < 1 || *command == nullptr || **command == '-' || **command == '\0') {
    return std::fputs(usage.data(), stderr), failed_itself;
  }
  if (!refuse_io_uring(old_kernel ? ENOSYS : EPERM))
    return fail("no seccomp filter can be set here", failed_itself);
  ::execvp(*command, command);
  return fail(*command, errno == ENOENT ? not_found : not_executable);
}
