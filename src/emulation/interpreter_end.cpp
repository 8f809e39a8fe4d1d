/// interpreter_end.cpp — the end of an emulated ring, and what register(2) does with it.
#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <span>
#include <utility>

#include "emulation/interpreter.hpp"
#include "emulation/opcode_rules.hpp"
#include "emulation/registration_rules.hpp"

namespace corering::emulation {

// ---- the end ----

Interpreter::~Interpreter() {
  while (Submission* const waiting = timers_.pop_any())
    if (waiting->is_answered) pool_.give_back(*waiting);  // the others are in the table
  while (queue_ != nullptr) {
    Submission& operation = *std::exchange(queue_, queue_->queue_next);
    operation.place = Place::nowhere;
    if (!operation.is_listed) dispose(&operation);
  }
  for (Submission* at = table_.oldest(); at != nullptr; at = at->younger) {
    if (at->place == Place::watched) world_->unwatch(*at);
    if (at->place == Place::lent) (void)world_->take_back(*at);
  }
  world_->end();
  Report report;
  while (world_->next(report)) discard_result(static_cast<Submission&>(*report.call), report.answer);
  while (Submission* const operation = table_.oldest()) {
    table_.remove(*operation);
    Submission* const limit = operation->link_timeout;
    if (limit != nullptr && limit->place == Place::chained) dispose(limit);
    dispose(operation);
  }
}

/// And the links after it.
void Interpreter::dispose(Submission* operation) noexcept {
  while (operation != nullptr) {
    if (operation->held_fd >= 0) world_->close(operation->held_fd);
    pool_.give_back(*std::exchange(operation, operation->next_link));
  }
}

/// A helper has closed what was in the slot. One that has not begun answers that it was cancelled.
void Interpreter::note_closed(Submission& operation, const Answer& answer) noexcept {
  if (operation.closes_a_slot() && answer.result != -ECANCELED) operation.held_fd = -1;
}

/// Nobody will learn of the descriptors that a helper has opened.
void Interpreter::discard_result(Submission& operation, const Answer& answer) noexcept {
  note_closed(operation, answer);
  if (answer.kind == Answer::Kind::done && answer.result >= 0 && opens_file(operation.opcode()) &&
      operation.opcode() != Opcode::pipe)
    world_->close(answer.result);
}

// ---- register ----

bool Interpreter::make_buffers(std::uint32_t count) noexcept try {
  fixed_buffers_.resize(count);
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

namespace {

/// Returns what is wrong with a buffer that is to be registered. One without an address empties its place.
int error_of(const iovec& buffer) noexcept {
  constexpr std::size_t most_bytes = 1U << 30;
  if (buffer.iov_len > SSIZE_MAX) return -EINVAL;
  if (buffer.iov_base == nullptr) return buffer.iov_len != 0 ? -EFAULT : 0;
  return buffer.iov_len == 0 || buffer.iov_len > most_bytes ? -EFAULT : 0;
}

}  // namespace

int Interpreter::register_buffers(const uapi::RsrcRegister& wish) noexcept {
  if (!fixed_buffers_.empty()) return -EBUSY;
  constexpr std::uint32_t most_buffers = 1U << 14;
  if (wish.count > most_buffers) return -EINVAL;
  if (!make_buffers(wish.count)) return -ENOMEM;
  if (wish.data == 0) return 0;
  const std::span buffers(reinterpret_cast<const iovec*>(wish.data), wish.count);
  const int filled = fill_buffers(0, buffers);
  if (filled == static_cast<int>(wish.count)) return 0;
  fixed_buffers_.clear();
  return filled < 0 ? filled : error_of(buffers[static_cast<std::size_t>(filled)]);
}

/// Returns how many were noted, or the error of the first one.
int Interpreter::fill_buffers(std::uint32_t offset, std::span<const iovec> buffers) noexcept {
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (const int error = error_of(buffers[i]); error < 0) return i > 0 ? static_cast<int>(i) : error;
    fixed_buffers_[offset + i] = buffers[i];
  }
  return static_cast<int>(buffers.size());
}

int Interpreter::update_buffers(const uapi::RsrcUpdate2& update) noexcept {
  if (fixed_buffers_.empty()) return -ENXIO;
  if (std::uint64_t{update.offset} + update.count > fixed_buffers_.size()) return -EINVAL;
  if (update.data == 0) return -EFAULT;
  return fill_buffers(update.offset, {reinterpret_cast<const iovec*>(update.data), update.count});
}

int Interpreter::probe(uapi::Probe& answer, unsigned count) noexcept {
  answer.last_op = static_cast<std::uint8_t>(Opcode::pipe);
  answer.ops_len = static_cast<std::uint8_t>(std::min<unsigned>(count, answer.last_op + 1U));
  for (std::uint8_t i = 0; i < answer.ops_len; ++i) {
    answer.ops[i].op = i;
    answer.ops[i].flags = is_offered(static_cast<Opcode>(i)) ? uapi::probe_op_supported : 0;
  }
  return 0;
}

int Interpreter::register_files(unsigned opcode, void* argument, unsigned count) noexcept {
  const auto lock = Inbox::lock_out_senders();
  if (opcode == uapi::unregister_files) return files_.close();
  if (opcode == uapi::register_files2) {
    const auto& wish = *static_cast<const uapi::RsrcRegister*>(argument);
    return files_.open(wish.count, reinterpret_cast<const std::int32_t*>(wish.data));
  }
  const auto& update = *static_cast<const uapi::RsrcUpdate*>(argument);
  if (update.data == 0) return -EFAULT;
  return files_.update(update.offset, reinterpret_cast<const std::int32_t*>(update.data), count);
}

int Interpreter::register_resource(unsigned opcode, void* argument, unsigned count) noexcept {
  if (const int error = error_of_registration(opcode, argument, count); error < 0) return error;
  switch (opcode) {
    case uapi::register_probe:
      return probe(*static_cast<uapi::Probe*>(argument), count);
    case uapi::register_files2:
    case uapi::register_files_update:
    case uapi::unregister_files:
      return register_files(opcode, argument, count);
    case uapi::register_buffers2:
      return register_buffers(*static_cast<const uapi::RsrcRegister*>(argument));
    case uapi::register_buffers_update:
      return update_buffers(*static_cast<const uapi::RsrcUpdate2*>(argument));
    case uapi::unregister_buffers:
      if (fixed_buffers_.empty()) return -ENXIO;
      fixed_buffers_.clear();
      return 0;
    case uapi::register_pbuf_ring:
      return buffer_rings_.add(*static_cast<const uapi::BufferRingRegister*>(argument));
    case uapi::unregister_pbuf_ring:
      return buffer_rings_.remove(static_cast<const uapi::BufferRingRegister*>(argument)->group);
    default:
      return -EINVAL;
  }
}

}  // namespace corering::emulation
