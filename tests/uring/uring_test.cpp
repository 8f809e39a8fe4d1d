/// uring_test.cpp — our copy of the ABI, opening a ring on every kind of kernel, and the messages for
/// failures.
#include <cstring>
#include <liburing.h>

#include <corering/core/worker.hpp>
#include <corering/uring/setup_error.hpp>
#include <gtest/gtest.h>

#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

// ---- the ABI, compared with the system's header ----

static_assert(offsetof(Sqe, opcode) == offsetof(io_uring_sqe, opcode));
static_assert(offsetof(Sqe, flags) == offsetof(io_uring_sqe, flags));
static_assert(offsetof(Sqe, ioprio) == offsetof(io_uring_sqe, ioprio));
static_assert(offsetof(Sqe, fd) == offsetof(io_uring_sqe, fd));
static_assert(offsetof(Sqe, off) == offsetof(io_uring_sqe, off));
static_assert(offsetof(Sqe, addr) == offsetof(io_uring_sqe, addr));
static_assert(offsetof(Sqe, len) == offsetof(io_uring_sqe, len));
static_assert(offsetof(Sqe, op_flags) == offsetof(io_uring_sqe, rw_flags));
static_assert(offsetof(Sqe, user_data) == offsetof(io_uring_sqe, user_data));
static_assert(offsetof(Sqe, buf_index) == offsetof(io_uring_sqe, buf_index));
static_assert(offsetof(Sqe, personality) == offsetof(io_uring_sqe, personality));
static_assert(offsetof(Sqe, file_index) == offsetof(io_uring_sqe, file_index));
static_assert(offsetof(Sqe, addr3) == offsetof(io_uring_sqe, addr3));
static_assert(offsetof(Cqe, user_data) == offsetof(io_uring_cqe, user_data));
static_assert(offsetof(Cqe, res) == offsetof(io_uring_cqe, res));
static_assert(offsetof(Cqe, flags) == offsetof(io_uring_cqe, flags));

