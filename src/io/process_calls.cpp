/// process_calls.cpp — waits for a child, on new and on old kernels.
#include <cerrno>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <corering/io/control_calls.hpp>
#include <corering/io/process_calls.hpp>

namespace corering {
namespace {

// A pidfd is readable when its process has ended.
Task<Result<void>> wait_by_pidfd(idtype_t type, id_t id, siginfo_t& into, int options) {
  Fd opened;
  if (type == P_PID) {
    opened = Fd(static_cast<int>(::syscall(SYS_pidfd_open, id, 0)));
    if (!opened.is_open()) co_return failure(errno == ESRCH ? ECHILD : errno);
  }
  const int pidfd = type == P_PID ? opened.get() : static_cast<int>(id);
  const Result<unsigned> ended = co_await async_poll(pidfd, POLLIN);
  if (!ended) co_return std::unexpected(ended.error());
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &into, options | WNOHANG) != 0) co_return failure(errno);
  co_return Result<void>();
}

}  // namespace

Task<Result<void>> async_waitid(idtype_t type, id_t id, siginfo_t& into, int options) {
  if (here::capabilities().has(Opcode::waitid)) {
    const IoOperation<void> wait(Request{.fd = static_cast<int>(id),
                                         .len = static_cast<std::uint32_t>(type),
                                         .off = reinterpret_cast<std::uintptr_t>(&into),
                                         .head = head(Opcode::waitid),
                                         .extra = with_file_index(static_cast<std::uint32_t>(options))});
    co_return co_await wait;
  }
  if ((options & WNOHANG) != 0) {
    if (::waitid(type, id, &into, options) != 0) co_return failure(errno);
    co_return Result<void>();
  }
  const bool one_process = type == P_PID || type == P_PIDFD;
  const bool only_its_end = (options & (WSTOPPED | WCONTINUED)) == 0;
  if (!one_process || !only_its_end) co_return std::unexpected(Need(Opcode::waitid).unmet());
  co_return co_await wait_by_pidfd(type, id, into, options);
}

}  // namespace corering
