/// interpreter_calls.cpp — the operations that the world does: descriptors, buffers, attempts, multishots.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <utility>

#include <corering/base/assert.hpp>

#include "base/kernel_memory.hpp"
#include "emulation/interpreter.hpp"
#include "emulation/moments.hpp"
#include "emulation/opcode_rules.hpp"

namespace corering::emulation {
namespace {

/// After so many results in a row, other operations have their turn.
constexpr int most_shots_in_a_row = 32;

bool is_recvmsg_into_chosen(const Submission& operation) noexcept {
  return operation.opcode() == Opcode::recvmsg && operation.selects_buffer();
}
bool is_message(Opcode opcode) noexcept {
  return opcode == Opcode::sendmsg || opcode == Opcode::recvmsg || opcode == Opcode::sendmsg_zc;
}
bool is_vector(Opcode opcode) noexcept {
  return opcode == Opcode::readv || opcode == Opcode::writev || opcode == Opcode::readv_fixed ||
         opcode == Opcode::writev_fixed;
}
msghdr& message_of(std::uint64_t address) noexcept { return *reinterpret_cast<msghdr*>(address); }
bool is_bundle(const Submission& operation) noexcept {
  return operation.selects_buffer() && (operation.sqe.ioprio & uapi::recvsend_bundle) != 0 &&
         (operation.opcode() == Opcode::recv || operation.opcode() == Opcode::send);
}

/// A slot is no descriptor, so it cannot be closed on exec.
bool wants_close_on_exec(const Sqe& sqe) noexcept {
  static_assert(O_CLOEXEC == SOCK_CLOEXEC);
  switch (static_cast<Opcode>(sqe.opcode)) {
    case Opcode::openat2:
      return (reinterpret_cast<const open_how*>(sqe.off)->flags & O_CLOEXEC) != 0;
    case Opcode::socket:  // its flags are in the type
      return (sqe.off & SOCK_CLOEXEC) != 0;
    default:
      return (sqe.op_flags & O_CLOEXEC) != 0;
  }
}

std::uint64_t length_of(std::span<const iovec> parts) noexcept {
  std::uint64_t length = 0;
  for (const iovec& part : parts) length += part.iov_len;
  return length;
}

/// The bytes that a whole transfer moves, as far as the SQE says it.
std::uint64_t expected_of(const Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  if (is_message(operation.opcode())) {
    const msghdr& message = message_of(sqe.addr);
    return (sqe.op_flags & MSG_WAITALL) == 0 ? 0 : length_of({message.msg_iov, message.msg_iovlen});
  }
  const bool is_vectorized_send = (operation.opcode() == Opcode::send || is_zero_copy(operation.opcode())) &&
                                  (sqe.ioprio & uapi::send_vectorized) != 0;
  if (!is_vector(operation.opcode()) && !is_vectorized_send) return sqe.len;
  return length_of({reinterpret_cast<const iovec*>(sqe.addr), sqe.len});
}

}  // namespace

// ---- from the SQE to the call ----

int Interpreter::resolve(Submission& operation) noexcept {
  if (!operation.has_flag(uapi::sqe_fixed_file)) return 0;
  operation.sqe.fd = files_.at(static_cast<std::uint32_t>(operation.sqe.fd));
  return operation.sqe.fd < 0 ? -EBADF : 0;
}

int Interpreter::resolve_second_descriptor(Submission& operation) noexcept {
  if (operation.opcode() != Opcode::splice && operation.opcode() != Opcode::tee) return 0;
  if ((operation.sqe.op_flags & uapi::splice_fd_in_fixed) == 0) return 0;
  const int fd = files_.at(operation.sqe.file_index);
  operation.sqe.file_index = static_cast<std::uint32_t>(fd);
  operation.sqe.op_flags &= ~uapi::splice_fd_in_fixed;
  return fd < 0 ? -EBADF : 0;
}

bool Interpreter::is_registered(std::uint16_t index, std::uint64_t address,
                                std::uint64_t size) const noexcept {
  if (index >= fixed_buffers_.size()) return false;
  const auto begin = reinterpret_cast<std::uintptr_t>(fixed_buffers_[index].iov_base);
  const std::uint64_t length = fixed_buffers_[index].iov_len;
  return address >= begin && size <= length && address - begin <= length - size;
}

int Interpreter::check_fixed_parts(std::uint16_t index, std::span<const iovec> parts) const noexcept {
  if (index >= fixed_buffers_.size()) return -EFAULT;
  const bool are_in_it = std::ranges::all_of(parts, [&](const iovec& part) {
    return is_registered(index, reinterpret_cast<std::uintptr_t>(part.iov_base), part.iov_len);
  });
  return are_in_it ? 0 : -EFAULT;
}

int Interpreter::check_fixed_buffer(const Submission& operation) const noexcept {
  const Sqe& sqe = operation.sqe;
  const Opcode opcode = operation.opcode();
  if (opcode == Opcode::readv_fixed || opcode == Opcode::writev_fixed)
    return check_fixed_parts(sqe.buf_index, {reinterpret_cast<const iovec*>(sqe.addr), sqe.len});
  const bool is_fixed = opcode == Opcode::read_fixed || opcode == Opcode::write_fixed ||
                        (is_zero_copy(opcode) && (sqe.ioprio & uapi::recvsend_fixed_buf) != 0);
  if (!is_fixed) return 0;
  if (opcode == Opcode::sendmsg_zc) {
    const auto& message = message_of(sqe.addr);
    return check_fixed_parts(sqe.buf_index, {message.msg_iov, message.msg_iovlen});
  }
  return is_registered(sqe.buf_index, sqe.addr, sqe.len) ? 0 : -EFAULT;
}

Step Interpreter::call(Submission& operation) noexcept {
  if (uses_file(operation.opcode())) {
    if (const int error = resolve(operation); error < 0) return Step::end(error);
  }
  if (const int error = resolve_second_descriptor(operation); error < 0) return Step::end(error);
  if (const int error = check_fixed_buffer(operation); error < 0)
    return Step::end(world_->poll(operation.sqe.fd, 0) < 0 ? -EBADF : error);
  if (opens_file(operation.opcode())) {
    if (operation.sqe.file_index != 0 && wants_close_on_exec(operation.sqe)) return Step::end(-EINVAL);
    operation.slot = std::exchange(operation.sqe.file_index, 0);
    operation.keeps_private = operation.slot != 0;
  }
  if (is_recvmsg_into_chosen(operation) && message_of(operation.sqe.addr).msg_iovlen > 1)
    return Step::end(-EINVAL);
  remember(operation);
  const bool waits_first = (operation.sqe.ioprio & uapi::recvsend_poll_first) != 0;
  if (waits_first && (operation.opcode() == Opcode::recv || operation.opcode() == Opcode::recvmsg))
    return wait_for(operation, Answer::waits(operation.sqe.fd, POLLIN));
  return attempt(operation);
}

void Interpreter::remember(Submission& operation) noexcept {
  operation.named_fd = operation.sqe.fd;
  operation.wants_helper = operation.has_flag(uapi::sqe_async);
  operation.original_addr = operation.sqe.addr;
  operation.original_len = operation.sqe.len;
  if (operation.selects_buffer())  // then it sends the buffer, and looks at no list
    operation.sqe.ioprio = static_cast<std::uint16_t>(operation.sqe.ioprio & ~uapi::send_vectorized);
  operation.expected = std::min(expected_of(operation), most_bytes);
}

// ---- attempts ----

Step Interpreter::attempt(Submission& operation) noexcept {
  for (int shots = 0;; ++shots) {
    if (operation.selects_buffer()) {
      const int error = choose_if_shown(operation);
      // A multishot that has got something looks for a buffer when more has come.
      if (error == -ENOBUFS && operation.shots > 0 && !operation.was_ready)
        return wait_for(operation, Answer::waits(operation.sqe.fd, POLLIN));
      if (error < 0) return Step::end(world_->poll(operation.sqe.fd, 0) < 0 ? -EBADF : error);
    }
    const Answer answer = world_->attempt(operation);
    if (answer.kind != Answer::Kind::done) return wait_for(operation, answer);
    if (!is_multishot(operation)) return conclude(operation, answer.result);
    if (const std::optional<Step> step = shot(operation, answer.result); step) return *step;
    if (shots == most_shots_in_a_row) {
      queue(operation, NextStep::go_on);
      return Step::pending();
    }
  }
}

Step Interpreter::wait_for(Submission& operation, const Answer& answer) noexcept {
  switch (answer.kind) {
    case Answer::Kind::done:
      return conclude(operation, answer.result);
    case Answer::Kind::helper:
      return lend(operation);
    case Answer::Kind::later:
      if (!operation.chosen.is_taken) BufferRings::put_back(operation);
      operation.clock = ClockKind::monotonic;
      operation.deadline = world_->now(operation.clock) + answer.again_after.count();
      if (!timers_.add(operation)) return try_again(operation);
      operation.place = Place::timed;
      return Step::pending();
    case Answer::Kind::waits:
      break;
  }
  if (operation.moved > 0 && operation.chosen.count > 0) {
    buffer_rings_.take(operation);  // what is in it belongs to this operation
  } else if (!operation.chosen.is_taken) {
    BufferRings::put_back(operation);
  }
  const int error = world_->watch(operation, answer.fd, answer.events, Watching::once);
  if (error == -EPERM) return lend(operation);  // nobody can watch it, so a helper waits
  if (error == -ENOMEM) return try_again(operation);
  if (error < 0) return Step::end(error);
  record(trace::Kind::emulation_waits, operation.sqe, static_cast<std::uint32_t>(answer.fd), answer.events);
  ++with_world_;
  operation.place = Place::watched;
  return Step::pending();
}

/// A helper comes later. Until then the program may close the number, and somebody else may get it.
void Interpreter::hold_file(Submission& operation) noexcept {
  const bool names_one = uses_file(operation.opcode()) || uses_directory(operation.opcode());
  if (operation.held_fd >= 0 || operation.sqe.fd < 0 || !names_one) return;
  operation.held_fd = world_->duplicate(operation.sqe.fd, false);
  if (operation.held_fd >= 0) operation.sqe.fd = operation.held_fd;
}

Step Interpreter::lend(Submission& operation) noexcept {
  CORERING_DEBUG_ASSERT(operation.place == Place::nowhere, "a call is in one place");
  hold_file(operation);
  if (operation.chosen.count > 0) buffer_rings_.take(operation);
  if (const int failed = world_->lend(operation); failed < 0)
    return Step::end(failed == -EAGAIN ? -ECANCELED : failed);  // as the kernel when it can start no thread
  record(trace::Kind::emulation_lent, operation.sqe);
  ++with_world_;
  operation.place = Place::lent;
  return Step::pending();
}

std::uint32_t Interpreter::commit_buffers(Submission& operation, std::int32_t result) noexcept {
  CORERING_DEBUG_ASSERT(operation.selects_buffer() || operation.chosen.count == 0, "who chose wanted to");
  if (operation.chosen.count == 0) return 0;
  const bool is_used = result > 0 || (result == 0 && uses_buffer_at_end(operation.opcode()));
  if (is_used || operation.chosen.is_taken)
    return buffer_rings_.commit(operation, result > 0 ? static_cast<std::uint64_t>(result) : 0);
  BufferRings::put_back(operation);
  return 0;
}

Step Interpreter::conclude(Submission& operation, std::int32_t result) noexcept {
  if (is_recvmsg_into_chosen(operation) && operation.message != nullptr && result >= 0)
    message_of(operation.original_addr) = take_over(operation);
  const std::uint32_t flags = commit_buffers(operation, result);
  if (operation.slot != 0 && result >= 0) result = keep_file(operation, result);
  return Step::end(result, flags);
}

msghdr Interpreter::take_over(const Submission& operation) noexcept {
  // What recvmsg(2) tells about the sender goes to the header that the program gave; its buffers stay as they
  // are.
  msghdr told = operation.message->header;
  const auto& given = message_of(operation.original_addr);
  told.msg_iov = given.msg_iov;
  told.msg_iovlen = given.msg_iovlen;
  return told;
}

// ---- multishots ----

std::optional<Step> Interpreter::shot(Submission& operation, std::int32_t result) noexcept {
  const bool is_accept = operation.opcode() == Opcode::accept;
  if (is_recvmsg_into_chosen(operation) && result >= 0) {
    const bool has_ended = result == 0;
    const std::int32_t filled = fill_message_header(operation, result);
    const std::uint32_t flags = buffer_rings_.commit(operation, static_cast<std::uint64_t>(filled));
    if (has_ended || !post_more(operation, filled, flags)) return Step::end(filled, flags);
  } else if (result < 0 || (result == 0 && !is_accept)) {
    return Step::end(result, commit_buffers(operation, result));
  } else {
    const std::uint32_t flags = commit_buffers(operation, result);
    if (operation.slot != 0) result = keep_file(operation, result);
    if (result < 0 || !post_more(operation, result, flags)) return Step::end(result, flags);
  }
  operation.was_ready = false;
  operation.moved = 0;
  return std::nullopt;
}

int Interpreter::choose_if_shown(Submission& operation) noexcept {
  const int error = choose(operation);
  if (error < 0 || operation.chosen.is_taken || !world_->hides_buffer()) return error;
  CORERING_ASSERT(operation.chosen.count > 0, "a buffer that is hidden was there");
  BufferRings::put_back(operation);
  return -ENOBUFS;
}

int Interpreter::choose(Submission& operation) noexcept {
  if (operation.chosen.count > 0 && operation.chosen.is_taken) return 0;
  operation.sqe.addr = operation.original_addr;
  operation.sqe.len = operation.original_len;
  const bool is_readv = operation.opcode() == Opcode::readv;
  if (is_message(operation.opcode())) return choose_for_message(operation);
  if (is_readv && operation.sqe.len != 1) return -EINVAL;
  const std::uint64_t most =
      is_readv ? reinterpret_cast<const iovec*>(operation.sqe.addr)->iov_len : operation.sqe.len;
  if (const int error = buffer_rings_.choose(operation, most, is_bundle(operation)); error < 0) return error;
  if (is_readv) return choose_for_message(operation);
  return 0;
}

int Interpreter::choose_for_message(Submission& operation) noexcept {
  if (operation.message == nullptr) operation.message.reset(new (std::nothrow) OwnMessage);
  if (operation.message == nullptr) return -ENOMEM;
  OwnMessage& own = *operation.message;
  if (operation.opcode() == Opcode::readv) {
    own.part = {reinterpret_cast<void*>(operation.sqe.addr), operation.sqe.len};
    operation.sqe.addr = reinterpret_cast<std::uintptr_t>(&own.part);
    operation.sqe.len = 1;
    return 0;
  }
  const auto& given = message_of(operation.original_addr);
  const std::uint64_t most = given.msg_iovlen == 0 ? 0 : given.msg_iov->iov_len;
  if (const int error = buffer_rings_.choose(operation, most, false); error < 0) return error;
  own.header = given;
  auto* const at = reinterpret_cast<std::byte*>(operation.sqe.addr);
  own.part = {at, operation.sqe.len};
  own.header.msg_iov = &own.part;
  own.header.msg_iovlen = 1;
  operation.sqe.addr = reinterpret_cast<std::uintptr_t>(&own.header);
  operation.sqe.len = 1;
  return is_multishot(operation) ? divide_for_message(own, given) : 0;
}

/// A multishot recvmsg puts a header, the sender's address, the control data and the payload into its buffer.
int Interpreter::divide_for_message(OwnMessage& own, const msghdr& given) noexcept {
  auto* const at = static_cast<std::byte*>(own.part.iov_base);
  const std::size_t before = sizeof(uapi::RecvmsgOut) + given.msg_namelen + given.msg_controllen;
  if (own.part.iov_len < before) {
    return -EFAULT;
  }
  own.header.msg_name = given.msg_namelen == 0 ? nullptr : at + sizeof(uapi::RecvmsgOut);
  own.header.msg_control =
      given.msg_controllen == 0 ? nullptr : at + sizeof(uapi::RecvmsgOut) + given.msg_namelen;
  own.part = {at + before, own.part.iov_len - before};
  return 0;
}

std::int32_t Interpreter::fill_message_header(Submission& operation, std::int32_t received) noexcept {
  const OwnMessage& own = *operation.message;
  const auto& given = message_of(operation.original_addr);
  const std::size_t before = sizeof(uapi::RecvmsgOut) + given.msg_namelen + given.msg_controllen;
  const uapi::RecvmsgOut out = {.name_length = own.header.msg_namelen,
                                .control_length = static_cast<std::uint32_t>(own.header.msg_controllen),
                                .payload_length = static_cast<std::uint32_t>(received),
                                .flags = static_cast<std::uint32_t>(own.header.msg_flags)};
  std::byte* const into = static_cast<std::byte*>(own.part.iov_base) - before;
  const kernel_memory::Lifted lifted(into, sizeof out);
  std::memcpy(into, &out, sizeof out);
  return static_cast<std::int32_t>(
      before + std::min<std::size_t>(static_cast<std::size_t>(received), own.part.iov_len));
}

// ---- files in slots ----

std::int32_t Interpreter::keep_file(Submission& operation, std::int32_t result) noexcept {
  if (operation.opcode() == Opcode::pipe) return keep_pipe(operation, result);
  const int kept = files_.put(operation.slot, result);
  if (kept < 0) world_->close(result);
  return kept;
}

std::int32_t Interpreter::keep_pipe(Submission& operation, std::int32_t result) noexcept {
  auto* const ends = reinterpret_cast<std::int32_t*>(operation.sqe.addr);
  const bool anywhere = operation.slot == uapi::file_index_alloc;
  for (std::uint32_t i = 0; i < 2; ++i) {
    const int kept = files_.put(anywhere ? operation.slot : operation.slot + i, ends[i]);
    if (kept < 0) {
      for (std::uint32_t rest = i; rest < 2; ++rest) world_->close(ends[rest]);
      if (i == 1) (void)files_.remove(anywhere ? static_cast<std::uint32_t>(ends[0]) : operation.slot - 1);
      return kept;
    }
    if (anywhere) ends[i] = kept;
  }
  return result;
}

}  // namespace corering::emulation