static_assert(static_cast<int>(Opcode::nop) == IORING_OP_NOP);
static_assert(static_cast<int>(Opcode::readv) == IORING_OP_READV);
static_assert(static_cast<int>(Opcode::writev) == IORING_OP_WRITEV);
static_assert(static_cast<int>(Opcode::fsync) == IORING_OP_FSYNC);
static_assert(static_cast<int>(Opcode::read_fixed) == IORING_OP_READ_FIXED);
static_assert(static_cast<int>(Opcode::write_fixed) == IORING_OP_WRITE_FIXED);
static_assert(static_cast<int>(Opcode::poll_add) == IORING_OP_POLL_ADD);
static_assert(static_cast<int>(Opcode::poll_remove) == IORING_OP_POLL_REMOVE);
static_assert(static_cast<int>(Opcode::sync_file_range) == IORING_OP_SYNC_FILE_RANGE);
static_assert(static_cast<int>(Opcode::sendmsg) == IORING_OP_SENDMSG);
static_assert(static_cast<int>(Opcode::recvmsg) == IORING_OP_RECVMSG);
static_assert(static_cast<int>(Opcode::timeout) == IORING_OP_TIMEOUT);
static_assert(static_cast<int>(Opcode::timeout_remove) == IORING_OP_TIMEOUT_REMOVE);
static_assert(static_cast<int>(Opcode::accept) == IORING_OP_ACCEPT);
static_assert(static_cast<int>(Opcode::async_cancel) == IORING_OP_ASYNC_CANCEL);
static_assert(static_cast<int>(Opcode::link_timeout) == IORING_OP_LINK_TIMEOUT);
static_assert(static_cast<int>(Opcode::connect) == IORING_OP_CONNECT);
static_assert(static_cast<int>(Opcode::fallocate) == IORING_OP_FALLOCATE);
static_assert(static_cast<int>(Opcode::openat) == IORING_OP_OPENAT);
static_assert(static_cast<int>(Opcode::close) == IORING_OP_CLOSE);
static_assert(static_cast<int>(Opcode::files_update) == IORING_OP_FILES_UPDATE);
static_assert(static_cast<int>(Opcode::statx) == IORING_OP_STATX);
static_assert(static_cast<int>(Opcode::read) == IORING_OP_READ);
static_assert(static_cast<int>(Opcode::write) == IORING_OP_WRITE);
static_assert(static_cast<int>(Opcode::fadvise) == IORING_OP_FADVISE);
static_assert(static_cast<int>(Opcode::madvise) == IORING_OP_MADVISE);
static_assert(static_cast<int>(Opcode::send) == IORING_OP_SEND);
static_assert(static_cast<int>(Opcode::recv) == IORING_OP_RECV);
static_assert(static_cast<int>(Opcode::openat2) == IORING_OP_OPENAT2);
static_assert(static_cast<int>(Opcode::epoll_ctl) == IORING_OP_EPOLL_CTL);
static_assert(static_cast<int>(Opcode::splice) == IORING_OP_SPLICE);
static_assert(static_cast<int>(Opcode::provide_buffers) == IORING_OP_PROVIDE_BUFFERS);
static_assert(static_cast<int>(Opcode::remove_buffers) == IORING_OP_REMOVE_BUFFERS);
static_assert(static_cast<int>(Opcode::tee) == IORING_OP_TEE);
static_assert(static_cast<int>(Opcode::shutdown) == IORING_OP_SHUTDOWN);
static_assert(static_cast<int>(Opcode::renameat) == IORING_OP_RENAMEAT);
static_assert(static_cast<int>(Opcode::unlinkat) == IORING_OP_UNLINKAT);
static_assert(static_cast<int>(Opcode::mkdirat) == IORING_OP_MKDIRAT);
static_assert(static_cast<int>(Opcode::symlinkat) == IORING_OP_SYMLINKAT);
static_assert(static_cast<int>(Opcode::linkat) == IORING_OP_LINKAT);
static_assert(static_cast<int>(Opcode::msg_ring) == IORING_OP_MSG_RING);
static_assert(static_cast<int>(Opcode::fsetxattr) == IORING_OP_FSETXATTR);
static_assert(static_cast<int>(Opcode::setxattr) == IORING_OP_SETXATTR);
static_assert(static_cast<int>(Opcode::fgetxattr) == IORING_OP_FGETXATTR);
static_assert(static_cast<int>(Opcode::getxattr) == IORING_OP_GETXATTR);
static_assert(static_cast<int>(Opcode::socket) == IORING_OP_SOCKET);
static_assert(static_cast<int>(Opcode::uring_cmd) == IORING_OP_URING_CMD);
static_assert(static_cast<int>(Opcode::send_zc) == IORING_OP_SEND_ZC);
static_assert(static_cast<int>(Opcode::sendmsg_zc) == IORING_OP_SENDMSG_ZC);
static_assert(uapi::setup_cqsize == IORING_SETUP_CQSIZE);
static_assert(uapi::feature_ext_arg == IORING_FEAT_EXT_ARG);
static_assert(uapi::fsync_datasync == IORING_FSYNC_DATASYNC);
static_assert(uapi::sqe_fixed_file == IOSQE_FIXED_FILE);
static_assert(uapi::sqe_io_drain == IOSQE_IO_DRAIN);
static_assert(uapi::sqe_io_link == IOSQE_IO_LINK);
static_assert(uapi::sqe_io_hardlink == IOSQE_IO_HARDLINK);
static_assert(uapi::sqe_async == IOSQE_ASYNC);
static_assert(uapi::sqe_buffer_select == IOSQE_BUFFER_SELECT);
static_assert(uapi::sqe_cqe_skip_success == IOSQE_CQE_SKIP_SUCCESS);
static_assert(uapi::cqe_buffer == IORING_CQE_F_BUFFER);
static_assert(uapi::cqe_more == IORING_CQE_F_MORE);
static_assert(uapi::cqe_sock_nonempty == IORING_CQE_F_SOCK_NONEMPTY);
static_assert(uapi::cqe_notif == IORING_CQE_F_NOTIF);
static_assert(uapi::cqe_buffer_shift == IORING_CQE_BUFFER_SHIFT);
static_assert(uapi::cancel_all == IORING_ASYNC_CANCEL_ALL);
static_assert(uapi::cancel_fd == IORING_ASYNC_CANCEL_FD);
static_assert(uapi::cancel_any == IORING_ASYNC_CANCEL_ANY);
static_assert(uapi::cancel_fd_fixed == IORING_ASYNC_CANCEL_FD_FIXED);
static_assert(uapi::timeout_abs == IORING_TIMEOUT_ABS);
static_assert(uapi::timeout_update == IORING_TIMEOUT_UPDATE);
static_assert(uapi::timeout_boottime == IORING_TIMEOUT_BOOTTIME);
static_assert(uapi::timeout_realtime == IORING_TIMEOUT_REALTIME);
static_assert(uapi::link_timeout_update == IORING_LINK_TIMEOUT_UPDATE);
static_assert(uapi::timeout_etime_success == IORING_TIMEOUT_ETIME_SUCCESS);
static_assert(uapi::poll_add_multi == IORING_POLL_ADD_MULTI);
static_assert(uapi::poll_update_events == IORING_POLL_UPDATE_EVENTS);
static_assert(uapi::poll_update_user_data == IORING_POLL_UPDATE_USER_DATA);
static_assert(uapi::recvsend_poll_first == IORING_RECVSEND_POLL_FIRST);
static_assert(uapi::recv_multishot == IORING_RECV_MULTISHOT);
static_assert(uapi::recvsend_fixed_buf == IORING_RECVSEND_FIXED_BUF);
static_assert(uapi::accept_multishot == IORING_ACCEPT_MULTISHOT);
static_assert(uapi::msg_data == IORING_MSG_DATA);
static_assert(uapi::msg_send_fd == IORING_MSG_SEND_FD);
static_assert(uapi::splice_fd_in_fixed == SPLICE_F_FD_IN_FIXED);
static_assert(uapi::file_index_alloc == IORING_FILE_INDEX_ALLOC);
static_assert(uapi::register_probe == IORING_REGISTER_PROBE);
static_assert(uapi::register_files_update == IORING_REGISTER_FILES_UPDATE);
static_assert(uapi::register_files2 == IORING_REGISTER_FILES2);
static_assert(uapi::unregister_files == IORING_UNREGISTER_FILES);
static_assert(uapi::register_buffers2 == IORING_REGISTER_BUFFERS2);
static_assert(uapi::unregister_buffers == IORING_UNREGISTER_BUFFERS);
static_assert(uapi::register_buffers_update == IORING_REGISTER_BUFFERS_UPDATE);
static_assert(uapi::register_pbuf_ring == IORING_REGISTER_PBUF_RING);
static_assert(uapi::unregister_pbuf_ring == IORING_UNREGISTER_PBUF_RING);
static_assert(uapi::rsrc_register_sparse == IORING_RSRC_REGISTER_SPARSE);
static_assert(uapi::probe_op_supported == IO_URING_OP_SUPPORTED);
static_assert(uapi::setup_clamp == IORING_SETUP_CLAMP);
static_assert(uapi::setup_submit_all == IORING_SETUP_SUBMIT_ALL);
static_assert(uapi::setup_coop_taskrun == IORING_SETUP_COOP_TASKRUN);
static_assert(uapi::setup_single_issuer == IORING_SETUP_SINGLE_ISSUER);
static_assert(uapi::setup_defer_taskrun == IORING_SETUP_DEFER_TASKRUN);
static_assert(uapi::enter_getevents == IORING_ENTER_GETEVENTS);
static_assert(uapi::enter_ext_arg == IORING_ENTER_EXT_ARG);
static_assert(uapi::enter_registered_ring == IORING_ENTER_REGISTERED_RING);
static_assert(uapi::register_iowq_aff == IORING_REGISTER_IOWQ_AFF);
static_assert(uapi::register_iowq_max_workers == IORING_REGISTER_IOWQ_MAX_WORKERS);
static_assert(uapi::register_ring_fds == IORING_REGISTER_RING_FDS);
static_assert(uapi::unregister_ring_fds == IORING_UNREGISTER_RING_FDS);

