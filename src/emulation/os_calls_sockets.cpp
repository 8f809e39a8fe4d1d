/// os_calls_sockets.cpp — what is done with a socket, without waiting.
#include <algorithm>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "emulation/os_calls.hpp"
#include "emulation/rest_of_call.hpp"

namespace corering::emulation {
namespace {

using Record = DescriptorRecords::Record;
using SocketKind = DescriptorRecords::SocketKind;

int option_of(int fd, int name) noexcept {
  int value = -1;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
}

/// The message of one receive or send, without what has been moved already.
struct Message {
  iovec one;
  msghdr header{};
  msghdr* from_user = nullptr;

  explicit Message(const Call& call) noexcept : one{pointer<void>(call.sqe.addr), call.sqe.len} {
    const Opcode opcode = opcode_of(call);
    if (opcode == Opcode::recvmsg || opcode == Opcode::sendmsg || opcode == Opcode::sendmsg_zc) {
      from_user = pointer<msghdr>(call.sqe.addr);
      header = *from_user;
    } else {
      header.msg_iov = &one;
      header.msg_iovlen = 1;
      if (opcode != Opcode::recv) add_what_sends_have(call);
    }
    if (call.part_count > 0) {
      header.msg_iov = const_cast<iovec*>(call.parts);
      header.msg_iovlen = call.part_count;
    }
  }
  Message(Message&&) = delete;

  // An address, and a list of buffers.
  void add_what_sends_have(const Call& call) noexcept {
    header.msg_name = pointer<void>(call.sqe.off);
    header.msg_namelen = header.msg_name == nullptr ? 0 : call.sqe.file_index & 0xffff;
    if ((call.sqe.ioprio & uapi::send_vectorized) == 0) return;
    header.msg_iov = pointer<iovec>(call.sqe.addr);
    header.msg_iovlen = call.sqe.len;
  }

