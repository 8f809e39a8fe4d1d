/// raw_test.cpp — any SQE at all.
#include "support/faulty_kernel.hpp"
#include "support/story.hpp"

namespace corering {
namespace {

using test::run_on_a_worker_here;
using namespace std::chrono_literals;

Task<void> raw_multishot(int listener_fd, const test::Listener& listener) {
  Sqe sqe;
  sqe.opcode = static_cast<std::uint8_t>(Opcode::accept);
  sqe.ioprio = uapi::accept_multishot;
  sqe.fd = listener_fd;
  sqe.op_flags = SOCK_CLOEXEC;
  RawStream stream(sqe);
  for (int i = 0; i < 3; ++i) {
    const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(test::sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
    const Result<Reply> reply = co_await stream.next();
    EXPECT_TRUE(reply && reply->res >= 0 && !reply->is_last());
    if (reply) {
      const Fd taken(reply->res);
    }
  }
}

TEST(Raw, a_multishot_sqe_is_a_stream) {
  const test::Listener listener;
  run_on_a_worker_here(raw_multishot(listener.fd.get(), listener));
}

TEST(RawDeathTest, an_sqe_that_is_never_answered_ends_the_program) {
  Sqe silent;
  silent.flags = uapi::sqe_cqe_skip_success;
  EXPECT_DEATH((void)async_raw(silent), "can never be awaited");
  Sqe linked;
  linked.flags = uapi::sqe_io_link;
  EXPECT_DEATH((void)async_raw(linked), "use chain()");
  Sqe drain;
  drain.flags = uapi::sqe_io_drain;
  EXPECT_DEATH((void)async_raw(drain), "always armed");
}

Task<void> raw_zero_copy(const test::Listener& listener) {
  const Fd client(test::sys::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(test::sys::connect(client.get(), listener.get(), sizeof listener.address), 0);
  Sqe sqe;
  sqe.opcode = static_cast<std::uint8_t>(Opcode::send_zc);
  sqe.fd = client.get();
  sqe.addr = reinterpret_cast<std::uintptr_t>("zero");
  sqe.len = 4;
  const Result<Reply> reply = co_await async_raw(sqe);
  EXPECT_TRUE(reply && reply->res == 4 && reply->is_last());
}

TEST(Raw, a_zero_copy_send_is_over_when_it_resumes) {
  const test::Listener listener;
  run_on_a_worker_here(raw_zero_copy(listener));
}

}  // namespace
}  // namespace corering
