/// calls_processes.cpp — reading a signalfd, and waiting for a child.
#include <bit>
#include <cerrno>
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

void tell(const ChildProcess& child, siginfo_t* into) noexcept {
  if (into == nullptr) return;
  const kernel_memory::Lifted lifted(into, sizeof *into);
  into->si_signo = SIGCHLD;
  into->si_errno = 0;
  into->si_code = child.killed_by ? CLD_KILLED : CLD_EXITED;
  into->si_pid = child.pid;
  into->si_uid = 0;
  into->si_status = child.killed_by.value_or(child.plan.code);
}

}  // namespace

// Only for the end of one child, by its pidfd.
Answer wait_for_child(System& /*system*/, const std::shared_ptr<Object>& object, Call& call) {
  const auto options = static_cast<int>(call.sqe.file_index);
  if (call.sqe.len != P_PIDFD) return Answer::done(-EOPNOTSUPP);
  if (object == nullptr) return Answer::done(-EBADF);
  if (object->kind != Object::Kind::process || (options & WEXITED) == 0) return Answer::done(-EINVAL);
  auto& child = static_cast<ChildProcess&>(*object);
  if (child.state == ChildProcess::State::waited) return Answer::done(-ECHILD);
  const bool has_ended = child.has_ended();
  if (!has_ended && (options & WNOHANG) == 0) return Answer::waits(call.sqe.fd, POLLIN);
  if (has_ended) tell(child, pointer_to<siginfo_t>(call.sqe.off));
  if (has_ended && (options & WNOWAIT) == 0) child.state = ChildProcess::State::waited;
  return Answer::done(0);
}

}  // namespace corering::sim::calls
