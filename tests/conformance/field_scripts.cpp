/// field_scripts.cpp — which fields and flags of an SQE a kernel refuses, and that it does so before a chain
/// has begun. What is expected is the emulated kernel's table, so on io_uring this shows that the table is
/// true.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/openat2.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <utility>
#include <vector>

#include "conformance/kernels.hpp"
#include "emulation/sqe_fields.hpp"

namespace corering::conformance {
namespace {

/// What the requests point to. None of them gets as far as using it: there is no such descriptor.
struct Memory {
  std::array<char, 512> text{};
  iovec part{text.data(), 8};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1};
  uapi::Timespec time{.nanoseconds = 1000};
  open_how how{};
  epoll_event event{};
};

class Fields : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    std::strcpy(memory_.text.data(), "there is no such name");
  }

  /// One that is refused by nothing but its descriptor, or its name.
  [[nodiscard]] Entry plain(Opcode opcode) {
    Entry entry = about(1, opcode, -1, nullptr, 0);
    point(opcode, entry.sqe);
    number(opcode, entry.sqe);
    return entry;
  }

  template <class T>
  static void point_to(std::uint64_t& field, const T& what, std::uint32_t& len, std::uint32_t value) {
    field = address(&what);
    len = value;
  }

  void point(Opcode opcode, Sqe& sqe) {
    switch (opcode) {
      case Opcode::readv:
      case Opcode::writev:
      case Opcode::readv_fixed:
      case Opcode::writev_fixed:
        return point_to(sqe.addr, memory_.part, sqe.len, 1);
      case Opcode::sendmsg:
      case Opcode::recvmsg:
      case Opcode::sendmsg_zc:
        return point_to(sqe.addr, memory_.message, sqe.len, 1);
      case Opcode::timeout:
      case Opcode::link_timeout:
        return point_to(sqe.addr, memory_.time, sqe.len, 1);
      case Opcode::openat2:
        sqe.addr = address(memory_.text.data());
        return point_to(sqe.off, memory_.how, sqe.len, sizeof memory_.how);
      case Opcode::timeout_remove:
        sqe.off = address(&memory_.time);
        return;
      case Opcode::epoll_ctl:
        return point_to(sqe.addr, memory_.event, sqe.len, EPOLL_CTL_ADD);
      case Opcode::renameat:
      case Opcode::linkat:
      case Opcode::symlinkat:
      case Opcode::statx:
        sqe.off = address(memory_.text.data());
        [[fallthrough]];
      case Opcode::openat:
      case Opcode::unlinkat:
      case Opcode::mkdirat:
      case Opcode::connect:
      case Opcode::bind:
        sqe.addr = address(memory_.text.data());
        return;
      case Opcode::setxattr:
      case Opcode::getxattr:
        sqe.addr3 = address(memory_.text.data());
        [[fallthrough]];
      case Opcode::fsetxattr:
      case Opcode::fgetxattr:
        sqe.addr = sqe.off = address(memory_.text.data());
        return;
      default:
        return;
    }
  }

  static void number(Opcode opcode, Sqe& sqe) {
    switch (opcode) {
      case Opcode::connect:
      case Opcode::bind:
        sqe.off = sizeof(sockaddr_in);
        return;
      case Opcode::files_update:
      case Opcode::epoll_wait:
        sqe.len = 1;
        return;
      case Opcode::futex_wait:
      case Opcode::futex_wake:
        sqe.fd = 2;  // words of 32 bits
        sqe.addr3 = 1;
        return;
      case Opcode::waitid:
        sqe.len = P_PID;
        sqe.fd = 1 << 30;
        sqe.file_index = WEXITED;
        return;
      case Opcode::pipe:
        sqe.fd = 0;
        return;
      default:
        return;
    }
  }

  /// A link before it is cancelled exactly if the request is refused, and it has the error that is expected.
  void compare(Opcode opcode, const char* what, Entry entry) {
    SCOPED_TRACE(testing::Message() << opcode_names[static_cast<std::size_t>(opcode)] << " with " << what);
    const int expected = emulation::error_of_fields(entry.sqe);
    Script script(kernel());
    script.submit({nop(2).linked(), entry});
    const std::optional<Cqe> first = script.next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->user_data, 2U);
    EXPECT_EQ(first->res, expected < 0 ? -ECANCELED : 0);
    if (expected < 0) {
      EXPECT_EQ(script.result_of(1), expected);
    }
    script.finish();
  }

  Memory memory_;
};
SCRIPTS_OF(Fields);