  // Receiving tells more than the bytes.
  void tell_user() const noexcept {
    if (from_user == nullptr) return;
    from_user->msg_namelen = header.msg_namelen;
    from_user->msg_controllen = header.msg_controllen;
    from_user->msg_flags = header.msg_flags;
  }
};

/// What one system call came to.
struct Step {
  std::int64_t moved;  ///< or -errno
  bool is_full;
};

Step step_of(std::int64_t moved, std::uint64_t asked) noexcept {
  return {.moved = moved, .is_full = moved >= 0 && static_cast<std::uint64_t>(moved) >= asked};
}

// The usual case, without the detour of a message.
bool has_one_buffer(const Call& call) noexcept {
  const Opcode opcode = opcode_of(call);
  const bool is_simple = opcode == Opcode::recv || opcode == Opcode::send || opcode == Opcode::send_zc;
  return is_simple && call.part_count == 0 && call.moved == 0 &&
         (call.sqe.ioprio & uapi::send_vectorized) == 0;
}

Step receive_once(Call& call, int flags) noexcept {
  if (has_one_buffer(call)) {
    void* const into = pointer<void>(call.sqe.addr);
    return step_of(retried([&] { return ::recv(call.sqe.fd, into, call.sqe.len, flags); }), call.sqe.len);
  }
  Message message(call);
  const RestOfCall rest(message.header.msg_iov, message.header.msg_iovlen, call.moved);
  message.header.msg_iov = const_cast<iovec*>(rest.data());
  message.header.msg_iovlen = rest.count();
  const std::int64_t moved = retried([&] { return ::recvmsg(call.sqe.fd, &message.header, flags); });
  if (moved >= 0) message.tell_user();
  return step_of(moved, rest.bytes());
}

Step send_once(Call& call, int flags) noexcept {
  if (has_one_buffer(call) && call.sqe.off == 0) {
    const void* const from = pointer<const void>(call.sqe.addr);
    return step_of(retried([&] { return ::send(call.sqe.fd, from, call.sqe.len, flags); }), call.sqe.len);
  }
  Message message(call);
  const RestOfCall rest(message.header.msg_iov, message.header.msg_iovlen, call.moved);
  message.header.msg_iov = const_cast<iovec*>(rest.data());
  message.header.msg_iovlen = rest.count();
  if (call.moved > 0) message.header.msg_controllen = 0;  // went with the first part
  return step_of(retried([&] { return ::sendmsg(call.sqe.fd, &message.header, flags); }), rest.bytes());
}

bool is_zero_copy(const Call& call) noexcept {
  return opcode_of(call) == Opcode::send_zc || opcode_of(call) == Opcode::sendmsg_zc;
}

// As in the kernel: only the internet's protocols know zero copy. What is no socket says so by itself.
bool can_do_zero_copy(int fd) noexcept { return option_of(fd, SO_DOMAIN) != AF_UNIX; }

// MSG_WAITALL goes on until all is moved, where bytes have no boundaries.
bool goes_on(const Call& call) noexcept {
  if ((call.sqe.op_flags & (MSG_WAITALL | MSG_PEEK)) != MSG_WAITALL) return false;
  const int type = option_of(call.sqe.fd, SO_TYPE);
  return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

bool has_more(const Call& call) noexcept {
  const Message message(call);
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < message.header.msg_iovlen; ++i) all += message.header.msg_iov[i].iov_len;
  return call.moved < all;
}

// ---- the hint that nothing is there ----

// With these flags a receive takes what has arrived in order, and nothing else.
bool is_plain(const Call& call) noexcept {
  constexpr std::uint32_t harmless = MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
  return (call.sqe.op_flags & ~harmless) == 0;
}

bool asks_for_bytes(const Call& call) noexcept { return call.part_count > 0 || call.sqe.len > 0; }

void note_what_is_left(DescriptorRecords& descriptors, const Call& call, const Step& step) noexcept {
  Record* const record = descriptors.make(call.sqe.fd);
  if (record == nullptr || !is_plain(call)) return;
  if (record->socket == SocketKind::unknown && !step.is_full) learn_socket(*record, call.sqe.fd);
  const bool found_less = step.moved > 0 && !step.is_full;
  record->is_drained = found_less && record->socket == SocketKind::stream;
}

bool waits_first(DescriptorRecords& descriptors, const Call& call) noexcept {
  if (call.was_ready || (call.sqe.op_flags & MSG_DONTWAIT) != 0) return false;
  if ((call.sqe.ioprio & uapi::recvsend_poll_first) != 0 && call.moved == 0) return true;
  if (!is_plain(call) || !asks_for_bytes(call)) return false;
  const Record* const record = descriptors.find(call.sqe.fd);
  return record != nullptr && record->is_drained;
}

std::uint32_t receive_event(const Call& call) noexcept {
  if ((call.sqe.op_flags & MSG_ERRQUEUE) != 0) return POLLERR;
  return (call.sqe.op_flags & MSG_OOB) != 0 ? POLLPRI : POLLIN;
}

}  // namespace

void learn_socket(Record& record, int fd) noexcept {
  // With SO_RCVLOWAT it says that nothing is there as long as there is less.
  const bool tells_of_each_byte = option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_RCVLOWAT) <= 1;
  record.socket = tells_of_each_byte ? SocketKind::stream : SocketKind::other;
}

