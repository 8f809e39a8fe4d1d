/// os_calls_waits.cpp — splice, epoll sets and child processes: they wait for something besides their own
/// descriptor.
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulation/no_waiting.hpp"
#include "emulation/os_calls.hpp"

namespace corering::emulation {
namespace {

int input_of(const Call& call) noexcept { return static_cast<int>(call.sqe.file_index); }

// Both ends must be ready, or show an error. Which one is not?
bool finds_unready_end(const Call& call, Answer& wait) noexcept {
  if (shown_events(input_of(call), POLLIN) == 0) {
    wait = Answer::waits(input_of(call), POLLIN);
    return true;
  }
  wait = Answer::waits(call.sqe.fd, POLLOUT);
  return shown_events(call.sqe.fd, POLLOUT) == 0;
}

std::int64_t splice_now(const Call& call) noexcept {
  const unsigned flags = call.sqe.op_flags | SPLICE_F_NONBLOCK;
  if (opcode_of(call) == Opcode::tee) {
    return retried([&] { return ::tee(input_of(call), call.sqe.fd, call.sqe.len, flags); });
  }
  auto from = static_cast<off64_t>(call.sqe.addr);
  auto to = static_cast<off64_t>(call.sqe.off);
  off64_t* const from_position = from == -1 ? nullptr : &from;
  off64_t* const to_position = to == -1 ? nullptr : &to;
  return retried(
      [&] { return ::splice(input_of(call), from_position, call.sqe.fd, to_position, call.sqe.len, flags); });
}

// What splice(2) and tee(2) would say before they wait for anything.
int refusal_of(const Call& call) noexcept {
  struct stat from{}, to{};
  if (::fstat(input_of(call), &from) != 0 || ::fstat(call.sqe.fd, &to) != 0) return -EBADF;
  const auto access = [](int fd) { return ::fcntl(fd, F_GETFL) & O_ACCMODE; };
  if (access(input_of(call)) == O_WRONLY || access(call.sqe.fd) == O_RDONLY) return -EBADF;
  const bool is_tee = opcode_of(call) == Opcode::tee;
  const bool from_pipe = S_ISFIFO(from.st_mode), to_pipe = S_ISFIFO(to.st_mode);
  if (is_tee ? !from_pipe || !to_pipe : !from_pipe && !to_pipe) return -EINVAL;
  constexpr std::uint64_t own_position = ~std::uint64_t{0};
  const bool has_places =
      (from_pipe && call.sqe.addr != own_position) || (to_pipe && call.sqe.off != own_position);
  if (!is_tee && has_places) return -ESPIPE;
  const bool is_same = from_pipe && to_pipe && from.st_ino == to.st_ino && from.st_dev == to.st_dev;
  return is_same ? -EINVAL : 0;
}

bool must_not_wait(const Call& call) noexcept { return (call.sqe.op_flags & SPLICE_F_NONBLOCK) != 0; }

}  // namespace

namespace calls {

Answer splice(DescriptorRecords&, Call& call) noexcept {
  Answer wait;
  if (call.sqe.len == 0) return Answer::done(0);
  if (must_not_wait(call) || !finds_unready_end(call, wait)) return Answer::helper();
  const int refusal = refusal_of(call);
  return refusal < 0 ? Answer::done(refusal) : wait;
}

Answer splice_lent(Call& call) noexcept {
  Answer wait;
  if (finds_unready_end(call, wait)) return must_not_wait(call) ? Answer::done(-EAGAIN) : wait;
  // SPLICE_F_NONBLOCK does not keep a socket from waiting for its peer, and nobody could end that.
  std::optional<NoWaiting> no_waiting;
  if (is_socket(call.sqe.fd)) no_waiting.emplace(call.sqe.fd, SO_SNDTIMEO);
  const std::int64_t result = splice_now(call);
  no_waiting.reset();
  if (result != -EAGAIN || must_not_wait(call)) return Answer::done(result);
  // It says that it is ready and is not: a pipe with room, but less than a page of it.
  return finds_unready_end(call, wait) ? wait : Answer::later(std::chrono::milliseconds(1));
}

// ---- epoll sets ----

Answer epoll_wait(DescriptorRecords&, Call& call) noexcept {
  const std::int64_t found = retried([&] {
    return ::epoll_wait(call.sqe.fd, pointer<epoll_event>(call.sqe.addr), static_cast<int>(call.sqe.len), 0);
  });
  return found == 0 ? Answer::waits(call.sqe.fd, POLLIN) : Answer::done(found);
}

Answer epoll_ctl(DescriptorRecords&, Call& call) noexcept {
  return Answer::done(retried([&] {
    return ::epoll_ctl(call.sqe.fd, static_cast<int>(call.sqe.len), static_cast<int>(call.sqe.off),
                       pointer<epoll_event>(call.sqe.addr));
  }));
}

}  // namespace calls

// ---- children ----

namespace {

constexpr auto between_looks = std::chrono::milliseconds(10);

// The kernel's ring fills these and leaves the rest alone.
void tell(siginfo_t& into, const siginfo_t& found) noexcept {
  into.si_signo = found.si_signo;
  into.si_errno = found.si_errno;
  into.si_code = found.si_code;
  into.si_pid = found.si_pid;
  into.si_uid = found.si_uid;
  into.si_status = found.si_status;
}

// A pidfd is readable when its process has ended. Stops and groups have no descriptor.
Answer wait_by_pidfd(Call& call, idtype_t type, int options) noexcept {
  const bool only_its_end = (options & (WSTOPPED | WCONTINUED)) == 0;
  if (!only_its_end || (type != P_PID && type != P_PIDFD)) return Answer::later(between_looks);
  if (type == P_PIDFD) return Answer::waits(call.sqe.fd, POLLIN);
  const long pidfd = ::syscall(SYS_pidfd_open, call.sqe.fd, 0);
  if (pidfd < 0) return Answer::later(between_looks);
  call.note = pointer<void>(static_cast<std::uint64_t>(pidfd) + 1);
  return Answer::waits(static_cast<int>(pidfd), POLLIN);
}

}  // namespace

namespace calls {

Answer wait_for_child(DescriptorRecords&, Call& call) noexcept {
  const auto type = static_cast<idtype_t>(call.sqe.len);
  const int options = static_cast<int>(call.sqe.file_index);
  siginfo_t found{};
  const std::int64_t failed =
      retried([&] { return ::waitid(type, static_cast<id_t>(call.sqe.fd), &found, options | WNOHANG); });
  if (failed != 0) return Answer::done(failed);
  if (found.si_pid == 0 && (options & WNOHANG) == 0) return wait_by_pidfd(call, type, options);
  if (auto* const into = pointer<siginfo_t>(call.sqe.off); into != nullptr) tell(*into, found);
  return Answer::done(0);
}

int pidfd_of(const Call& call) noexcept {
  if (opcode_of(call) != Opcode::waitid) return -1;
  return static_cast<int>(reinterpret_cast<std::uintptr_t>(call.note)) - 1;
}

}  // namespace calls
}  // namespace corering::emulation
