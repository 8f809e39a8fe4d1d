/// uapi.hpp — what we share with the kernel: SQE, CQE, opcodes, flags.
///
/// These are our own copies, because the headers of a distribution know fewer operations than the kernels
/// that it runs on. A test compares them with the system's <linux/io_uring.h> wherever that header knows the
/// name. Man pages: io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register(2).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace corering {

/// One submission queue entry, which has 64 bytes. Fields that the kernel overlays are named after their most
/// common use.
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

/// Returns the opcode's name in the kernel's own words and in lower case, for example "openat". Returns
/// "unknown" for numbers that we do not know.
[[nodiscard]] constexpr std::string_view name_of(Opcode opcode) noexcept {
  const auto index = static_cast<std::size_t>(opcode);
  return index < opcode_names.size() ? opcode_names[index] : "unknown";
}

/// Makes the value of Request::head.
[[nodiscard]] constexpr std::uint32_t head(Opcode opcode, std::uint32_t sqe_flags = 0,
                                           std::uint32_t ioprio = 0) noexcept {
  return static_cast<std::uint32_t>(opcode) | sqe_flags << 8 | ioprio << 16;
}

/// The opcodes that the kernel never tries on the thread that asks: a helper thread (io-wq) does them.
/// (fadvise and openat go there for some arguments only.)
inline constexpr std::uint64_t opcodes_for_helpers = [] {
  std::uint64_t bits = 0;
  for (const Opcode opcode :
       {Opcode::fsync, Opcode::sync_file_range, Opcode::fallocate, Opcode::statx, Opcode::madvise,
        Opcode::splice, Opcode::tee, Opcode::shutdown, Opcode::renameat, Opcode::unlinkat, Opcode::mkdirat,
        Opcode::symlinkat, Opcode::linkat, Opcode::fsetxattr, Opcode::setxattr, Opcode::fgetxattr,
        Opcode::getxattr, Opcode::ftruncate})
    bits |= std::uint64_t{1} << static_cast<unsigned>(opcode);
  return bits;
}();

/// What an operation will write into an SQE.
///
/// It is not simply an Sqe: it is written field by field when the operation is made, and read a few
/// instructions later, and a processor cannot forward a wide load from narrower stores. When a whole Sqe was
/// copied, a profile of nops at depth 128 showed 10 % of the time on that one load. The order of the fields
/// keeps compilers from joining them.
/// compilers from joining them.
struct Request {
  std::uint64_t addr = 0;
  std::int32_t fd = -1;
  std::uint32_t len = 0;
  std::uint64_t off = 0;
  std::uint32_t head = 0;  ///< opcode, sqe.flags << 8, ioprio << 16
  std::uint32_t op_flags = 0;
  std::uint64_t extra = 0;  ///< buf_index, personality << 16, file_index << 32
  std::uint64_t addr3 = 0;
  std::uint64_t pad = 0;

  [[nodiscard]] Opcode opcode() const noexcept { return static_cast<Opcode>(head & 0xff); }
  /// Returns true if a helper thread of the kernel (io-wq) does it in any case: because of its opcode, or
  /// because it has IOSQE_ASYNC.
  [[nodiscard, gnu::always_inline]] constexpr bool is_for_a_helper() const noexcept {
    const std::uint32_t opcode = head & 0xff;
    return (head >> 8 & 1U << 4) != 0 || (opcode < 64 && (opcodes_for_helpers >> opcode & 1) != 0);
  }

  [[nodiscard]] static Request of(const Sqe& sqe) noexcept {
    return {
        .addr = sqe.addr,
        .fd = sqe.fd,
        .len = sqe.len,
        .off = sqe.off,
        .head = sqe.opcode | std::uint32_t{sqe.flags} << 8 | std::uint32_t{sqe.ioprio} << 16,
        .op_flags = sqe.op_flags,
        .extra = sqe.buf_index | std::uint64_t{sqe.personality} << 16 | std::uint64_t{sqe.file_index} << 32,
        .addr3 = sqe.addr3,
        .pad = sqe.pad};
  }

  [[gnu::always_inline]] void fill(Sqe& sqe, std::uint64_t user_data) const noexcept {
    static_assert(offsetof(Sqe, opcode) == 0 && offsetof(Sqe, fd) == sizeof head);
    static_assert(offsetof(Sqe, addr3) == offsetof(Sqe, buf_index) + sizeof extra);
    static_assert(std::endian::native == std::endian::little);
    std::memcpy(&sqe.opcode, &head, sizeof head);
    sqe.fd = fd;
    sqe.off = off;
    sqe.addr = addr;
    sqe.len = len;
    sqe.op_flags = op_flags;
    sqe.user_data = user_data;
    std::memcpy(&sqe.buf_index, &extra, sizeof extra);
    sqe.addr3 = addr3;
    sqe.pad = pad;
  }
};

/// Make the value of Request::extra.
[[nodiscard]] constexpr std::uint64_t in_buffer(std::uint16_t index_or_group) noexcept {
  return index_or_group;
}
[[nodiscard]] constexpr std::uint64_t with_file_index(std::uint32_t index) noexcept {
  return std::uint64_t{index} << 32;
}

