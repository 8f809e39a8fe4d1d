/// submissions.cpp — the memory that each opcode writes.
#include "replay/submissions.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <corering/base/assert.hpp>

#include "replay/tape.hpp"

namespace corering::replay {
namespace {

template <class T>
T* at(std::uint64_t address) noexcept {
  return reinterpret_cast<T*>(address);
}

Written memory_at(std::uint64_t address, std::size_t size) noexcept {
  return {at<void>(address), address == 0 ? 0 : size};
}

template <class T>
Written field(T& value) noexcept {
  return {&value, sizeof value};
}

/// Returns true where `off` is a number, and neither an address nor user_data.
bool has_offset(Opcode opcode) noexcept {
  switch (opcode) {
    case Opcode::readv:
    case Opcode::writev:
    case Opcode::fsync:
    case Opcode::read_fixed:
    case Opcode::write_fixed:
    case Opcode::sync_file_range:
    case Opcode::timeout:
    case Opcode::connect:
    case Opcode::fallocate:
    case Opcode::read:
    case Opcode::write:
    case Opcode::fadvise:
    case Opcode::splice:
    case Opcode::socket:
    case Opcode::read_multishot:
    case Opcode::ftruncate:
    case Opcode::readv_fixed:
    case Opcode::writev_fixed:
      return true;
    default:
      return false;
  }
}

/// Returns true for what is about another request, which it names.
bool names_user_data(const Sqe& sqe) noexcept {
  const auto opcode = static_cast<Opcode>(sqe.opcode);
  const bool by_user_data = (sqe.op_flags & ~uapi::cancel_all) == 0;
  return (opcode == Opcode::async_cancel && by_user_data) || opcode == Opcode::poll_remove ||
         opcode == Opcode::timeout_remove;
}

bool reads(Opcode opcode) noexcept {
  return opcode == Opcode::read || opcode == Opcode::recv || opcode == Opcode::recvmsg ||
         opcode == Opcode::read_multishot;
}

// ---- what a request gives to the kernel to write to ----

void take_vector(const iovec* parts, std::size_t count, Submission& submission) {
  for (std::size_t i = 0; i < count; ++i) submission.payload.push_back({parts[i].iov_base, parts[i].iov_len});
}

void take_message(Submission& submission, bool selects) {
  auto& message = *at<msghdr>(submission.sqe.addr);
  submission.message = {.name_size = message.msg_namelen, .in_buffer = selects};
  if (selects) return;
  take_vector(message.msg_iov, message.msg_iovlen, submission);
  submission.control = {{message.msg_name, message.msg_name == nullptr ? 0 : message.msg_namelen},
                        {message.msg_control, message.msg_controllen},
                        field(message.msg_namelen),
                        field(message.msg_controllen),
                        field(message.msg_flags)};
}

void take_peer(Submission& submission) {
  auto* const length = at<socklen_t>(submission.sqe.off);
  if (submission.sqe.addr == 0 || length == nullptr) return;
  submission.control = {memory_at(submission.sqe.addr, *length), field(*length)};
}

void take_in_units(Submission& submission, std::uint64_t address, std::size_t size, std::size_t unit) {
  submission.control = {memory_at(address, size)};
  submission.unit = unit;
}

void take_answer_of_command(Submission& submission) {
  const Sqe& sqe = submission.sqe;
  if ((sqe.off & 0xffff'ffff) != uapi::socket_getsockopt) return;
  take_in_units(submission, sqe.addr3, sqe.file_index, 1);
}

void take_payload(Submission& submission, bool selects) {
  const Sqe& sqe = submission.sqe;
  if (!selects) submission.payload = {memory_at(sqe.addr, sqe.len)};
}

void take_memory(Submission& submission) {
  const Sqe& sqe = submission.sqe;
  const bool selects = (sqe.flags & uapi::sqe_buffer_select) != 0;
  switch (submission.opcode()) {
    case Opcode::read:
    case Opcode::recv:
    case Opcode::read_fixed:
      return take_payload(submission, selects);
    case Opcode::readv:
    case Opcode::readv_fixed:
      return take_vector(at<iovec>(sqe.addr), sqe.len, submission);
    case Opcode::recvmsg:
      return take_message(submission, selects);
    case Opcode::accept:
      return take_peer(submission);
    case Opcode::statx:
      return take_in_units(submission, sqe.off, sizeof(struct statx), 0);
    case Opcode::pipe:
      return take_in_units(submission, sqe.addr, 2 * sizeof(int), 0);
    case Opcode::getxattr:
    case Opcode::fgetxattr:
      return take_in_units(submission, sqe.off, sqe.len, 1);
    case Opcode::epoll_wait:
      return take_in_units(submission, sqe.addr, sqe.len * sizeof(epoll_event), sizeof(epoll_event));
    case Opcode::uring_cmd:
      return take_answer_of_command(submission);
    default:
      return;
  }
}

/// Cuts `parts` down to `size` bytes.
std::vector<Written> first_of(const std::vector<Written>& parts, std::size_t size) {
  std::vector<Written> first;
  for (const Written& part : parts) {
    const std::size_t length = std::min(part.size, size);
    if (length > 0) first.push_back({part.at, length});
    size -= length;
  }
  return first;
}

}  // namespace

// ---- provided buffers ----

ProvidedBuffers::ProvidedBuffers(const uapi::BufferRingRegister& ring)
    : ring_(at<const uapi::RingBuffer>(ring.address)), entries_(ring.entries), used_(ring.entries) {
  CORERING_ASSERT(std::has_single_bit(ring.entries), "a ring of buffers has a power of two of them");
}

void ProvidedBuffers::look() noexcept {
  auto& tail_word = const_cast<std::uint16_t&>(ring_->tail);
  const std::uint16_t tail = std::atomic_ref(tail_word).load(std::memory_order_acquire);
  for (; seen_ != tail; ++seen_) {
    const std::size_t place = seen_ & (entries_.size() - 1);
    entries_[place] = ring_[place];
    used_[place] = 0;
    place_of_[entries_[place].id] = place;
  }
}

void ProvidedBuffers::fill(std::uint32_t cqe_flags, std::size_t size, std::vector<Written>& pieces) noexcept {
  const auto first = place_of_.find(static_cast<std::uint16_t>(cqe_flags >> uapi::cqe_buffer_shift));
  if (first == place_of_.end()) return;
  for (std::size_t place = first->second; size > 0; place = (place + 1) & (entries_.size() - 1)) {
    const uapi::RingBuffer& entry = entries_[place];
    const std::size_t length = std::min<std::size_t>(size, entry.length - used_[place]);
    if (length == 0) return;  // MSG_TRUNC: more came than there was room for
    pieces.push_back(memory_at(entry.address + used_[place], length));
    used_[place] += static_cast<std::uint32_t>(length);
    size -= length;
  }
}

// ---- requests ----

bool Submission::is_notified() const noexcept {
  return opcode() == Opcode::send_zc || opcode() == Opcode::sendmsg_zc;
}

bool Submission::returns_descriptor() const noexcept {
  switch (opcode()) {
    case Opcode::accept:
    case Opcode::openat:
    case Opcode::openat2:
    case Opcode::socket:
      return sqe.file_index == 0;
    case Opcode::fixed_fd_install:
      return true;
    default:
      return false;
  }
}

namespace {

/// Returns where the control messages of an answer are: the kernel has just written them.
Written control_messages(const Submission& submission, const Effects& effects) noexcept {
  if (!submission.message.in_buffer) {
    const auto& message = *at<msghdr>(submission.sqe.addr);
    return {message.msg_control, message.msg_controllen};
  }
  const std::size_t begin = sizeof(uapi::RecvmsgOut) + submission.message.name_size;
  if (effects.control.empty() || effects.control[0].size < begin) return {};
  uapi::RecvmsgOut header;
  std::memcpy(&header, effects.control[0].at, sizeof header);
  return {static_cast<char*>(effects.control[0].at) + begin,
          std::min<std::size_t>(header.control_length, effects.control[0].size - begin)};
}

}  // namespace

bool have_come_with_descriptors(const Submission& submission, const Effects& effects) noexcept {
  if (submission.opcode() != Opcode::recvmsg || effects.control.empty()) return false;
  const Written control = control_messages(submission, effects);
  msghdr message{};
  message.msg_control = control.at;
  message.msg_controllen = control.size;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part))
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) return true;
  return false;
}

