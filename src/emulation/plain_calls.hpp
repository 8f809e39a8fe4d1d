/// plain_calls.hpp — the calls that programs make most, many in a row and without a return between them.
#pragma once

#include <cerrno>
#include <cstdint>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "emulation/os_calls.hpp"
#include "emulation/plain_call.hpp"
#include "emulation/system_call.hpp"

namespace corering::emulation::plain {

using Record = DescriptorRecords::Record;
using SocketKind = DescriptorRecords::SocketKind;

/// How many bytes it moved, if it is no error.
[[nodiscard]] inline std::int64_t bytes_of(std::int64_t result) noexcept { return result > 0 ? result : 0; }

[[nodiscard]] inline bool is_whole(const Sqe& sqe, std::int64_t moved) noexcept {
  return moved == static_cast<std::int64_t>(sqe.len);
}

// ---- files, and whatever else can be read and written ----

// What has no positions is asked twice, so it takes the longer way.
[[nodiscard]] inline bool may_transfer(const Record& record, const Sqe& sqe) noexcept {
  return record.has_flags && sqe.op_flags == 0 && (!record.has_no_positions || sqe.off == ~std::uint64_t{0});
}

/// Errors of a call that has taken nothing: the longer way asks again.
[[nodiscard]] inline bool may_come_again(std::int64_t error) noexcept {
  return error == -EAGAIN || error == -EOPNOTSUPP || error == -EINTR || error == -ESPIPE || error == -EINVAL;
}

[[gnu::always_inline]] inline Trial transfer(long number, Record& record, int fd, const Sqe& sqe) noexcept {
  if (sqe.len == 0) [[unlikely]]
    return Trial::whole();
  const iovec buffer{pointer<void>(sqe.addr), sqe.len};
  const std::int64_t moved =
      system_call(number, fd, as_argument(&buffer), 1, static_cast<long>(sqe.off), 0, RWF_NOWAIT);
  if (is_whole(sqe, moved)) [[likely]]
    return Trial::ended(moved);
  record.has_no_positions = moved == -ESPIPE;
  // A reset and an empty datagram do not come twice.
  return moved > 0 || may_come_again(moved) ? Trial::whole(bytes_of(moved)) : Trial::ended(moved);
}

[[gnu::always_inline]] inline Trial read(Record& record, int fd, const Sqe& sqe) noexcept {
  if (!may_transfer(record, sqe) || record.reads_on_helper) return Trial::whole();
  return transfer(SYS_preadv2, record, fd, sqe);
}

[[gnu::always_inline]] inline Trial write(Record& record, int fd, const Sqe& sqe) noexcept {
  if (!may_transfer(record, sqe) || record.writes_on_helper) return Trial::whole();
  return transfer(SYS_pwritev2, record, fd, sqe);
}

// ---- sockets ----

[[gnu::always_inline]] inline void note_what_is_left(Record& record, int fd, bool is_full) noexcept {
  record.is_drained = !is_full && record.socket == SocketKind::stream;
  if (!is_full && record.socket == SocketKind::unknown) learn_socket(record, fd);
}

[[gnu::always_inline]] inline Trial receive(Record& record, int fd, const Sqe& sqe, bool was_ready) noexcept {
  if ((sqe.op_flags & ~MSG_NOSIGNAL) != 0) return Trial::whole();
  if (record.is_drained && !was_ready && sqe.len > 0) return Trial::waits(POLLIN);
  const std::int64_t moved =
      system_call(SYS_recvfrom, fd, static_cast<long>(sqe.addr), sqe.len, MSG_DONTWAIT);
  if (moved == -EAGAIN) return was_ready ? Trial::whole() : Trial::waits(POLLIN);
  if (moved == -EINTR) return Trial::whole();
  if (moved > 0) note_what_is_left(record, fd, moved >= static_cast<std::int64_t>(sqe.len));
  return Trial::ended(moved);
}

[[gnu::always_inline]] inline Trial send(int fd, const Sqe& sqe, bool was_ready) noexcept {
  if ((sqe.op_flags & ~(MSG_NOSIGNAL | MSG_WAITALL)) != 0 || sqe.off != 0 || sqe.file_index != 0)
    return Trial::whole();
  const std::int64_t moved =
      system_call(SYS_sendto, fd, static_cast<long>(sqe.addr), sqe.len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (is_whole(sqe, moved)) [[likely]]
    return Trial::ended(moved);
  if (moved == -EAGAIN && !was_ready) return Trial::waits(POLLOUT);
  const bool may_go_on =
      moved == -EINTR || moved == -EAGAIN || (moved > 0 && (sqe.op_flags & MSG_WAITALL) != 0);
  return may_go_on ? Trial::whole(bytes_of(moved)) : Trial::ended(moved);
}

// ---- all of them ----

/// Tries it on descriptor `fd`, whatever the SQE says.
[[gnu::always_inline]] inline Trial attempt(DescriptorRecords& descriptors, int fd, const Sqe& sqe,
                                            bool was_ready) noexcept {
  Record* const record = descriptors.make(fd);
  if (record == nullptr) [[unlikely]]
    return Trial::whole();
  switch (static_cast<Opcode>(sqe.opcode)) {
    case Opcode::read:
      return read(*record, fd, sqe);
    case Opcode::write:
      return write(*record, fd, sqe);
    case Opcode::recv:
      return receive(*record, fd, sqe, was_ready);
    case Opcode::send:
      return send(fd, sqe, was_ready);
    default:
      return Trial::whole();
  }
}

}  // namespace corering::emulation::plain