static_assert(sizeof(uapi::GetEventsArg) == sizeof(io_uring_getevents_arg));
static_assert(offsetof(uapi::GetEventsArg, timespec) == offsetof(io_uring_getevents_arg, ts));
static_assert(sizeof(uapi::RsrcUpdate) == sizeof(io_uring_rsrc_update));
static_assert(sizeof(uapi::RsrcUpdate2) == sizeof(io_uring_rsrc_update2));
static_assert(offsetof(uapi::RsrcUpdate2, count) == offsetof(io_uring_rsrc_update2, nr));
static_assert(sizeof(uapi::RsrcRegister) == sizeof(io_uring_rsrc_register));
static_assert(offsetof(uapi::RsrcRegister, data) == offsetof(io_uring_rsrc_register, data));
static_assert(sizeof(uapi::BufferRingRegister) == sizeof(io_uring_buf_reg));
static_assert(offsetof(uapi::BufferRingRegister, entries) == offsetof(io_uring_buf_reg, ring_entries));
static_assert(offsetof(uapi::BufferRingRegister, group) == offsetof(io_uring_buf_reg, bgid));
static_assert(sizeof(uapi::RingBuffer) == sizeof(io_uring_buf));
static_assert(offsetof(uapi::RingBuffer, length) == offsetof(io_uring_buf, len));
static_assert(offsetof(uapi::RingBuffer, id) == offsetof(io_uring_buf, bid));
static_assert(offsetof(uapi::RingBuffer, tail) == offsetof(io_uring_buf_ring, tail));
static_assert(sizeof(uapi::RecvmsgOut) == sizeof(io_uring_recvmsg_out));
static_assert(offsetof(uapi::RecvmsgOut, payload_length) == offsetof(io_uring_recvmsg_out, payloadlen));
static_assert(sizeof(uapi::Probe::Op) == sizeof(io_uring_probe_op));
static_assert(offsetof(uapi::Probe, ops) == sizeof(io_uring_probe));

