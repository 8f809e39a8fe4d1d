/// taped_ring.cpp — enters: what goes into the kernel, and what comes out.
#include "replay/taped_ring.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>
#include <numeric>

#include <corering/base/assert.hpp>

#include "replay/taped_kernel.hpp"

namespace corering::replay {
namespace {

std::uint32_t load(const std::uint32_t* word) noexcept {
  return std::atomic_ref(*const_cast<std::uint32_t*>(word)).load(std::memory_order_acquire);
}

/// Returns nanoseconds, or all ones without a limit.
std::uint64_t limit_of(const uapi::GetEventsArg* arg) noexcept {
  if (arg == nullptr || arg->timespec == 0) return ~std::uint64_t{0};
  const auto& limit = *reinterpret_cast<const uapi::Timespec*>(arg->timespec);
  return static_cast<std::uint64_t>(limit.seconds * 1'000'000'000 + limit.nanoseconds);
}

Written span_of(std::vector<std::byte>& bytes) noexcept { return {bytes.data(), bytes.size()}; }

const std::byte* begin_of(const Written& part) noexcept { return static_cast<const std::byte*>(part.at); }

void gather(const std::vector<Written>& parts, std::vector<std::byte>& bytes) {
  for (const Written& part : parts) bytes.insert(bytes.end(), begin_of(part), begin_of(part) + part.size);
}

/// Returns what is left of the recorded bytes.
std::span<const std::byte> spread(std::span<const std::byte> bytes, const std::vector<Written>& parts) {
  for (const Written& part : parts) {
    if (part.size > 0) std::memcpy(part.at, bytes.data(), part.size);
    bytes = bytes.subspan(part.size);
  }
  return bytes;
}

std::size_t size_of(const std::vector<Written>& parts) noexcept {
  return std::accumulate(parts.begin(), parts.end(), std::size_t{0},
                         [](std::size_t sum, const Written& part) { return sum + part.size; });
}

}  // namespace

TapedRing::~TapedRing() {
  if (memory_.sqes == nullptr) return;
  Event event{.kind = Kind::close_ring};
  tape_.pass(event, [this] { return ring_.reset(), 0; });
  kernel_.ring_closes();
}

// ---- opening ----

int TapedRing::open(Kernel* kernel, RingParams& params) noexcept try {
  Event event{.kind = Kind::open_ring};
  event.words = {params.sq_entries, params.cq_entries, params.flags};
  event.written = {Written{&params, sizeof params}, Written{&descriptor_, sizeof descriptor_}};
  const auto result = tape_.pass(event, [&] { return open_real(kernel, params); });
  if (result < 0) return static_cast<int>(result);
  descriptor_ = tape_.opened(descriptor_);
  make_memory(params);
  return 0;
} catch (const std::bad_alloc&) {
  return -ENOMEM;
}

// Without the flag that tells of task work, the worker enters each time. The flag would change at any moment.
int TapedRing::open_real(Kernel* kernel, RingParams& params) noexcept {
  if (const int result = kernel->open_ring(params, ring_); result < 0) return result;
  params.flags &= ~uapi::setup_taskrun_flag;
  descriptor_ = ring_->descriptor();
  return 0;
}

void TapedRing::make_memory(const RingParams& params) {
  cqes_.resize(params.cq_entries);
  if (ring_ != nullptr) {
    memory_ = ring_->memory();
    submitted_ = load(memory_.sq_tail);
  } else {
    sqes_.resize(params.sq_entries);
    sq_array_.resize(params.sq_entries);
    memory_.sq_head = &sq_head_;
    memory_.sq_tail = &sq_tail_;
    memory_.sq_array = sq_array_.data();
    memory_.sqes = sqes_.data();
    memory_.sq_entries = params.sq_entries;
  }
  memory_.sq_flags = &sq_flags_;
  memory_.cq_head = &cq_head_;
  memory_.cq_tail = &cq_tail_;
  memory_.cqes = cqes_.data();
  memory_.cq_entries = params.cq_entries;
}

// ---- an enter ----

int TapedRing::enter(unsigned to_submit, unsigned min_complete, unsigned flags,
                     const uapi::GetEventsArg* arg) noexcept {
  submissions_.look_for_buffers();
  note_submitted();
  Answer answer;
  Event event{.kind = Kind::enter};
  event.words = {to_submit, min_complete, flags, limit_of(arg)};
  event.written[0] = {&answer, sizeof answer};
  tape_.pass(event, [&] {
    enter_real(answer, to_submit, min_complete, flags, arg);
    return 0;
  });
  if (!tape_.plays()) {
    record_completions(answer.completions);
    return answer.result;
  }
  CORERING_ASSERT(answer.taken <= to_submit, "no more SQEs were taken than there were");
  sq_head_ += answer.taken;
  sq_flags_ = answer.sq_flags;
  for (std::uint32_t i = 0; i < answer.completions; ++i) play_completion();
  return answer.result;
}

// An SQE that the kernel did not take goes with the next enter, and has been noted before.
void TapedRing::note_submitted() noexcept {
  for (const std::uint32_t tail = load(memory_.sq_tail); submitted_ != tail; ++submitted_) {
    const Sqe& sqe = memory_.sqes[memory_.sq_array[submitted_ & (memory_.sq_entries - 1)]];
    Event event = submissions_.event_of(sqe);
    tape_.name_descriptor(event, sqe.fd, 32);
    tape_.pass(event, [] { return 0; });
    const Submission& noted = submissions_.add(sqe);
    if (noted.closes()) tape_.closed(sqe.fd);
    if (noted.opcode() == Opcode::waitid) tape_.refuse("it waits for a child process");
  }
}

// What the program has not yet taken out of our CQ counts as completed: the kernel no longer has it.
void TapedRing::enter_real(Answer& answer, unsigned to_submit, unsigned min_complete, unsigned flags,
                           const uapi::GetEventsArg* arg) noexcept {
  CORERING_ASSERT(ring_ != nullptr, "while the tape records, there is a ring that does the work");
  const std::uint32_t head = load(memory_.sq_head);
  answer.result = ring_->enter(to_submit, min_complete - std::min(min_complete, waiting()), flags, arg);
  const RingMemory& real = ring_->memory();
  answer.taken = load(real.sq_head) - head;
  sq_flags_ = answer.sq_flags = load(real.sq_flags) & ~uapi::sq_taskrun;
  answer.completions = std::min(load(real.cq_tail) - load(real.cq_head), memory_.cq_entries - waiting());
}

void TapedRing::push(const Cqe& cqe) noexcept {
  CORERING_ASSERT(waiting() < memory_.cq_entries, "a completion has room in the CQ");
  cqes_[cq_tail_ & (memory_.cq_entries - 1)] = cqe;
  ++cq_tail_;
}

// ---- completions ----

void TapedRing::record_completions(std::uint32_t count) noexcept {
  const RingMemory& real = ring_->memory();
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t head = load(real.cq_head);
    Cqe cqe = real.cqes[head & (real.cq_entries - 1)];
    std::atomic_ref(*real.cq_head).store(head + 1, std::memory_order_release);
    record_completion(cqe);
    push(cqe);
    submissions_.answered(cqe);
  }
}

void TapedRing::record_completion(Cqe& cqe) noexcept {
  if (!tape_.records()) return;
  const Submission* const submission = submissions_.find(cqe.user_data);
  Event event{.kind = Kind::cqe};
  std::vector<std::byte> bytes;
  if (submission != nullptr) {
    const Effects effects = submissions_.effects_of(*submission, cqe.res, cqe.flags);
    if (have_come_with_descriptors(*submission, effects))
      tape_.refuse("it has received descriptors in a message (SCM_RIGHTS)");
    gather(effects.control, bytes);
    if (tape_.has_bytes()) gather(effects.payload, bytes);
    note_descriptors(*submission, effects, cqe);
  }
  event.words = {submission != nullptr ? submission->number : 0, submission != nullptr ? 0 : cqe.user_data,
                 static_cast<std::uint32_t>(cqe.res), cqe.flags};
  event.written[0] = span_of(bytes);
  tape_.pass(event, [] { return 0; });
}

void TapedRing::play_completion() noexcept {
  const Recorded recorded = tape_.next(Kind::cqe);
  const auto& words = recorded.event.words;
  const Submission* const submission = words[0] == 0 ? nullptr : submissions_.find_number(words[0]);
  Cqe cqe{.user_data = submission != nullptr ? submission->sqe.user_data : words[1],
          .res = static_cast<std::int32_t>(words[2]),
          .flags = static_cast<std::uint32_t>(words[3])};
  if (submission != nullptr) play_effects(*submission, recorded, cqe);
  if (submission != nullptr && submission->closes() && cqe.res == 0) tape_.close_real(submission->sqe.fd);
  push(cqe);
  submissions_.answered(cqe);
  tape_.next_is_done();
}

void TapedRing::play_effects(const Submission& submission, const Recorded& recorded, Cqe& cqe) noexcept {
  const Effects effects = submissions_.effects_of(submission, cqe.res, cqe.flags);
  const std::size_t wanted = size_of(effects.control) + (tape_.has_bytes() ? size_of(effects.payload) : 0);
  if (wanted != recorded.size) tape_.fail_differently({.kind = Kind::cqe}, recorded.event);
  const std::span bytes = spread({recorded.bytes, recorded.size}, effects.control);
  if (tape_.has_bytes()) {
    spread(bytes, effects.payload);
  } else {
    for (const Written& part : effects.payload) tape_.clear(part);
  }
  note_descriptors(submission, effects, cqe);
}

// Playing, they get the numbers that the program sees.
void TapedRing::note_descriptors(const Submission& submission, const Effects& effects, Cqe& cqe) noexcept {
  if (submission.returns_descriptor()) cqe.res = tape_.opened(cqe.res);
  if (!effects.has_descriptors) return;
  for (const Written& part : effects.control) {
    for (int& fd : std::span(static_cast<int*>(part.at), part.size / sizeof(int))) fd = tape_.opened(fd);
  }
}

// ---- the rest ----

std::optional<Duration> TapedRing::until_due() const noexcept {
  return ring_ != nullptr ? ring_->until_due() : std::nullopt;
}

int TapedRing::register_resource(unsigned opcode, void* arg, unsigned count) noexcept {
  Event event{.kind = Kind::register_resource};
  event.words = {opcode, count};
  const auto result =
      tape_.pass(event, [&] { return std::int64_t{ring_->register_resource(opcode, arg, count)}; });
  if (result >= 0) note_resource(opcode, arg);
  return static_cast<int>(result);
}

void TapedRing::note_resource(unsigned opcode, const void* arg) noexcept {
  if (opcode == uapi::register_pbuf_ring)
    submissions_.add_buffers(*static_cast<const uapi::BufferRingRegister*>(arg));
  if (opcode == uapi::unregister_pbuf_ring)
    submissions_.remove_buffers(static_cast<const uapi::BufferRingRegister*>(arg)->group);
}

}  // namespace corering::replay
