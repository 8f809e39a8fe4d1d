/// sqe_fields.cpp — a table of what each opcode leaves unused. tests/conformance asks io_uring for the same.
#include "emulation/sqe_fields.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

enum Field : std::uint16_t {
  off = 1,
  addr = 2,
  len = 4,
  buf_index = 8,
  file_index = 16,
  addr3 = 32,
  fd = 64,
  slot = 128,              ///< IOSQE_FIXED_FILE: `fd` names no open file
  slot_is_wrong = 256,     ///< the same, but the error is EINVAL
  needs_slot = 512,        ///< `fd` names nothing but a slot
  has_priority = 1024,     ///< ioprio is a priority of ioprio_set(2)
  knows_its_flags = 2048,  ///< op_flags are a number, or the call itself looks at them
};

/// What an opcode leaves unused, and what is special about the rest.
struct Unused {
  Opcode opcode;
  unsigned fields;
  std::uint32_t flags = 0;  ///< those of op_flags that it knows, unless it `knows_its_flags`
};

constexpr unsigned both_indices = buf_index | file_index;
constexpr std::uint32_t clocks = uapi::timeout_boottime | uapi::timeout_realtime;
constexpr std::uint32_t message_flags = 3;  // CQE_SKIP, FLAGS_PASS
constexpr std::uint32_t xattr_flags = 3;    // XATTR_CREATE, XATTR_REPLACE
constexpr std::uint32_t splice_flags = 0xf | uapi::splice_fd_in_fixed;
constexpr std::uint32_t notification_pipe = O_EXCL;  // as O_NOTIFICATION_PIPE of linux/watch_queue.h

constexpr std::array table = {
    Unused{Opcode::nop, 0, uapi::nop_inject_result},
    Unused{Opcode::readv, has_priority | knows_its_flags},
    Unused{Opcode::writev, has_priority | knows_its_flags},
    Unused{Opcode::fsync, addr | both_indices, uapi::fsync_datasync},
    Unused{Opcode::read_fixed, has_priority | knows_its_flags},
    Unused{Opcode::write_fixed, has_priority | knows_its_flags},
    Unused{Opcode::poll_add, off | addr | buf_index | knows_its_flags},
    Unused{Opcode::poll_remove, both_indices | knows_its_flags},
    Unused{Opcode::sync_file_range, addr | both_indices | knows_its_flags},
    Unused{Opcode::sendmsg, off | file_index | knows_its_flags},
    Unused{Opcode::recvmsg, off | file_index | knows_its_flags},
    Unused{Opcode::timeout, both_indices | addr3,
           uapi::timeout_abs | clocks | uapi::timeout_etime_success | uapi::timeout_multishot},
    Unused{Opcode::timeout_remove, len | both_indices | addr3 | slot_is_wrong,
           uapi::timeout_update | uapi::link_timeout_update | uapi::timeout_abs | clocks},
    Unused{Opcode::accept, len | buf_index, O_CLOEXEC | O_NONBLOCK},
    Unused{Opcode::async_cancel, off | file_index,
           uapi::cancel_all | uapi::cancel_fd | uapi::cancel_any | uapi::cancel_fd_fixed |
               uapi::cancel_user_data | uapi::cancel_op},
    Unused{Opcode::link_timeout, off | both_indices | addr3,
           uapi::timeout_abs | clocks | uapi::timeout_etime_success | uapi::timeout_multishot},
    Unused{Opcode::connect, len | both_indices},
    Unused{Opcode::fallocate, both_indices},
    Unused{Opcode::openat, buf_index | slot | knows_its_flags},
    Unused{Opcode::close, off | addr | len | buf_index | slot},
    Unused{Opcode::files_update, file_index | slot_is_wrong},
    Unused{Opcode::statx, both_indices | slot | knows_its_flags},
    Unused{Opcode::read, has_priority | knows_its_flags},
    Unused{Opcode::write, has_priority | knows_its_flags},
    Unused{Opcode::fadvise, both_indices | knows_its_flags},
    Unused{Opcode::madvise, both_indices | knows_its_flags},
    Unused{Opcode::send, knows_its_flags},
    Unused{Opcode::recv, off | file_index | knows_its_flags},
    Unused{Opcode::openat2, buf_index | slot | knows_its_flags},
    Unused{Opcode::epoll_ctl, both_indices | knows_its_flags},
    Unused{Opcode::splice, 0, splice_flags},
    Unused{Opcode::tee, off | addr, splice_flags},
    Unused{Opcode::shutdown, off | addr | both_indices},
    Unused{Opcode::renameat, both_indices | slot | knows_its_flags},
    Unused{Opcode::unlinkat, off | len | both_indices | slot, AT_REMOVEDIR},
    Unused{Opcode::mkdirat, off | both_indices | slot},
    Unused{Opcode::symlinkat, len | both_indices | slot},
    Unused{Opcode::linkat, both_indices | slot | knows_its_flags},
    Unused{Opcode::msg_ring, buf_index, message_flags},
    Unused{Opcode::fsetxattr, 0, xattr_flags},
    Unused{Opcode::setxattr, slot, xattr_flags},
    Unused{Opcode::fgetxattr, 0},
    Unused{Opcode::getxattr, slot},
    Unused{Opcode::socket, addr | buf_index},
    Unused{Opcode::uring_cmd, 0, 1},  // URING_CMD_FIXED
    Unused{Opcode::send_zc, addr3 | knows_its_flags},
    Unused{Opcode::sendmsg_zc, off | file_index | addr3 | knows_its_flags},
    Unused{Opcode::read_multishot, knows_its_flags},
    Unused{Opcode::waitid, addr | buf_index | addr3},
    Unused{Opcode::futex_wait, len | both_indices},
    Unused{Opcode::futex_wake, len | both_indices},
    Unused{Opcode::futex_waitv, fd | off | both_indices | addr3},
    Unused{Opcode::fixed_fd_install, off | addr | len | both_indices | addr3 | needs_slot,
           uapi::fixed_fd_no_cloexec},
    Unused{Opcode::ftruncate, addr | len | both_indices | addr3},
    Unused{Opcode::bind, len | both_indices},
    Unused{Opcode::listen, off | addr | both_indices},
    Unused{Opcode::epoll_wait, off | both_indices},
    Unused{Opcode::readv_fixed, has_priority | knows_its_flags},
    Unused{Opcode::writev_fixed, has_priority | knows_its_flags},
    Unused{Opcode::pipe, fd | off | addr3, O_CLOEXEC | O_NONBLOCK | O_DIRECT | notification_pipe},
};

