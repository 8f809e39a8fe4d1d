/// os_calls.cpp — the table of all operations, and what their functions have in common.
#include "emulation/os_calls.hpp"

#include <array>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

/// What an operation does. Without an attempt it goes to a helper at once.
struct OsCall {
  Answer (*attempt)(DescriptorRecords&, Call&) noexcept = nullptr;
  Answer (*lent)(Call&) noexcept = nullptr;
};

Answer close_lent(Call& call) noexcept {
  // close(2) is not repeated: the number is gone, whatever it returned.
  return Answer::done(::close(call.sqe.fd) == 0 || errno == EINTR ? 0 : -errno);
}

// Its number is forgotten by OsWorld, before this.
Answer close_now(DescriptorRecords&, Call& call) noexcept {
  return call.wants_helper ? Answer::helper() : close_lent(call);
}

Answer pipe_now(DescriptorRecords&, Call& call) noexcept {
  const int flags = static_cast<int>(call.sqe.op_flags) | (call.keeps_private ? O_CLOEXEC : 0);
  return Answer::done(retried([&] { return ::pipe2(pointer<int>(call.sqe.addr), flags); }));
}

constexpr std::size_t operation_count = opcode_names.size();
using Table = std::array<OsCall, operation_count>;

constexpr OsCall& row(Table& table, Opcode opcode) noexcept {
  return table[static_cast<std::size_t>(opcode)];
}

constexpr void add_transfers(Table& table) noexcept {
  for (const Opcode opcode :
       {Opcode::read, Opcode::readv, Opcode::read_fixed, Opcode::readv_fixed, Opcode::read_multishot})
    row(table, opcode) = {calls::read, calls::read_lent};
  for (const Opcode opcode : {Opcode::write, Opcode::writev, Opcode::write_fixed, Opcode::writev_fixed})
    row(table, opcode) = {calls::write, calls::write_lent};
  for (const Opcode opcode : {Opcode::recv, Opcode::recvmsg})
    row(table, opcode) = {.attempt = calls::receive};
  for (const Opcode opcode : {Opcode::send, Opcode::sendmsg, Opcode::send_zc, Opcode::sendmsg_zc})
    row(table, opcode) = {.attempt = calls::send};
  for (const Opcode opcode : {Opcode::splice, Opcode::tee})
    row(table, opcode) = {calls::splice, calls::splice_lent};
}

constexpr void add_what_is_quick(Table& table) noexcept {
  row(table, Opcode::close) = {close_now, close_lent};
  row(table, Opcode::pipe) = {.attempt = pipe_now};
  row(table, Opcode::socket) = {.attempt = calls::socket};
  row(table, Opcode::bind) = {.attempt = calls::bind};
  row(table, Opcode::listen) = {.attempt = calls::listen};
  row(table, Opcode::shutdown) = {.attempt = calls::shutdown};
  row(table, Opcode::uring_cmd) = {.attempt = calls::command};
  row(table, Opcode::epoll_ctl) = {.attempt = calls::epoll_ctl};
  row(table, Opcode::futex_wake) = {.attempt = calls::futex_wake};
}

constexpr void add_waits(Table& table) noexcept {
  row(table, Opcode::accept) = {.attempt = calls::accept};
  row(table, Opcode::connect) = {.attempt = calls::connect};
  row(table, Opcode::epoll_wait) = {.attempt = calls::epoll_wait};
  row(table, Opcode::waitid) = {.attempt = calls::wait_for_child};
  row(table, Opcode::futex_wait) = {.attempt = calls::futex_wait};
  row(table, Opcode::futex_waitv) = {.attempt = calls::futex_waitv};
}

constexpr void add_files_and_paths(Table& table) noexcept {
  row(table, Opcode::fsync).lent = calls::fsync;
  row(table, Opcode::sync_file_range).lent = calls::sync_file_range;
  row(table, Opcode::fallocate).lent = calls::fallocate;
  row(table, Opcode::ftruncate).lent = calls::ftruncate;
  row(table, Opcode::fadvise).lent = calls::fadvise;
  row(table, Opcode::madvise).lent = calls::madvise;
  row(table, Opcode::openat).lent = calls::open;
  row(table, Opcode::openat2).lent = calls::open2;
  row(table, Opcode::statx).lent = calls::stat;
  row(table, Opcode::unlinkat).lent = calls::unlink;
  row(table, Opcode::renameat).lent = calls::rename;
  row(table, Opcode::mkdirat).lent = calls::make_directory;
  row(table, Opcode::symlinkat).lent = calls::make_symlink;
  row(table, Opcode::linkat).lent = calls::link;
  for (const Opcode opcode : {Opcode::fgetxattr, Opcode::getxattr})
    row(table, opcode).lent = calls::get_attribute;
  for (const Opcode opcode : {Opcode::fsetxattr, Opcode::setxattr})
    row(table, opcode).lent = calls::set_attribute;
}

constexpr Table every_call = [] {
  Table table{};
  add_transfers(table);
  add_what_is_quick(table);
  add_waits(table);
  add_files_and_paths(table);
  return table;
}();

}  // namespace

Answer attempt_call(DescriptorRecords& descriptors, Call& call) noexcept {
  if (call.sqe.opcode >= operation_count) return Answer::done(-EINVAL);
  const OsCall& does = every_call[call.sqe.opcode];
  if (does.attempt != nullptr) return does.attempt(descriptors, call);
  return does.lent != nullptr ? Answer::helper() : Answer::done(-EINVAL);
}

Answer lent_call(Call& call) noexcept {
  CORERING_ASSERT(call.sqe.opcode < operation_count, "what nobody knows is refused, and not lent");
  const OsCall& does = every_call[call.sqe.opcode];
  if (does.lent != nullptr) return does.lent(call);
  // It was to be watched, and is a file that has no readiness.
  DescriptorRecords none;
  call.was_ready = true;
  const Answer answer = attempt_call(none, call);
  return answer.kind == Answer::Kind::done ? answer : Answer::done(-EPERM);
}

std::int32_t shown_events(int fd, std::uint32_t events) noexcept {
  if (fd < 0) return -EBADF;  // poll(2) ignores such a descriptor
  pollfd one{.fd = fd, .events = static_cast<short>(events), .revents = 0};
  const std::int64_t count = retried([&] { return ::poll(&one, 1, 0); });
  if (count < 0) return static_cast<std::int32_t>(count);
  if ((one.revents & POLLNVAL) != 0) return -EBADF;
  return static_cast<std::uint16_t>(one.revents);
}

bool is_socket(int fd) noexcept {
  struct stat about{};
  return ::fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
}

bool has_been_shut(int fd) noexcept {
  const std::int32_t shown = shown_events(fd, POLLRDHUP);
  return shown > 0 && (shown & POLLRDHUP) != 0;
}

Answer waits_again(const Call& call, std::uint32_t event) noexcept {
  const bool says_ready = call.was_ready && shown_events(call.sqe.fd, event) > 0;
  return says_ready ? Answer::later(std::chrono::milliseconds(1)) : Answer::waits(call.sqe.fd, event);
}

}  // namespace corering::emulation
