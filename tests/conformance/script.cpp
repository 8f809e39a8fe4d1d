/// script.cpp — how a script fills a ring, waits, and compares.
#include "conformance/script.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

#include "conformance/kernels.hpp"

namespace corering::conformance {
namespace {

constexpr std::uint64_t own = ~std::uint64_t{0} - 8;  // the user data of what a script asks by itself

std::uint32_t load(std::uint32_t* word) noexcept {
  return std::atomic_ref(*word).load(std::memory_order_acquire);
}

std::string number(int res) {
  constexpr int most_errors = 4096;  // what is further below is a flag of a notification
  const char* const name = res < 0 && res > -most_errors ? ::strerrorname_np(-res) : nullptr;
  return name == nullptr ? std::to_string(res) : std::string("-") + name;
}

std::uint32_t compared(std::uint32_t flags) noexcept {
  constexpr std::uint32_t known = uapi::cqe_buffer | uapi::cqe_more | uapi::cqe_notif | uapi::cqe_buf_more;
  return flags & (known | ~0U << uapi::cqe_buffer_shift);
}

std::string flags_text(std::uint32_t flags) {
  std::string text;
  if ((flags & uapi::cqe_more) != 0) text += " F_MORE";
  if ((flags & uapi::cqe_notif) != 0) text += " F_NOTIF";
  if ((flags & uapi::cqe_buf_more) != 0) text += " F_BUF_MORE";
  if ((flags & uapi::cqe_buffer) != 0) text += " buffer " + std::to_string(flags >> uapi::cqe_buffer_shift);
  return text;
}

std::string text_of(const Expected& expected) {
  return std::to_string(expected.user_data) + ": " + expected.res.text() + flags_text(expected.flags);
}
std::string text_of(const Cqe& cqe) {
  return std::to_string(cqe.user_data) + ": " + number(cqe.res) + flags_text(compared(cqe.flags));
}

template <class Lines>
std::string listed(const Lines& lines) {
  std::string text;
  for (const auto& line : lines) text += "\n  " + text_of(line);
  return text.empty() ? "\n  nothing" : text;
}

/// Brings what came into the order of what is expected, by user data. What nobody expects comes last.
std::vector<Cqe> sorted_like(const std::vector<Expected>& expected, std::vector<Cqe> got) {
  auto rest = got.begin();
  for (const Expected& wanted : expected) {
    const auto found = std::ranges::find(rest, got.end(), wanted.user_data, &Cqe::user_data);
    if (found != got.end()) std::rotate(rest++, found, found + 1);
  }
  return got;
}

// Two requests that share their number and may end in any order cannot be told apart by it.
bool can_be_told_apart(const std::vector<Expected>& expected) {
  for (auto one = expected.begin(); one != expected.end(); ++one) {
    const bool is_last_of_its_request = (one->flags & more) == 0;
    const auto other = std::find_if(one + 1, expected.end(), [one](const Expected& later) {
      return later.user_data == one->user_data && later.res.text() != one->res.text();
    });
    if (is_last_of_its_request && other != expected.end()) return false;
  }
  return true;
}

std::uint32_t usual_flags(Kernel& kernel) {
  const std::uint32_t common = uapi::setup_submit_all | uapi::setup_clamp | uapi::setup_taskrun_flag;
  const bool defers = capabilities_of(kernel).has(Feature::defer_taskrun);
  return common | (defers ? uapi::setup_single_issuer | uapi::setup_defer_taskrun : uapi::setup_coop_taskrun);
}

}  // namespace

bool Answer::fits(int res) const noexcept {
  return and_more_ ? res >= allowed_.front() : std::ranges::find(allowed_, res) != allowed_.end();
}

std::string Answer::text() const {
  std::string text;
  for (const int res : allowed_) text += (text.empty() ? "" : " or ") + number(res);
  if (and_more_) text += " or more";
  return why_.empty() ? text : text + " (" + why_ + ")";
}

Script::Script(Kernel& kernel, const Setup& setup) : kernel_(kernel) {
  params_ = {.sq_entries = setup.sq_entries, .cq_entries = setup.cq_entries};
  params_.flags = setup.flags ? *setup.flags : usual_flags(kernel);
  if (setup.cq_entries > 0) params_.flags |= uapi::setup_cqsize;
  opened_ = kernel.open_ring(params_, ring_);
  if (opened_ < 0) return;
  const RingMemory& memory = ring_->memory();
  tail_ = load(memory.sq_tail);
  for (std::uint32_t i = 0; i < memory.sq_entries; ++i) memory.sq_array[i] = i;
}

void Script::push(const Entry& entry, Place place) {
  const RingMemory& memory = ring_->memory();
  if (tail_ - load(memory.sq_head) == memory.sq_entries) {
    ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line())) << "the SQ of this script is full";
    return;
  }
  Sqe& sqe = memory.sqes[tail_++ & (memory.sq_entries - 1)];
  sqe = entry.sqe;
  if (!entry.time) return;
  times_.push_back(*entry.time);
  (entry.time_is_second_address ? sqe.off : sqe.addr) = reinterpret_cast<std::uintptr_t>(&times_.back());
}

