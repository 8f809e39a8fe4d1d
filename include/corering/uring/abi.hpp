/// abi.hpp — what the kernel and we agreed on: SQE, CQE, opcodes, flags.
///
/// Our own copy, because the headers of a distribution know fewer operations than the kernels it runs on. A
/// test compares it with the system's <linux/io_uring.h> wherever that one knows the name. Man pages:
/// io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register(2).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace corering {

/// One submission queue entry, 64 bytes. Fields that the kernel overlays are named after their commonest use.
struct Sqe {
  std::uint8_t opcode = 0;
  std::uint8_t flags = 0;
  std::uint16_t ioprio = 0;
  std::int32_t fd = -1;
  std::uint64_t off = 0;  ///< or addr2
  std::uint64_t addr = 0;
  std::uint32_t len = 0;
  std::uint32_t op_flags = 0;  ///< rw_flags, msg_flags, open_flags, cancel_flags, poll32_events, ...
  std::uint64_t user_data = 0;
  std::uint16_t buf_index = 0;  ///< or buf_group
  std::uint16_t personality = 0;
  std::uint32_t file_index = 0;
  std::uint64_t addr3 = 0;
  std::uint64_t pad = 0;
};
static_assert(sizeof(Sqe) == 64);

/// One completion queue entry.
struct Cqe {
  std::uint64_t user_data;
  std::int32_t res;
  std::uint32_t flags;
};
static_assert(sizeof(Cqe) == 16);

/// Every opcode of Linux 6.18.
enum class Opcode : std::uint8_t {
  nop,
  readv,
  writev,
  fsync,
  read_fixed,
  write_fixed,
  poll_add,
  poll_remove,
  sync_file_range,
  sendmsg,
  recvmsg,
  timeout,
  timeout_remove,
  accept,
  async_cancel,
  link_timeout,
  connect,
  fallocate,
  openat,
  close,
  files_update,
  statx,
  read,
  write,
  fadvise,
  madvise,
  send,
  recv,
  openat2,
  epoll_ctl,
  splice,
  provide_buffers,
  remove_buffers,
  tee,
  shutdown,
  renameat,
  unlinkat,
  mkdirat,
  symlinkat,
  linkat,
  msg_ring,
  fsetxattr,
  setxattr,
  fgetxattr,
  getxattr,
  socket,
  uring_cmd,
  send_zc,
  sendmsg_zc,
  read_multishot,
  waitid,
  futex_wait,
  futex_wake,
  futex_waitv,
  fixed_fd_install,
  ftruncate,
  bind,
  listen,
  recv_zc,
  epoll_wait,
  readv_fixed,
  writev_fixed,
  pipe,
};

inline constexpr std::array<std::string_view, 63> opcode_names = {"nop",
                                                                  "readv",
                                                                  "writev",
                                                                  "fsync",
                                                                  "read_fixed",
                                                                  "write_fixed",
                                                                  "poll_add",
                                                                  "poll_remove",
                                                                  "sync_file_range",
                                                                  "sendmsg",
                                                                  "recvmsg",
                                                                  "timeout",
                                                                  "timeout_remove",
                                                                  "accept",
                                                                  "async_cancel",
                                                                  "link_timeout",
                                                                  "connect",
                                                                  "fallocate",
                                                                  "openat",
                                                                  "close",
                                                                  "files_update",
                                                                  "statx",
                                                                  "read",
                                                                  "write",
                                                                  "fadvise",
                                                                  "madvise",
                                                                  "send",
                                                                  "recv",
                                                                  "openat2",
                                                                  "epoll_ctl",
                                                                  "splice",
                                                                  "provide_buffers",
                                                                  "remove_buffers",
                                                                  "tee",
                                                                  "shutdown",
                                                                  "renameat",
                                                                  "unlinkat",
                                                                  "mkdirat",
                                                                  "symlinkat",
                                                                  "linkat",
                                                                  "msg_ring",
                                                                  "fsetxattr",
                                                                  "setxattr",
                                                                  "fgetxattr",
                                                                  "getxattr",
                                                                  "socket",
                                                                  "uring_cmd",
                                                                  "send_zc",
                                                                  "sendmsg_zc",
                                                                  "read_multishot",
                                                                  "waitid",
                                                                  "futex_wait",
                                                                  "futex_wake",
                                                                  "futex_waitv",
                                                                  "fixed_fd_install",
                                                                  "ftruncate",
                                                                  "bind",
                                                                  "listen",
                                                                  "recv_zc",
                                                                  "epoll_wait",
                                                                  "readv_fixed",
                                                                  "writev_fixed",
                                                                  "pipe"};