namespace calls {

Answer receive(DescriptorRecords& descriptors, Call& call) noexcept {
  if (waits_first(descriptors, call)) return Answer::waits(call.sqe.fd, receive_event(call));
  const int flags = static_cast<int>(call.sqe.op_flags) | MSG_DONTWAIT;
  for (;;) {
    const Step step = receive_once(call, flags);
    const bool asks_for_errors = (call.sqe.op_flags & MSG_ERRQUEUE) != 0;
    if (step.moved == -EAGAIN && call.was_ready && !asks_for_errors && has_been_shut(call.sqe.fd))
      return ended(call, 0);
    if (step.moved == -EAGAIN && (call.sqe.op_flags & MSG_DONTWAIT) == 0)
      return waits_again(call, receive_event(call));
    if (step.moved <= 0) return ended(call, step.moved);
    note_what_is_left(descriptors, call, step);
    const bool continues = (call.moved > 0 || !step.is_full) && goes_on(call);
    call.moved += continues ? static_cast<std::uint64_t>(step.moved) : 0;
    if (!continues || !has_more(call)) return ended(call, step.moved);
  }
}

Answer send(DescriptorRecords&, Call& call) noexcept {
  if (is_zero_copy(call) && !can_do_zero_copy(call.sqe.fd)) return Answer::done(-EOPNOTSUPP);
  const bool polls_first = (call.sqe.ioprio & uapi::recvsend_poll_first) != 0 && call.moved == 0;
  const bool may_wait = (call.sqe.op_flags & MSG_DONTWAIT) == 0;
  if (polls_first && may_wait && !call.was_ready) return Answer::waits(call.sqe.fd, POLLOUT);
  const int flags = static_cast<int>(call.sqe.op_flags) | MSG_DONTWAIT | MSG_NOSIGNAL;
  for (;;) {
    const Step step = send_once(call, flags & ~MSG_WAITALL);
    if (step.moved == -EAGAIN && may_wait) return waits_again(call, POLLOUT);
    if (step.moved <= 0) return ended(call, step.moved);
    const bool continues = (call.moved > 0 || !step.is_full) && goes_on(call);
    call.moved += continues ? static_cast<std::uint64_t>(step.moved) : 0;
    if (!continues || !has_more(call)) return ended(call, step.moved);
  }
}

Answer socket(DescriptorRecords&, Call& call) noexcept {
  const int type = static_cast<int>(call.sqe.off) | (call.keeps_private ? SOCK_CLOEXEC : 0);
  return Answer::done(retried([&] { return ::socket(call.sqe.fd, type, static_cast<int>(call.sqe.len)); }));
}

Answer bind(DescriptorRecords&, Call& call) noexcept {
  return Answer::done(retried([&] {
    return ::bind(call.sqe.fd, pointer<const sockaddr>(call.sqe.addr), static_cast<socklen_t>(call.sqe.off));
  }));
}

Answer listen(DescriptorRecords&, Call& call) noexcept {
  return Answer::done(retried([&] { return ::listen(call.sqe.fd, static_cast<int>(call.sqe.len)); }));
}

Answer shutdown(DescriptorRecords&, Call& call) noexcept {
  return Answer::done(retried([&] { return ::shutdown(call.sqe.fd, static_cast<int>(call.sqe.len)); }));
}

}  // namespace calls

namespace {

Answer get_option(const Call& call, int level, int name) noexcept {
  if (level != SOL_SOCKET) return Answer::done(-EOPNOTSUPP);
  socklen_t length = call.sqe.file_index;
  const std::int64_t failed =
      retried([&] { return ::getsockopt(call.sqe.fd, level, name, pointer<void>(call.sqe.addr3), &length); });
  return Answer::done(failed != 0 ? failed : static_cast<std::int64_t>(length));
}

Answer set_option(const Call& call, int level, int name) noexcept {
  return Answer::done(retried([&] {
    return ::setsockopt(call.sqe.fd, level, name, pointer<const void>(call.sqe.addr3), call.sqe.file_index);
  }));
}

// The ring's commands are the protocol's own, and Unix sockets have none.
Answer queue_length(const Call& call, unsigned long request) noexcept {
  const int domain = option_of(call.sqe.fd, SO_DOMAIN);
  if (domain < 0 || domain == AF_UNIX) return Answer::done(-EOPNOTSUPP);
  int length = 0;
  const std::int64_t failed = retried([&] { return ::ioctl(call.sqe.fd, request, &length); });
  return Answer::done(failed != 0 ? failed : length);
}

}  // namespace

namespace calls {

Answer command(DescriptorRecords&, Call& call) noexcept {
  const int level = static_cast<int>(static_cast<std::uint32_t>(call.sqe.addr));
  const int name = static_cast<int>(static_cast<std::uint32_t>(call.sqe.addr >> 32));
  if (option_of(call.sqe.fd, SO_TYPE) < 0) return Answer::done(errno == EBADF ? -EBADF : -EOPNOTSUPP);
  switch (call.sqe.off & 0xffff'ffff) {
    case uapi::socket_siocinq:
      return queue_length(call, SIOCINQ);
    case uapi::socket_siocoutq:
      return queue_length(call, SIOCOUTQ);
    case uapi::socket_getsockopt:
      return get_option(call, level, name);
    case uapi::socket_setsockopt:
      return set_option(call, level, name);
    default:
      return Answer::done(-EOPNOTSUPP);
  }
}

}  // namespace calls
}  // namespace corering::emulation
