/// os_calls_connections.cpp — accept and connect, which never wait although their sockets may block.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "emulation/no_waiting.hpp"
#include "emulation/os_calls.hpp"

namespace corering::emulation {
namespace {

// Something else answers accept4(2) with an error at once.
bool is_listening(int fd) noexcept {
  int answer = 0;
  socklen_t length = sizeof answer;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &answer, &length) == 0 && answer != 0;
}

// Nothing is there to be accepted.
bool would_wait(int listener) noexcept {
  return shown_events(listener, POLLIN) == 0 && is_listening(listener);
}

std::int64_t accept_now(const Call& call) noexcept {
  const int flags = static_cast<int>(call.sqe.op_flags) | (call.keeps_private ? SOCK_CLOEXEC : 0);
  const NoWaiting no_waiting(call.sqe.fd, SO_RCVTIMEO);
  if (would_wait(call.sqe.fd)) return -EAGAIN;
  return retried([&] {
    return ::accept4(call.sqe.fd, pointer<sockaddr>(call.sqe.addr), pointer<socklen_t>(call.sqe.off), flags);
  });
}

std::int64_t connect_now(const Call& call) noexcept {
  const NoWaiting no_waiting(call.sqe.fd, SO_SNDTIMEO);
  return retried([&] {
    return ::connect(call.sqe.fd, pointer<const sockaddr>(call.sqe.addr),
                     static_cast<socklen_t>(call.sqe.off));
  });
}

std::int64_t error_of_socket(int fd) noexcept {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? -error : -errno;
}

// What a connection that was begun has come to. The socket itself learns it by a second connect(2).
std::int64_t connected(const Call& call) noexcept {
  const std::int32_t shown = shown_events(call.sqe.fd, POLLOUT);
  if (shown == 0) return -EINPROGRESS;
  if (shown < 0) return shown;
  if ((shown & POLLERR) != 0) return error_of_socket(call.sqe.fd);
  const std::int64_t result = connect_now(call);
  return result == -EISCONN || result == -EBADFD ? error_of_socket(call.sqe.fd) : result;
}

}  // namespace

namespace calls {

Answer accept(DescriptorRecords&, Call& call) noexcept {
  const bool may_wait = (call.sqe.ioprio & uapi::accept_dontwait) == 0;
  const bool waits = !call.was_ready && would_wait(call.sqe.fd);
  const std::int64_t result = waits ? -EAGAIN : accept_now(call);
  if (result == -EAGAIN && may_wait) return Answer::waits(call.sqe.fd, POLLIN);
  return Answer::done(result);
}

// `moved` says that the connection was begun.
Answer connect(DescriptorRecords&, Call& call) noexcept {
  const bool was_begun = call.moved > 0;
  const std::int64_t result = was_begun ? connected(call) : connect_now(call);
  if (result == -EINPROGRESS || (was_begun && result == -EALREADY)) {
    call.moved = 1;
    return Answer::waits(call.sqe.fd, POLLOUT);
  }
  // The listener of a Unix socket has a full line, and nothing tells when there is room.
  const bool may_wait = result == -EAGAIN && (::fcntl(call.sqe.fd, F_GETFL) & O_NONBLOCK) == 0;
  if (may_wait) return Answer::later(std::chrono::milliseconds(1));
  return Answer::done(result);
}

}  // namespace calls
}  // namespace corering::emulation