static_assert(opcode_names.size() == static_cast<std::size_t>(Opcode::pipe) + 1);

/// The opcode in the kernel's own words, lower case: "openat". "unknown" for numbers we do not know.
[[nodiscard]] constexpr std::string_view name_of(Opcode opcode) noexcept {
  const auto index = static_cast<std::size_t>(opcode);
  return index < opcode_names.size() ? opcode_names[index] : "unknown";
}

/// Request::what for an operation without SQE flags.
[[nodiscard]] constexpr std::uint32_t plain(Opcode opcode) noexcept {
  return static_cast<std::uint32_t>(opcode);
}

/// What an operation will write into an SQE.
///
/// Not simply an Sqe: it is written field by field when the operation is made and read a few instructions
/// later, and a processor cannot forward a wide load from narrower stores. With an Sqe copied whole, a
/// profile of nops at depth 128 put 10 % of the time on that one load; the order of the fields keeps
/// compilers from joining them.
struct Request {
  std::uint64_t addr = 0;
  std::int32_t fd = -1;
  std::uint32_t len = 0;
  std::uint64_t off = 0;
  std::uint32_t what = 0;  ///< opcode, sqe.flags << 8, ioprio << 16
  std::uint32_t op_flags = 0;
  std::uint64_t extra = 0;  ///< buf_index, personality << 16, file_index << 32

  [[nodiscard]] Opcode opcode() const noexcept { return static_cast<Opcode>(what & 0xff); }

  void fill(Sqe& sqe, std::uint64_t user_data) const noexcept {
    sqe.opcode = static_cast<std::uint8_t>(what);
    sqe.flags = static_cast<std::uint8_t>(what >> 8);
    sqe.ioprio = static_cast<std::uint16_t>(what >> 16);
    sqe.fd = fd;
    sqe.off = off;
    sqe.addr = addr;
    sqe.len = len;
    sqe.op_flags = op_flags;
    sqe.user_data = user_data;
    sqe.buf_index = static_cast<std::uint16_t>(extra);
    sqe.personality = static_cast<std::uint16_t>(extra >> 16);
    sqe.file_index = static_cast<std::uint32_t>(extra >> 32);
    sqe.addr3 = 0;
    sqe.pad = 0;
  }
};

namespace abi {

// io_uring_setup(2), params.flags
inline constexpr std::uint32_t setup_cqsize = 1U << 3;
inline constexpr std::uint32_t setup_clamp = 1U << 4;
inline constexpr std::uint32_t setup_submit_all = 1U << 7;      // 5.18
inline constexpr std::uint32_t setup_coop_taskrun = 1U << 8;    // 5.19
inline constexpr std::uint32_t setup_single_issuer = 1U << 12;  // 6.0
inline constexpr std::uint32_t setup_defer_taskrun = 1U << 13;  // 6.1

// params.features
inline constexpr std::uint32_t feature_ext_arg = 1U << 8;
inline constexpr std::uint32_t feature_no_iowait = 1U << 17;  // 6.15

// io_uring_enter(2), flags
inline constexpr std::uint32_t enter_getevents = 1U << 0;
inline constexpr std::uint32_t enter_ext_arg = 1U << 3;
inline constexpr std::uint32_t enter_registered_ring = 1U << 4;  // 5.18
inline constexpr std::uint32_t enter_no_iowait = 1U << 7;        // 6.15

// io_uring_register(2), opcodes
inline constexpr std::uint32_t register_iowq_aff = 17;
inline constexpr std::uint32_t register_ring_fds = 20;
inline constexpr std::uint32_t unregister_ring_fds = 21;

// IORING_OP_ASYNC_CANCEL, sqe.cancel_flags
inline constexpr std::uint32_t cancel_all = 1U << 0;  // 5.19
inline constexpr std::uint32_t cancel_fd = 1U << 1;   // 5.19
inline constexpr std::uint32_t cancel_any = 1U << 2;  // 5.19

// IORING_OP_FSYNC, sqe.fsync_flags
inline constexpr std::uint32_t fsync_datasync = 1U << 0;

/// struct io_uring_getevents_arg: the timeout of an enter.
struct GetEventsArg {
  std::uint64_t sigmask = 0;
  std::uint32_t sigmask_size = 0;
  std::uint32_t min_wait_usec = 0;
  std::uint64_t timespec = 0;
};

/// struct __kernel_timespec
struct Timespec {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
};

/// struct io_uring_rsrc_update, as REGISTER_RING_FDS reads it.
struct RsrcUpdate {
  std::uint32_t offset = 0;
  std::uint32_t reserved = 0;
  std::uint64_t data = 0;
};

}  // namespace abi
}  // namespace corering