namespace uapi {

// io_uring_setup(2), params.flags
inline constexpr std::uint32_t setup_cqsize = 1U << 3;
inline constexpr std::uint32_t setup_clamp = 1U << 4;
inline constexpr std::uint32_t setup_r_disabled = 1U << 6;      // 5.10
inline constexpr std::uint32_t setup_submit_all = 1U << 7;      // 5.18
inline constexpr std::uint32_t setup_coop_taskrun = 1U << 8;    // 5.19
inline constexpr std::uint32_t setup_taskrun_flag = 1U << 9;    // 5.19
inline constexpr std::uint32_t setup_single_issuer = 1U << 12;  // 6.0
inline constexpr std::uint32_t setup_defer_taskrun = 1U << 13;  // 6.1

// *sq_flags
inline constexpr std::uint32_t sq_cq_overflow = 1U << 1;
inline constexpr std::uint32_t sq_taskrun = 1U << 2;  // 5.19

// params.features
inline constexpr std::uint32_t feature_ext_arg = 1U << 8;
inline constexpr std::uint32_t feature_no_iowait = 1U << 17;  // 6.15

// io_uring_enter(2), flags
inline constexpr std::uint32_t enter_getevents = 1U << 0;
inline constexpr std::uint32_t enter_ext_arg = 1U << 3;
inline constexpr std::uint32_t enter_registered_ring = 1U << 4;  // 5.18
inline constexpr std::uint32_t enter_no_iowait = 1U << 7;        // 6.15

// sqe.flags
inline constexpr std::uint32_t sqe_fixed_file = 1U << 0;
inline constexpr std::uint32_t sqe_io_drain = 1U << 1;
inline constexpr std::uint32_t sqe_io_link = 1U << 2;
inline constexpr std::uint32_t sqe_io_hardlink = 1U << 3;
inline constexpr std::uint32_t sqe_async = 1U << 4;
inline constexpr std::uint32_t sqe_buffer_select = 1U << 5;
inline constexpr std::uint32_t sqe_cqe_skip_success = 1U << 6;

// cqe.flags
inline constexpr std::uint32_t cqe_buffer = 1U << 0;
inline constexpr std::uint32_t cqe_more = 1U << 1;
inline constexpr std::uint32_t cqe_sock_nonempty = 1U << 2;
inline constexpr std::uint32_t cqe_notif = 1U << 3;
inline constexpr std::uint32_t cqe_buf_more = 1U << 4;  // 6.12
inline constexpr std::uint32_t cqe_buffer_shift = 16;

// ASYNC_CANCEL, sqe.cancel_flags
inline constexpr std::uint32_t cancel_all = 1U << 0;  // 5.19
inline constexpr std::uint32_t cancel_fd = 1U << 1;   // 5.19
inline constexpr std::uint32_t cancel_any = 1U << 2;  // 5.19
inline constexpr std::uint32_t cancel_fd_fixed = 1U << 3;
inline constexpr std::uint32_t cancel_user_data = 1U << 4;  // 6.6
inline constexpr std::uint32_t cancel_op = 1U << 5;         // 6.6

// FSYNC, sqe.fsync_flags
inline constexpr std::uint32_t fsync_datasync = 1U << 0;

// TIMEOUT and similar opcodes, sqe.timeout_flags
inline constexpr std::uint32_t timeout_abs = 1U << 0;
inline constexpr std::uint32_t timeout_update = 1U << 1;
inline constexpr std::uint32_t timeout_boottime = 1U << 2;
inline constexpr std::uint32_t timeout_realtime = 1U << 3;
inline constexpr std::uint32_t link_timeout_update = 1U << 4;
inline constexpr std::uint32_t timeout_etime_success = 1U << 5;
inline constexpr std::uint32_t timeout_multishot = 1U << 6;  // 6.4

// POLL_ADD and POLL_REMOVE, sqe.len
inline constexpr std::uint32_t poll_add_multi = 1U << 0;
inline constexpr std::uint32_t poll_update_events = 1U << 1;
inline constexpr std::uint32_t poll_update_user_data = 1U << 2;

// SEND, RECV and similar opcodes, sqe.ioprio
inline constexpr std::uint32_t recvsend_poll_first = 1U << 0;
inline constexpr std::uint32_t recv_multishot = 1U << 1;        // 6.0
inline constexpr std::uint32_t recvsend_fixed_buf = 1U << 2;    // 6.0
inline constexpr std::uint32_t send_zc_report_usage = 1U << 3;  // 6.2
inline constexpr std::uint32_t recvsend_bundle = 1U << 4;       // 6.10
inline constexpr std::uint32_t send_vectorized = 1U << 5;       // 6.17
inline constexpr std::uint32_t notif_usage_zc_copied = 1U << 31;

// ACCEPT, sqe.ioprio
inline constexpr std::uint32_t accept_multishot = 1U << 0;   // 5.19
inline constexpr std::uint32_t accept_dontwait = 1U << 1;    // 6.10
inline constexpr std::uint32_t accept_poll_first = 1U << 2;  // 6.10

// MSG_RING, sqe.addr
inline constexpr std::uint64_t msg_data = 0;
inline constexpr std::uint64_t msg_send_fd = 1;  // 6.0

// SPLICE and TEE, sqe.splice_flags
inline constexpr std::uint32_t splice_fd_in_fixed = 1U << 31;

// FIXED_FD_INSTALL, sqe.install_fd_flags
inline constexpr std::uint32_t fixed_fd_no_cloexec = 1U << 0;

// NOP, sqe.nop_flags
inline constexpr std::uint32_t nop_inject_result = 1U << 0;  // 6.10

// URING_CMD of sockets, the low half of sqe.off
inline constexpr std::uint64_t socket_siocinq = 0;
inline constexpr std::uint64_t socket_siocoutq = 1;
inline constexpr std::uint64_t socket_getsockopt = 2;  // 6.7
inline constexpr std::uint64_t socket_setsockopt = 3;  // 6.7

/// For sqe.file_index, which counts from 1: the kernel picks a free slot.
inline constexpr std::uint32_t file_index_alloc = ~0U;

// io_uring_register(2), opcodes
inline constexpr std::uint32_t register_probe = 8;
inline constexpr std::uint32_t register_files_update = 6;
inline constexpr std::uint32_t register_restrictions = 11;  // 5.10
inline constexpr std::uint32_t register_enable_rings = 12;  // 5.10
inline constexpr std::uint32_t register_files2 = 13;
inline constexpr std::uint32_t unregister_files = 3;
inline constexpr std::uint32_t register_buffers2 = 15;
inline constexpr std::uint32_t unregister_buffers = 1;
inline constexpr std::uint32_t register_buffers_update = 16;
inline constexpr std::uint32_t register_iowq_aff = 17;
inline constexpr std::uint32_t register_iowq_max_workers = 19;  // 5.15
inline constexpr std::uint32_t register_ring_fds = 20;
inline constexpr std::uint32_t unregister_ring_fds = 21;
inline constexpr std::uint32_t register_pbuf_ring = 22;    // 5.19
inline constexpr std::uint32_t unregister_pbuf_ring = 23;  // 5.19
inline constexpr std::uint32_t rsrc_register_sparse = 1U << 0;
inline constexpr std::uint32_t pbuf_ring_inc = 1U << 1;  // 6.12
inline constexpr std::uint32_t probe_op_supported = 1U << 0;

/// struct io_uring_probe, with room for every possible opcode.
struct Probe {
  struct Op {
    std::uint8_t op = 0;
    std::uint8_t reserved = 0;
    std::uint16_t flags = 0;
    std::uint32_t reserved2 = 0;
  };
  std::uint8_t last_op = 0;
  std::uint8_t ops_len = 0;
  std::uint16_t reserved = 0;
  std::array<std::uint32_t, 3> reserved2{};
  std::array<Op, 256> ops{};
};

/// struct io_uring_restriction: one thing that a ring may do.
struct Restriction {
  enum class What : std::uint16_t {
    register_op = 0,
    sqe_op = 1,
    sqe_flags_allowed = 2,
    sqe_flags_required = 3
  };
  What what = What::sqe_op;
  std::uint8_t value = 0;  ///< the opcode, or the flags
  std::uint8_t reserved = 0;
  std::array<std::uint32_t, 3> reserved2{};
};

/// struct io_uring_rsrc_register
struct RsrcRegister {
  std::uint32_t count = 0;
  std::uint32_t flags = 0;
  std::uint64_t reserved = 0;
  std::uint64_t data = 0;
  std::uint64_t tags = 0;
};

/// struct io_uring_rsrc_update2
struct RsrcUpdate2 {
  std::uint32_t offset = 0;
  std::uint32_t reserved = 0;
  std::uint64_t data = 0;
  std::uint64_t tags = 0;
  std::uint32_t count = 0;
  std::uint32_t reserved2 = 0;
};

/// struct io_uring_buf_reg
struct BufferRingRegister {
  std::uint64_t address = 0;
  std::uint32_t entries = 0;
  std::uint16_t group = 0;
  std::uint16_t flags = 0;
  std::array<std::uint64_t, 3> reserved{};
};

/// struct io_uring_buf: an entry of a ring of provided buffers. The ring's tail lies in the last field of the
/// first entry.
struct RingBuffer {
  std::uint64_t address = 0;
  std::uint32_t length = 0;
  std::uint16_t id = 0;
  std::uint16_t tail = 0;
};
static_assert(sizeof(RingBuffer) == 16);

/// struct io_uring_recvmsg_out: the header before the data that a multishot recvmsg has received.
struct RecvmsgOut {
  std::uint32_t name_length = 0;
  std::uint32_t control_length = 0;
  std::uint32_t payload_length = 0;
  std::uint32_t flags = 0;
};

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

}  // namespace uapi
}  // namespace corering