TEST(Abi, a_request_writes_every_field_of_its_sqe) {
  Sqe sqe;
  std::memset(static_cast<void*>(&sqe), 0xee, sizeof sqe);
  const Request request{.addr = 1,
                        .fd = 2,
                        .len = 3,
                        .off = 4,
                        .head = head(Opcode::read) | 5U << 8 | 6U << 16,
                        .op_flags = 7,
                        .extra = 8 | 9ULL << 16 | 10ULL << 32,
                        .addr3 = 12,
                        .pad = 13};
  request.fill(sqe, 11);
  EXPECT_EQ(sqe.opcode, static_cast<int>(Opcode::read));
  EXPECT_EQ(sqe.flags, 5);
  EXPECT_EQ(sqe.ioprio, 6);
  EXPECT_EQ(sqe.fd, 2);
  EXPECT_EQ(sqe.off, 4U);
  EXPECT_EQ(sqe.addr, 1U);
  EXPECT_EQ(sqe.len, 3U);
  EXPECT_EQ(sqe.op_flags, 7U);
  EXPECT_EQ(sqe.user_data, 11U);
  EXPECT_EQ(sqe.buf_index, 8);
  EXPECT_EQ(sqe.personality, 9);
  EXPECT_EQ(sqe.file_index, 10U);
  EXPECT_EQ(sqe.addr3, 12U);
  EXPECT_EQ(sqe.pad, 13U);
  Sqe again;
  Request::of(sqe).fill(again, 11);
  EXPECT_EQ(std::memcmp(&sqe, &again, sizeof sqe), 0) << "and is read back out of it";
}

TEST(Abi, every_opcode_has_its_name) {
  EXPECT_EQ(name_of(Opcode::nop), "nop");
  EXPECT_EQ(name_of(Opcode::openat), "openat");
  EXPECT_EQ(name_of(Opcode::recv), "recv");
  EXPECT_EQ(name_of(Opcode::pipe), "pipe");
  EXPECT_EQ(name_of(static_cast<Opcode>(200)), "unknown");
}

// ---- set-up on kernels that know less ----

Task<void> one_nop() { EXPECT_TRUE(co_await async_nop()); }

class OlderKernel : public testing::TestWithParam<std::uint32_t> {};

TEST_P(OlderKernel, runs_with_the_flags_it_knows) {
  const std::uint32_t unknown_flag = GetParam();
  test::FaultyKernel kernel;
  std::uint32_t granted = 0;
  kernel.on_open_ring = [&](const RingParams& params) {
    granted = params.flags;
    return (params.flags & unknown_flag) != 0 ? -EINVAL : 0;
  };
  test::run_on_a_worker_here(one_nop(), {.kernel = &kernel});
  EXPECT_EQ(granted & unknown_flag, 0U);
}

INSTANTIATE_TEST_SUITE_P(Without, OlderKernel,
                         testing::Values(uapi::setup_defer_taskrun, uapi::setup_single_issuer,
                                         uapi::setup_coop_taskrun, uapi::setup_submit_all));