Event Submissions::event_of(const Sqe& sqe) const noexcept {
  const auto opcode = static_cast<Opcode>(sqe.opcode);
  const bool names_file = opcode == Opcode::splice || opcode == Opcode::tee;
  const auto file =
      static_cast<std::uint32_t>(names_file ? Tape::recorded_number(static_cast<int>(sqe.file_index))
                                            : static_cast<int>(sqe.file_index));
  Event event{.kind = Kind::sqe};
  event.words[SqeWords::head] = sqe.opcode | std::uint64_t{sqe.flags} << 8 | std::uint64_t{sqe.ioprio} << 16;
  event.words[SqeWords::size] = sqe.len | std::uint64_t{sqe.op_flags} << 32;
  event.words[SqeWords::offset] = has_offset(opcode) ? sqe.off : 0;
  event.words[SqeWords::extra] =
      sqe.buf_index | std::uint64_t{sqe.personality} << 16 | std::uint64_t{file} << 32;
  const Submission* const target = names_user_data(sqe) ? find(sqe.addr) : nullptr;
  event.words[SqeWords::target] = target == nullptr ? 0 : target->number;
  return event;
}

const Submission& Submissions::add(const Sqe& sqe) {
  Submission submission;
  submission.number = ++count_;
  submission.sqe = sqe;
  take_memory(submission);
  if (const auto before = by_user_data_.find(sqe.user_data); before != by_user_data_.end())
    by_number_.erase(before->second.number);  // it had no answer: CQE_SKIP
  by_number_[submission.number] = sqe.user_data;
  return by_user_data_.insert_or_assign(sqe.user_data, std::move(submission)).first->second;
}