int Script::enter(unsigned min_complete, unsigned flags, const uapi::GetEventsArg* arg) {
  const RingMemory& memory = ring_->memory();
  std::atomic_ref(*memory.sq_tail).store(tail_, std::memory_order_release);
  return ring_->enter(tail_ - load(memory.sq_head), min_complete, flags, arg);
}

int Script::enter_with(unsigned to_submit) {
  std::atomic_ref(*ring_->memory().sq_tail).store(tail_, std::memory_order_release);
  return ring_->enter(to_submit, 0, 0, nullptr);
}

void Script::submit(std::initializer_list<Entry> entries, Place place) {
  for (const Entry& entry : entries) push(entry, place);
  const int taken = enter();
  if (taken == static_cast<int>(entries.size())) return;
  ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
      << entries.size() << " SQEs were handed over, and the kernel answered " << number(taken);
}

std::optional<Cqe> Script::reap() {
  const RingMemory& memory = ring_->memory();
  const std::uint32_t head = load(memory.cq_head);
  if (head == load(memory.cq_tail)) return std::nullopt;
  const Cqe cqe = memory.cqes[head & (memory.cq_entries - 1)];
  std::atomic_ref(*memory.cq_head).store(head + 1, std::memory_order_release);
  return cqe;
}

bool Script::wait_until(TimePoint deadline) {
  const Duration left = deadline - kernel_.now();
  if (left <= Duration(0)) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const uapi::Timespec time{.seconds = seconds.count(), .nanoseconds = (left - seconds).count()};
  const uapi::GetEventsArg arg{.timespec = reinterpret_cast<std::uintptr_t>(&time)};
  const int entered = enter(1, uapi::enter_getevents | uapi::enter_ext_arg, &arg);
  return entered >= 0 || entered == -EINTR || entered == -ETIME;
}

std::optional<Cqe> Script::next() {
  const TimePoint deadline = kernel_.now() + patience;
  for (;;) {
    if (const std::optional<Cqe> cqe = reap()) return cqe;
    if (!wait_until(deadline)) return std::nullopt;
  }
}

int Script::result_of(std::uint64_t user_data, Place place) {
  const std::optional<Cqe> cqe = next();
  if (cqe && cqe->user_data == user_data) return cqe->res;
  ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
      << "expected a CQE for " << user_data << ", got " << (cqe ? text_of(*cqe) : "none");
  return -ENODATA;
}

void Script::compare(const Expected& expected, const Cqe& got, const Place& place) const {
  if (got.user_data == expected.user_data && expected.res.fits(got.res) &&
      compared(got.flags) == expected.flags)
    return;
  ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
      << "expected " << text_of(expected) << "\ngot      " << text_of(got);
}

void Script::expect_all(const std::vector<Expected>& expected, bool in_order, const Place& place) {
  std::vector<Cqe> got;
  while (got.size() < expected.size()) {
    const std::optional<Cqe> cqe = next();
    if (!cqe) break;
    got.push_back(*cqe);
  }
  if (got.size() < expected.size()) {
    ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
        << "after " << patience.count() << " s something is missing. Expected:" << listed(expected)
        << "\ngot:" << listed(got);
    return;
  }
  const std::string came = listed(got);
  if (!in_order) got = sorted_like(expected, got);
  for (std::size_t i = 0; i < got.size(); ++i) compare(expected[i], got[i], place);
  if (testing::Test::HasFailure()) {
    ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line())) << "in the order they came:" << came;
  }
}

void Script::expect(std::initializer_list<Expected> expected, Place place) {
  expect_all(expected, true, place);
}

void Script::expect_in_any_order(std::initializer_list<Expected> expected, Place place) {
  EXPECT_TRUE(can_be_told_apart(expected)) << "give each request a number of its own";
  expect_all(expected, false, place);
}

void Script::expect_silence(Place place) {
  push(nop(own), place);
  for (;;) {
    const std::optional<Cqe> cqe = next();
    if (cqe && cqe->user_data == own) return;
    ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
        << "expected nothing, got " << (cqe ? text_of(*cqe) : "not even an answer to a nop");
    if (!cqe) return;
  }
}

void Script::expect_silence_without_asking(Place place) {
  enter(0, uapi::enter_getevents);
  const std::optional<Cqe> cqe = reap();
  if (!cqe) return;
  ADD_FAILURE_AT(place.file_name(), static_cast<int>(place.line()))
      << "expected nothing, got " << text_of(*cqe);
}

bool Script::has_overflowed() const noexcept {
  return (load(ring_->memory().sq_flags) & uapi::sq_cq_overflow) != 0;
}

std::uint32_t Script::in_the_ring() const noexcept {
  return load(ring_->memory().cq_tail) - load(ring_->memory().cq_head);
}

void Script::finish() {
  if (ring_ == nullptr) return;
  if (!testing::Test::HasFailure()) expect_silence();
  for (int left = 1; left > 0;) {
    push(cancel_everything(own));
    std::optional<Cqe> cqe;
    do {
      cqe = next();
    } while (cqe && cqe->user_data != own);
    left = cqe ? cqe->res : 0;
  }
}

}  // namespace corering::conformance