TEST(Ring, has_the_best_flags_this_kernel_grants) {
  const test::RunningWorker running;
  const std::uint32_t flags = running.worker.setup_flags();
  EXPECT_TRUE(flags & uapi::setup_submit_all);
  EXPECT_TRUE(flags & (uapi::setup_defer_taskrun | uapi::setup_coop_taskrun | uapi::setup_clamp));
}

// ---- failures say what to do ----

struct Refusal {
  int errno_value;
  std::vector<std::string> says;
};

std::string errno_name(const testing::TestParamInfo<Refusal>& info) {
  return strerrorname_np(info.param.errno_value);
}

class RefusedSetup : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedSetup, is_one_sentence_that_says_what_to_do) {
  test::FaultyKernel kernel;
  kernel.on_open_ring = [](const RingParams&) { return -GetParam().errno_value; };
  const int descriptors = test::open_descriptors();
  {
    Worker worker({.kernel = &kernel});
    const Result<void> started = worker.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().default_error_condition().value(), GetParam().errno_value);
    const std::string message = started.error().message();
    for (const std::string& part : GetParam().says)
      EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  EXPECT_EQ(test::open_descriptors(), descriptors);
}

INSTANTIATE_TEST_SUITE_P(
    With, RefusedSetup,
    testing::Values(Refusal{EPERM, {"seccomp", "kernel.io_uring_disabled"}},
                    Refusal{ENOSYS, {"seccomp", "kernel.io_uring_disabled", "Linux 5.19"}},
                    Refusal{ENOMEM, {"RLIMIT_MEMLOCK"}}, Refusal{EMFILE, {"RLIMIT_NOFILE"}},
                    Refusal{ENFILE, {"fs.file-max"}}, Refusal{EINVAL, {"Linux 5.19", "sandbox"}}),
    errno_name);

TEST(RefusedSetup, of_the_eventfd_names_the_limit) {
  test::FaultyKernel kernel;
  kernel.on_open_eventfd = [] { return -EMFILE; };
  Worker worker({.kernel = &kernel});
  const Result<void> started = worker.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message().find("RLIMIT_NOFILE"), std::string::npos);
}

TEST(RefusedSetup, can_be_tried_again) {
  test::FaultyKernel kernel;
  bool refuse = true;
  kernel.on_open_ring = [&](const RingParams&) { return refuse ? -ENOMEM : 0; };
  Worker worker({.kernel = &kernel});
  EXPECT_FALSE(worker.start());
  refuse = false;
  EXPECT_TRUE(worker.start());
}

TEST(RefusedSetup, of_a_processor_that_is_not_there) {
  Worker worker({.cpu = 100'000});
  const Result<void> started = worker.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message().find("pinned"), std::string::npos);
}

TEST(Options, zero_entries_are_refused_by_name) {
  Worker worker({.sq_entries = 0});
  const Result<void> started = worker.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message().find("sq_entries"), std::string::npos);
}

// ---- enter fails for a while ----

class TransientFailure : public testing::TestWithParam<int> {};

Task<void> some_work() {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(co_await async_nop());
    EXPECT_TRUE(co_await sleep_for(std::chrono::microseconds(100)));
  }
}

TEST_P(TransientFailure, of_the_nth_enter_loses_nothing) {
  for (int nth = 1; nth <= 40; ++nth) {
    test::FaultyKernel kernel;
    int entered = 0;
    kernel.on_enter = [&](unsigned) { return ++entered == nth ? -GetParam() : 0; };
    test::run_on_a_worker_here(some_work(), {.kernel = &kernel});
    EXPECT_GE(entered, nth);
  }
}

TEST_P(TransientFailure, of_half_of_all_enters_loses_nothing) {
  test::FaultyKernel kernel;
  int entered = 0;
  kernel.on_enter = [&](unsigned) { return ++entered % 2 == 1 ? -GetParam() : 0; };
  test::run_on_a_worker_here(some_work(), {.sq_entries = 1, .cq_entries = 2, .kernel = &kernel});
}

INSTANTIATE_TEST_SUITE_P(With, TransientFailure, testing::Values(EAGAIN, EBUSY, ENOMEM, EINTR));

}  // namespace
}  // namespace corering