const Submission* Submissions::find(std::uint64_t user_data) const noexcept {
  const auto found = by_user_data_.find(user_data);
  return found == by_user_data_.end() ? nullptr : &found->second;
}

const Submission* Submissions::find_number(std::uint64_t number) const noexcept {
  const auto found = by_number_.find(number);
  return found == by_number_.end() ? nullptr : find(found->second);
}

// A zero-copy send ends with its notification, and it may have none: then it stays until its user_data is
// used again. When a chain breaks before one, Linux answers without F_MORE, and notifies all the same.
void Submissions::answered(const Cqe& cqe) noexcept {
  const auto found = by_user_data_.find(cqe.user_data);
  if ((cqe.flags & uapi::cqe_more) != 0 || found == by_user_data_.end()) return;
  const bool notifies = (cqe.flags & uapi::cqe_notif) != 0;
  if (notifies != found->second.is_notified()) return;
  by_number_.erase(found->second.number);
  by_user_data_.erase(found);
}

void Submissions::add_buffers(const uapi::BufferRingRegister& ring) {
  buffers_.insert_or_assign(ring.group, ProvidedBuffers(ring));
}

void Submissions::look_for_buffers() noexcept {
  for (auto& [group, buffers] : buffers_) buffers.look();
}

Effects Submissions::effects_of(const Submission& submission, std::int32_t res, std::uint32_t flags) {
  Effects effects;
  if (res < 0) return effects;
  const auto size = static_cast<std::size_t>(res);
  effects.has_descriptors = submission.opcode() == Opcode::pipe && submission.sqe.file_index == 0;
  effects.payload = first_of(submission.payload, size);
  effects.control =
      submission.unit == 0 ? submission.control : first_of(submission.control, size * submission.unit);
  const auto buffers = buffers_.find(submission.sqe.buf_index);
  if ((flags & uapi::cqe_buffer) == 0 || !reads(submission.opcode()) || buffers == buffers_.end())
    return effects;
  // The header of a multishot recvmsg says how long the parts are, so all of it is control.
  const bool has_header = submission.opcode() == Opcode::recvmsg;
  buffers->second.fill(flags, size, has_header ? effects.control : effects.payload);
  return effects;
}

}  // namespace corering::replay