constexpr auto by_opcode = [] {
  std::array<Unused, static_cast<std::size_t>(Opcode::pipe) + 1> all{};
  for (const Unused& unused : table) all[static_cast<std::size_t>(unused.opcode)] = unused;
  return all;
}();

/// The fields that are not zero.
unsigned fields_of(const Sqe& sqe) noexcept {
  const auto when = [](bool is_used, Field field) { return is_used ? unsigned{field} : 0U; };
  return when(sqe.off != 0, off) | when(sqe.addr != 0, addr) | when(sqe.len != 0, len) |
         when(sqe.buf_index != 0, buf_index) | when(sqe.file_index != 0, file_index) |
         when(sqe.addr3 != 0, addr3) | when(sqe.fd != 0, fd);
}

/// Three classes with eight levels each. Without a class there is no level.
bool is_priority(std::uint16_t ioprio) noexcept {
  const unsigned priority_class = ioprio >> 13U;
  const unsigned level = ioprio & 7U;
  return priority_class == 0 ? level == 0 : priority_class <= 3;
}

/// What a POLL_REMOVE that changes nothing has no use for.
bool is_sound_change_of_poll(const Sqe& sqe) noexcept {
  constexpr std::uint32_t changes = uapi::poll_update_events | uapi::poll_update_user_data;
  if ((sqe.len & changes) == 0) return sqe.len == 0 && sqe.off == 0 && sqe.op_flags == 0;
  return (sqe.len & ~(changes | uapi::poll_add_multi)) == 0;
}

bool is_sound_poll(const Sqe& sqe) noexcept {
  if ((sqe.len & ~uapi::poll_add_multi) != 0) return false;
  return sqe.len == 0 || (sqe.flags & uapi::sqe_cqe_skip_success) == 0;
}

bool is_sound_cancel(const Sqe& sqe) noexcept {
  constexpr std::uint32_t choices = uapi::cancel_fd | uapi::cancel_op;
  return (sqe.op_flags & uapi::cancel_any) == 0 || (sqe.op_flags & choices) == 0;
}

bool is_sound_change_of_timeout(const Sqe& sqe) noexcept {
  constexpr std::uint32_t changes = uapi::timeout_update | uapi::link_timeout_update;
  return (sqe.op_flags & changes) == 0 ? sqe.op_flags == 0
                                       : (sqe.op_flags & clocks) == 0;  // it keeps its clock
}

/// Fields that depend on each other.
bool is_sound(const Sqe& sqe) noexcept {
  switch (static_cast<Opcode>(sqe.opcode)) {
    case Opcode::poll_add:
      return is_sound_poll(sqe);
    case Opcode::poll_remove:
      return is_sound_change_of_poll(sqe);
    case Opcode::timeout_remove:
      return is_sound_change_of_timeout(sqe);
    case Opcode::async_cancel:
      return is_sound_cancel(sqe);
    case Opcode::close:
      return sqe.file_index == 0 || sqe.fd == 0;
    case Opcode::files_update:
      return sqe.len != 0;
    default:
      return true;
  }
}

}  // namespace

int error_of_fields(const Sqe& sqe) noexcept {
  CORERING_ASSERT(sqe.opcode < by_opcode.size(), "an unknown opcode has been refused");
  const Unused& unused = by_opcode[sqe.opcode];
  const bool has_slot = (sqe.flags & uapi::sqe_fixed_file) != 0;
  const auto is = [&unused](Field field) { return (unused.fields & field) != 0; };
  if (is(has_priority) && !is_priority(sqe.ioprio)) return -EINVAL;
  if (has_slot && is(slot_is_wrong)) return -EINVAL;
  if (has_slot && is(slot)) return -EBADF;
  if ((unused.fields & fields_of(sqe)) != 0 || !is_sound(sqe)) return -EINVAL;
  if (!has_slot && is(needs_slot)) return -EBADF;
  return !is(knows_its_flags) && (sqe.op_flags & ~unused.flags) != 0 ? -EINVAL : 0;
}

}  // namespace corering::emulation