/// These are refused for what they point to, or not offered by every kernel.
bool is_left_out(Opcode opcode) {
  constexpr std::array left_out = {Opcode::provide_buffers, Opcode::remove_buffers, Opcode::recv_zc,
                                   Opcode::read_multishot,  Opcode::futex_waitv,    Opcode::fixed_fd_install};
  return std::ranges::find(left_out, opcode) != left_out.end();
}

std::vector<Opcode> opcodes() {
  std::vector<Opcode> all;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(Opcode::pipe); ++i) {
    if (!is_left_out(static_cast<Opcode>(i))) all.push_back(static_cast<Opcode>(i));
  }
  return all;
}

TEST_P(Fields, that_an_opcode_does_not_use_have_to_be_zero) {
  COMPARED_WITH_LINUX_6_18;
  for (const Opcode opcode : opcodes()) {
    compare(opcode, "nothing special", plain(opcode));
    const auto with = [&](const char* name, auto member) {
      Entry entry = plain(opcode);
      if (entry.sqe.*member != 0) return;  // it uses this one
      entry.sqe.*member = 16;
      compare(opcode, name, entry);
    };
    with("buf_index", &Sqe::buf_index);
    with("file_index", &Sqe::file_index);
    with("addr3", &Sqe::addr3);
    with("len", &Sqe::len);
    compare(opcode, "a slot", plain(opcode).in_slot());
  }
}

TEST_P(Fields, of_flags_have_to_be_known) {
  COMPARED_WITH_LINUX_6_18;
  for (const Opcode opcode : opcodes()) {
    if (opcode == Opcode::nop) continue;  // io_uring knows more of them than the others
    for (std::uint32_t flag = 1; flag != 0; flag <<= 1) compare(opcode, "a flag", plain(opcode).flags(flag));
  }
}

TEST_P(Fields, of_a_receive_alone_have_to_be_zero_too) {
  COMPARED_WITH_LINUX_6_18;
  const Pair pair = outside.socket_pair();
  std::string& into = outside.room(16);
  outside.write(pair.theirs, "hello");
  Entry entry = recv(1, pair.ours, into);
  entry.sqe.off = 16;
  script.submit({entry});
  script.expect({{1, -EINVAL}});
}

TEST_P(Fields, of_sends_and_receives_have_to_be_known) {
  COMPARED_WITH_LINUX_6_18;
  using Known = std::pair<Opcode, std::uint32_t>;
  constexpr auto waits = uapi::recvsend_poll_first;
  constexpr std::array kinds = {Known{Opcode::send, waits | uapi::recvsend_bundle | uapi::send_vectorized},
                                Known{Opcode::sendmsg, waits | uapi::send_vectorized},
                                Known{Opcode::recv, waits | uapi::recv_multishot | uapi::recvsend_bundle},
                                Known{Opcode::recvmsg, waits | uapi::recv_multishot}};
  const Pair pair = outside.socket_pair();
  auto& message = outside.object(msghdr{});
  for (const auto& [opcode, known] : kinds) {
    for (std::uint32_t flag = 1; flag < 1U << 16; flag <<= 1) {
      if ((known & flag) != 0) continue;
      script.submit({about(flag, opcode, pair.ours, &message, 1).ioprio(flag)});
      script.expect({{flag, -EINVAL}});
    }
  }
  script.submit({sendmsg(1, pair.ours, message).from_group(3)});
  script.expect({{1, -EOPNOTSUPP}});
}

TEST_P(Fields, of_priority_have_to_be_sound) {
  COMPARED_WITH_LINUX_6_18;
  for (const Opcode opcode : {Opcode::read, Opcode::writev, Opcode::read_fixed}) {
    for (std::uint32_t bit = 1; bit < 1U << 16; bit <<= 1)
      compare(opcode, "ioprio", plain(opcode).ioprio(bit));
  }
}

}  // namespace
}  // namespace corering::conformance
