/// cancels.cpp — the way of an operation from "is to be cancelled" to its last answer.
#include "engine/cancels.hpp"

#include <algorithm>
#include <cerrno>

namespace corering {
namespace {

// After this time we ask again for what the kernel has missed.
constexpr Duration look_again_after = std::chrono::milliseconds(10);

// So many misses are a quarter of a second. Then an operation that has another way to end is ended by force.
constexpr std::uint16_t misses_before_force = 25;

constexpr unsigned number_shift = 3;  // above the tag

}  // namespace

Cancels::Cancels() noexcept {
  for (std::size_t i = 0; i < numbers; ++i) next_free_[i] = static_cast<std::uint16_t>(i + 1);
}

// An operation that is cancelled answers, and so does the cancel.
void Cancels::limit_to(std::uint32_t cq_entries) noexcept {
  CORERING_ASSERT(asked_ == 0, "the limit is set before the first cancel");
  most_ = std::clamp<std::uint32_t>(cq_entries / 4, 1, numbers);
}

void Cancels::add(Completion& target) noexcept {
  CORERING_DEBUG_ASSERT(target.is_with_kernel(), "only what the kernel has can be cancelled there");
  target.unlink();
  target.state_ = Completion::State::cancelling;
  target.cancel_number_ = none;
  target.cancels_missed_ = 0;
  waiting_.push_back(target);
  needs_attention_ = true;
}

void Cancels::answered(Completion& target) noexcept {
  CORERING_DEBUG_ASSERT(target.cancel_number_ == none || targets_[target.cancel_number_] == &target,
                        "the number of a cancel stands for its operation");
  target.unlink();
  if (target.cancel_number_ != none) targets_[target.cancel_number_] = nullptr;
  target.cancel_number_ = target.cancels_missed_ = 0;
  note_attention();
}

std::uint16_t Cancels::take_number(Completion* target) noexcept {
  CORERING_ASSERT(asked_ < numbers, "each cancel that is with the kernel has a number");
  const std::uint16_t number = first_free_;
  first_free_ = next_free_[number];
  targets_[number] = target;
  ++asked_;
  return number;
}

bool Cancels::is_by_force(const Completion& target) noexcept {
  return target.cancels_missed_ > 0 && target.cancels_missed_ % misses_before_force == 0;
}

void Cancels::fill_for_own(Sqe& sqe, std::uint64_t own_user_data, std::uint64_t tag) noexcept {
  sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::async_cancel),
            .addr = own_user_data,
            .user_data = static_cast<std::uint64_t>(take_number(nullptr)) << number_shift | tag};
}

void Cancels::fill_next(Sqe& sqe, std::uint64_t tag) noexcept {
  CORERING_DEBUG_ASSERT(has_next(), "only what waits can be asked for");
  Completion& target = waiting_.pop_front();
  note_attention();
  target.cancel_number_ = take_number(&target);
  with_kernel_.push_back(target);
  sqe = Sqe{};
  if (!is_by_force(target) || !target.fill_forced_end(sqe)) {
    sqe.opcode = static_cast<std::uint8_t>(Opcode::async_cancel);
    sqe.addr = target.user_data();
  }
  sqe.user_data = static_cast<std::uint64_t>(target.cancel_number_) << number_shift | tag;
}

void Cancels::take_answer(std::uint64_t user_data, std::int32_t res, TimePoint now) noexcept {
  const std::uint64_t number = user_data >> number_shift;
  CORERING_ASSERT(asked_ > 0 && number < numbers, "the kernel answered a cancel that it was not asked for");
  --asked_;
  Completion* const target = targets_[number];
  targets_[number] = nullptr;
  next_free_[number] = first_free_;
  first_free_ = static_cast<std::uint16_t>(number);
  if (target == nullptr) return;
  target->cancel_number_ = none;
  const bool is_plain = target->tag_ == 0 && target->cancels_missed_ == 0;
  if (res >= 0 && is_plain) [[likely]]
    return;  // found: it will end
  look_at_answer(*target, res, now);
}

// A function of its own, so that the usual answer has no calls to make room for.
void Cancels::look_at_answer(Completion& target, std::int32_t res, TimePoint now) noexcept {
  if (res < 0 || is_by_force(target) || target.waits_for_its_peer()) note_missed(target, now);
}

void Cancels::note_missed(Completion& target, TimePoint now) noexcept {
  target.unlink();
  ++target.cancels_missed_;
  if (missed_.empty()) next_look_ = now + look_again_after;
  missed_.push_back(target);
  needs_attention_ = true;
}

// If a cancel is with the kernel, its answer decides.
void Cancels::answered_in_part(Completion& target, TimePoint now) noexcept {
  if (target.cancel_number_ == none && target.waits_for_its_peer()) note_missed(target, now);
}

void Cancels::look(TimePoint now) noexcept {
  if (missed_.empty() || now < next_look_) return;
  next_look_ = now + look_again_after;
  for (std::uint32_t i = 0; i < most_ && !missed_.empty(); ++i) waiting_.push_back(missed_.pop_front());
}

Duration Cancels::until_due(TimePoint now) const noexcept {
  if (has_next()) return Duration::zero();  // the SQ was full
  if (missed_.empty()) return Duration::max();
  return std::max(next_look_ - now, Duration::zero());
}

bool Cancels::empty() const noexcept { return waiting_.empty() && with_kernel_.empty() && missed_.empty(); }

bool Cancels::holds_its_invariants(std::size_t most) noexcept {
  const auto check = [](const Completion& completion) {
    CORERING_ASSERT(completion.state_ == Completion::State::cancelling,
                    "what is in a list here is being cancelled");
  };
  waiting_.for_first(most, check);
  with_kernel_.for_first(most, check);
  missed_.for_first(most, check);
  CORERING_ASSERT(asked_ <= most_, "no more cancels are with the kernel than may be");
  CORERING_ASSERT(needs_attention_ || (waiting_.empty() && missed_.empty()),
                  "the loop looks where cancels wait");
  return true;
}

}  // namespace corering
