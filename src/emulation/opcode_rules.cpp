/// opcode_rules.cpp — a table of what differs between the opcodes.
#include "emulation/opcode_rules.hpp"

#include <array>
#include <cerrno>
#include <sys/socket.h>

#include "emulation/sqe_fields.hpp"

namespace corering::emulation {
namespace {

enum Trait : std::uint16_t {
  offered = 1,
  file = 2,           ///< `fd` names a file
  selects = 4,        ///< may choose a buffer
  whole = 8,          ///< moving less than asked breaks a chain
  wait_all = 16,      ///< so it does with MSG_WAITALL
  opens = 32,         ///< its result is a new descriptor
  at_end = 64,        ///< uses up its buffer at the end of the file, too
  directory = 256,    ///< `fd` names a directory, or is AT_FDCWD
  plain_ioprio = 128  ///< ioprio is a priority or not looked at
};

struct Rule {
  Opcode opcode;
  unsigned traits;
  std::uint16_t ioprio_flags = 0;  ///< those that it knows
};

constexpr std::uint16_t low(std::uint32_t flags) noexcept { return static_cast<std::uint16_t>(flags); }
// Messages know no bundles, and only zero-copy sends know registered buffers.
constexpr std::uint16_t recvmsg_flags = low(uapi::recvsend_poll_first | uapi::recv_multishot);
constexpr std::uint16_t recv_flags = low(recvmsg_flags | uapi::recvsend_bundle);
constexpr std::uint16_t sendmsg_flags = low(uapi::recvsend_poll_first | uapi::send_vectorized);
constexpr std::uint16_t send_flags = low(sendmsg_flags | uapi::recvsend_bundle);
constexpr std::uint16_t zero_copy_flags = low(uapi::recvsend_poll_first | uapi::recvsend_fixed_buf |
                                              uapi::send_zc_report_usage | uapi::send_vectorized);
constexpr unsigned transfer = offered | file | whole | plain_ioprio;

constexpr std::array rules = {
    Rule{Opcode::nop, offered},
    Rule{Opcode::readv, transfer | selects | at_end},
    Rule{Opcode::writev, transfer},
    Rule{Opcode::fsync, offered | file},
    Rule{Opcode::read_fixed, transfer},
    Rule{Opcode::write_fixed, transfer},
    Rule{Opcode::poll_add, offered | file},
    Rule{Opcode::poll_remove, offered},
    Rule{Opcode::sync_file_range, offered | file},
    Rule{Opcode::sendmsg, offered | file | wait_all, sendmsg_flags},
    Rule{Opcode::recvmsg, offered | file | wait_all | selects, recvmsg_flags},
    Rule{Opcode::timeout, offered},
    Rule{Opcode::timeout_remove, offered},
    Rule{Opcode::accept, offered | file | opens,
         low(uapi::accept_multishot | uapi::accept_dontwait | uapi::accept_poll_first)},
    Rule{Opcode::async_cancel, offered},
    Rule{Opcode::link_timeout, offered},
    Rule{Opcode::connect, offered | file},
    Rule{Opcode::fallocate, offered | file},
    Rule{Opcode::openat, offered | opens | directory},
    Rule{Opcode::close, offered},
    Rule{Opcode::files_update, offered},
    Rule{Opcode::statx, offered | directory},
    Rule{Opcode::read, transfer | selects | at_end},
    Rule{Opcode::write, transfer},
    Rule{Opcode::fadvise, offered | file},
    Rule{Opcode::madvise, offered},
    Rule{Opcode::send, offered | file | wait_all | selects, send_flags},
    Rule{Opcode::recv, offered | file | wait_all | selects, recv_flags},
    Rule{Opcode::openat2, offered | opens | directory},
    Rule{Opcode::epoll_ctl, offered},
    Rule{Opcode::splice, offered | file | whole},
    Rule{Opcode::tee, offered | file | whole},
    Rule{Opcode::shutdown, offered | file},
    Rule{Opcode::renameat, offered | directory},
    Rule{Opcode::unlinkat, offered | directory},
    Rule{Opcode::mkdirat, offered | directory},
    Rule{Opcode::symlinkat, offered | directory},
    Rule{Opcode::linkat, offered | directory},
    Rule{Opcode::msg_ring, offered},
    Rule{Opcode::fsetxattr, offered | file},
    Rule{Opcode::setxattr, offered},
    Rule{Opcode::fgetxattr, offered | file},
    Rule{Opcode::getxattr, offered},
    Rule{Opcode::socket, offered | opens},
    Rule{Opcode::uring_cmd, offered | file},
    Rule{Opcode::send_zc, offered | file | wait_all, zero_copy_flags},
    Rule{Opcode::sendmsg_zc, offered | file | wait_all, zero_copy_flags},
    Rule{Opcode::read_multishot, offered | file | selects},
    Rule{Opcode::waitid, offered},
    Rule{Opcode::futex_wait, offered},
    Rule{Opcode::futex_wake, offered},
    Rule{Opcode::futex_waitv, offered},
    Rule{Opcode::fixed_fd_install, offered},
    Rule{Opcode::ftruncate, offered | file},
    Rule{Opcode::bind, offered | file},
    Rule{Opcode::listen, offered | file},
    Rule{Opcode::epoll_wait, offered | file},
    Rule{Opcode::readv_fixed, transfer},
    Rule{Opcode::writev_fixed, transfer},
    Rule{Opcode::pipe, offered | opens},
};

constexpr std::size_t opcode_count = static_cast<std::size_t>(Opcode::pipe) + 1;

constexpr std::array<Rule, opcode_count> by_opcode = [] {
  std::array<Rule, opcode_count> table{};
  for (const Rule& rule : rules) table[static_cast<std::size_t>(rule.opcode)] = rule;
  return table;
}();

const Rule& rule_of(Opcode opcode) noexcept { return by_opcode[static_cast<std::size_t>(opcode)]; }

bool has(Opcode opcode, unsigned trait) noexcept { return (rule_of(opcode).traits & trait) != 0; }

/// A multishot receive needs buffers to choose, and never waits for all of something.
int error_of_multishot(const Sqe& sqe, Opcode opcode) noexcept {
  const bool chooses = (sqe.flags & uapi::sqe_buffer_select) != 0;
  if (opcode == Opcode::read_multishot) return chooses ? 0 : -EINVAL;
  if (opcode == Opcode::accept) {
    const bool is_many = (sqe.ioprio & uapi::accept_multishot) != 0;
    return is_many && sqe.file_index != 0 && sqe.file_index != uapi::file_index_alloc ? -EINVAL : 0;
  }
  if ((opcode != Opcode::recv && opcode != Opcode::recvmsg) || (sqe.ioprio & uapi::recv_multishot) == 0)
    return 0;
  return chooses && (sqe.op_flags & MSG_WAITALL) == 0 ? 0 : -EINVAL;
}

/// A registered buffer and a list of buffers do not go together.
int error_of_zero_copy(const Sqe& sqe, Opcode opcode) noexcept {
  constexpr std::uint32_t both = uapi::recvsend_fixed_buf | uapi::send_vectorized;
  return opcode == Opcode::send_zc && (sqe.ioprio & both) == both ? -EINVAL : 0;
}

/// What is looked at before a zero-copy send has its notification.
int error_before_notification(const Sqe& sqe) noexcept {
  if (sqe.opcode >= opcode_count) return -EINVAL;
  const auto opcode = static_cast<Opcode>(sqe.opcode);
  const Rule& rule = rule_of(opcode);
  constexpr std::uint8_t known_flags = 0x7f;
  if ((sqe.flags & ~known_flags) != 0 || (sqe.flags & uapi::sqe_io_drain) != 0) return -EINVAL;
  if (sqe.personality != 0) return -EINVAL;
  if ((rule.traits & offered) == 0) return -EOPNOTSUPP;
  if ((sqe.flags & uapi::sqe_buffer_select) != 0 && (rule.traits & selects) == 0) return -EOPNOTSUPP;
  if (const int error = error_of_fields(sqe); error < 0) return error;
  return is_zero_copy(opcode) && (sqe.flags & uapi::sqe_cqe_skip_success) != 0 ? -EINVAL : 0;
}

}  // namespace

int error_of(const Sqe& sqe) noexcept {
  if (const int error = error_before_notification(sqe); error < 0) return error;
  const auto opcode = static_cast<Opcode>(sqe.opcode);
  const Rule& rule = rule_of(opcode);
  if ((rule.traits & plain_ioprio) == 0 && (sqe.ioprio & ~rule.ioprio_flags) != 0) return -EINVAL;
  if (is_zero_copy(opcode)) return error_of_zero_copy(sqe, opcode);
  return error_of_multishot(sqe, opcode);
}

bool notifies(const Sqe& sqe) noexcept {
  return is_zero_copy(static_cast<Opcode>(sqe.opcode)) && error_before_notification(sqe) == 0;
}

bool fails(const Submission& operation, std::int32_t result) noexcept {
  if (result < 0) {
    const bool is_timeout =
        operation.opcode() == Opcode::timeout || operation.opcode() == Opcode::link_timeout;
    return !(is_timeout && result == -ETIME && (operation.sqe.op_flags & uapi::timeout_etime_success) != 0);
  }
  if (operation.sqe.opcode >= opcode_count) return true;
  const unsigned traits = rule_of(operation.opcode()).traits;
  const bool counts =
      (traits & whole) != 0 || ((traits & wait_all) != 0 && (operation.sqe.op_flags & MSG_WAITALL) != 0);
  return counts && static_cast<std::uint64_t>(result) < operation.expected;
}

bool is_multishot(const Submission& operation) noexcept {
  switch (operation.opcode()) {
    case Opcode::accept:
      return (operation.sqe.ioprio & uapi::accept_multishot) != 0;
    case Opcode::recv:
    case Opcode::recvmsg:
      return (operation.sqe.ioprio & uapi::recv_multishot) != 0;
    default:
      return operation.opcode() == Opcode::read_multishot;
  }
}

bool uses_buffer_at_end(Opcode opcode) noexcept { return has(opcode, at_end); }
bool keeps_part(Opcode opcode) noexcept { return has(opcode, wait_all); }
bool opens_file(Opcode opcode) noexcept { return has(opcode, opens); }
bool is_offered(Opcode opcode) noexcept {
  return static_cast<std::size_t>(opcode) < opcode_count && has(opcode, offered);
}
bool uses_file(Opcode opcode) noexcept { return has(opcode, file); }
bool uses_directory(Opcode opcode) noexcept { return has(opcode, directory); }

}  // namespace corering::emulation
