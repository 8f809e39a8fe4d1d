/// calls_processes.cpp — reading a signalfd, and waiting for a child.
#include <bit>
#include <cerrno>
#include <csignal>
#include <expected>
#include <string>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/kernel_memory.hpp"
#include "sim/calls.hpp"

namespace corering::sim::calls {

Answer read_signals(System& system, SignalFile& file, Call& call) {
  const Buffers into(call);
  const std::size_t room = into.size() / sizeof(signalfd_siginfo);
  if (room == 0) return Answer::done(-EINVAL);
  if ((file.pending & file.signals) == 0) return nothing_now(file, call, POLLIN);
  std::string told;
  for (std::size_t i = 0; i < room && (file.pending & file.signals) != 0; ++i) {
    signalfd_siginfo info{};
    const int signal = std::countr_zero(file.pending & file.signals) + 1;
    info.ssi_signo = static_cast<std::uint32_t>(signal);
    system.machine().take_signal(signal);
    told.append(reinterpret_cast<const char*>(&info), sizeof info);
  }
  into.fill(told.data(), told.size());
  return Answer::done(static_cast<std::int64_t>(told.size()));
}

namespace {

/// What waitid(2) fills; of a child that runs still, zeros.
void tell(const ChildProcess& child, siginfo_t* into) noexcept {
  if (into == nullptr) return;
  const kernel_memory::Lifted lifted(into, sizeof *into);
  const bool has_ended = child.has_ended();
  into->si_signo = has_ended ? SIGCHLD : 0;
  into->si_errno = 0;
  into->si_code = !has_ended ? 0 : child.killed_by ? CLD_KILLED : CLD_EXITED;
  into->si_pid = has_ended ? child.pid : 0;
  into->si_uid = 0;
  into->si_status = has_ended ? child.killed_by.value_or(child.plan.code) : 0;
}

constexpr int for_what = WEXITED | WSTOPPED | WCONTINUED;

/// Returns the child that is meant, or -errno.
std::expected<ChildProcess*, int> child_of(System& system, const std::shared_ptr<Object>& object,
                                           const Call& call) noexcept {
  const auto options = static_cast<int>(call.sqe.file_index);
  if ((options & for_what) == 0 || (options & ~(for_what | WNOHANG | WNOWAIT)) != 0)
    return std::unexpected(-EINVAL);
  if (call.sqe.len == P_PID) {
    ChildProcess* const child = system.machine().find_child(call.sqe.fd);
    return child != nullptr ? std::expected<ChildProcess*, int>(child) : std::unexpected(-ECHILD);
  }
  if (call.sqe.len != P_PIDFD) return std::unexpected(-EOPNOTSUPP);
  if (object == nullptr || object->kind != Object::Kind::process) return std::unexpected(-EBADF);
  auto& child = static_cast<ChildProcess&>(*object);
  if (child.state == ChildProcess::State::waited) return std::unexpected(-ECHILD);
  return &child;
}

}  // namespace

// A child neither stops nor continues, so who waits for that alone waits for ever.
Answer wait_for_child(System& system, const std::shared_ptr<Object>& object, Call& call) {
  const std::expected<ChildProcess*, int> found = child_of(system, object, call);
  if (!found) return Answer::done(found.error());
  ChildProcess& child = **found;
  const auto options = static_cast<int>(call.sqe.file_index);
  const bool is_it = child.has_ended() && (options & WEXITED) != 0;
  if (!is_it && (options & WNOHANG) == 0) {
    const std::shared_ptr<Object>* const pidfd = system.find(child.number);
    if (pidfd == nullptr || pidfd->get() != &child) return Answer::done(-EOPNOTSUPP);  // it was closed
    return Answer::waits(child.number, POLLIN);
  }
  tell(child, pointer_to<siginfo_t>(call.sqe.off));
  if (is_it && (options & WNOWAIT) == 0) {
    child.state = ChildProcess::State::waited;
    system.machine().forget_child(child);
  }
  return Answer::done(0);
}

}  // namespace corering::sim::calls
