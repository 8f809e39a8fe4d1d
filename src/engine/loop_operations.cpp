/// loop_operations.cpp — requests out of the ordinary: refused, parked, linked, cancelled, left without a
/// descriptor.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>

#include <corering/engine/frame_cache.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {
namespace {

using trace::Kind;

// A read from the page cache counts as this much longer, for the call itself.
constexpr std::size_t cost_of_a_call = 4 << 10;

/// Reads all that was asked for, or until the end of the file. Returns -EAGAIN if a part of it is not in the
/// page cache.
std::int32_t read_all_now(Kernel& kernel, const Request& request) noexcept {
  std::uint32_t done = 0;
  while (done < request.len) {
    const std::int32_t got =
        kernel.read_now(request.fd, reinterpret_cast<char*>(request.addr) + done, request.len - done,
                        static_cast<std::int64_t>(request.off + done));
    if (got < 0) return -EAGAIN;  // any error: on the usual way it comes again, and is reported
    if (got == 0) break;
    done += static_cast<std::uint32_t>(got);
  }
  return static_cast<std::int32_t>(done);
}

}  // namespace

// The reply is written word by word. If a Reply were put together on the stack and then copied whole, the
// processor would wait, because it cannot forward a wide load from narrower stores.
void Loop::answer(Completion& completion, std::int32_t res) noexcept {
  CORERING_ASSERT(completion.state_ != Completion::State::answered, "an operation is answered once");
  completion.state_ = Completion::State::answered;
  completion.unlink();
  completion.drop_kept();
  if (completion.tag_ != 0) return completion.received({.res = res});
  completion.reply_.res = res;
  completion.reply_.flags = completion.reply_.offset = 0;
  ready_.push(completion.waiter_);
}

void Loop::begin(Completion& completion) noexcept {
  PromiseBase* const promise = completion.promise_;
  Scope* const scope = promise != nullptr ? promise->scope : nullptr;
  if (scope != nullptr) scope->waits_for(&completion, turn_ticks_);
  if (refuses_waits(scope)) return answer(completion, -ECANCELED);
  if (completion.kept_ == nullptr) return answer(completion, -ENOMEM);
  if (Sqe* const sqe = parked_.empty() ? find_sqe() : nullptr; sqe != nullptr) return fill(*sqe, completion);
  park(completion);
}

// We do this only for a coroutine that is alone: if others are about to submit, their submission takes the
// read along at no cost. And we do it only at an offset: the file's own position has a lock that RWF_NOWAIT
// waits for.
bool Loop::may_read_now(const Scope* scope, const Request& request) const noexcept {
  const bool alone = ready_.empty() && ring_.unsubmitted() == 0;
  const bool plain = request.head >> 8 == 0 && request.op_flags == 0 && ~request.off != 0 && request.len > 0;
  return alone && plain && request.len + cost_of_a_call <= bytes_to_read_now_ && !refuses_waits(scope);
}

bool Loop::read_now(Completion& completion, const PromiseBase& promise, const Request& request) noexcept {
  if (!may_read_now(promise.scope, request)) return false;
  if (trace::enabled()) [[unlikely]] {
    const auto fd = static_cast<std::uint32_t>(request.fd);
    trace::record(Kind::read_now, static_cast<std::uint8_t>(request.opcode()), &completion,
                  static_cast<std::uint64_t>(fd) << 32 | request.len, trace::key_of(promise.awaiting));
  }
  bytes_to_read_now_ -= request.len + cost_of_a_call;
  const std::int32_t got = read_all_now(kernel_, request);
  if (got < 0) return false;
  count(begun_[request.head & last_kind]);
  completion.state_ = Completion::State::answered;
  completion.reply_ = {.res = got};
  return true;
}

void Loop::begin_unscoped(Completion& completion, const Scope* permitting) noexcept {
  completion.promise_ = nullptr;
  if (stopping_ && !may_work_while_stopping(permitting)) return answer(completion, -ECANCELED);
  if (Sqe* const sqe = parked_.empty() ? find_sqe() : nullptr; sqe != nullptr) return fill(*sqe, completion);
  park(completion);
}

bool Loop::close_by_helper(int fd) noexcept {
  Sqe* const sqe = parked_.empty() ? find_sqe() : nullptr;
  if (sqe == nullptr) return false;
  lose_uses_of(fd);
  *sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::close),
             .flags = static_cast<std::uint8_t>(uapi::sqe_async),
             .fd = fd,
             .user_data = static_cast<std::uint64_t>(fd) << 3 | detail::closing_tag};
  ++closes_in_flight_;
  count(begun_[static_cast<std::size_t>(Opcode::close)]);
  count(for_helpers_);
  return true;
}

void Loop::cancel_and_submit(Completion& completion) noexcept {
  cancel(completion);
  // Peeking also lets the request end here, so that it does not hold its file when its owner closes it next.
  if (ring_.unsubmitted() > 0) note_enter_result(ring_.submit_and_peek());
}

// All SQEs of a chain go with one enter, and nothing else comes between them.
void Loop::begin_chain(std::span<Completion* const> links) noexcept {
  const PromiseBase* const promise = links.front()->promise_;
  if (refuses_waits(promise != nullptr ? promise->scope : nullptr)) {
    for (Completion* const link : links) answer(*link, -ECANCELED);
    return;
  }
  if (trace::enabled()) [[unlikely]] {
    for (const Completion* const link : links) link->record_await();
  }
  for (std::size_t i = 0; i < links.size(); ++i) {
    links[i]->links_behind_ = (links.size() - 1 - i) & 0x3fff;
  }
  if (ring_.free_sqes() < links.size()) hand_over();
  if (parked_.empty() && ring_.free_sqes() >= links.size()) {
    for (Completion* const link : links) fill(*ring_.next_sqe(), *link);
  } else {
    for (Completion* const link : links) park(*link);
  }
}

namespace {

/// Request::is_for_a_helper() in fewer instructions, for an opcode that is no constant. None is above 63.
constexpr bool goes_to_a_helper(std::uint32_t head) noexcept {
  return (((head >> 8 & uapi::sqe_async) != 0 ? ~std::uint64_t{0} : opcodes_for_helpers) >> (head & 63) &
          1) != 0;
}
static_assert([] {
  for (std::uint32_t head = 0; head < 1 << 13; head = (head & 0xff) < 63 ? head + 1 : (head | 0xff) + 1) {
    if (goes_to_a_helper(head) != Request{.head = head}.is_for_a_helper()) return false;
  }
  return true;
}());

}  // namespace

[[gnu::noinline]] Sqe* Loop::look_for_sqe() noexcept {
  if (Sqe* const sqe = ring_.next_sqe(); sqe != nullptr) return sqe;
  hand_over();
  return ring_.next_sqe();
}

void Loop::fill(Sqe& sqe, Completion& completion) noexcept {
  CORERING_DEBUG_ASSERT(completion.kept_ != nullptr, "only a request that is kept can be filled");
  const Request& request = *completion.kept_;
  const std::uint32_t head = request.head;
  completion.note_what_is_kept();
  count(begun_[head & last_kind]);
  if (goes_to_a_helper(head)) [[unlikely]]
    count(for_helpers_);
  request.fill(sqe, completion.user_data());
  completion.state_ = Completion::State::in_flight;
  ++in_flight_;
  if (completion.promise_ == nullptr || completion.promise_->scope == nullptr) {
    completion.state_ = Completion::State::orphaned;
    look_after(completion);
  }
  if (trace::enabled()) completion.record_filled(trace::stamp(), sqe);
  if (completion.owns_kept_ != 0) [[unlikely]]
    completion.drop_kept();
}

// The kernel takes nothing at the moment. The operation waits for its turn, and no other operation passes it.
void Loop::park(Completion& completion) noexcept {
  completion.note_what_is_kept();
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::parked, trace::no_opcode, &completion);
  counters_.parked.add();
  completion.state_ = Completion::State::parked;
  parked_.push_back(completion);
  sq_.hide_free_sqes(true);
}

// All links of a chain are unparked together.
void Loop::unpark() noexcept {
  while (!parked_.empty()) {
    const std::uint32_t links = parked_.front().links_behind_ + 1U;
    if (ring_.free_sqes() < links) hand_over();
    if (ring_.free_sqes() < links) return;
    CORERING_DEBUG_ASSERT(links <= ring_.sq_entries(), "a chain is no longer than the SQ");
    for (std::uint32_t i = 0; i < links; ++i) fill(*ring_.next_sqe(), parked_.pop_front());
  }
  sq_.hide_free_sqes(stopping_);
}

bool Loop::arm(TimerNode& node, TimePoint deadline) noexcept {
  if (!timers_.push(node, deadline)) return false;
  wait_is_due_ = TimePoint::max();  // the last wait may have been for a timer that is gone
  if (trace::enabled()) [[unlikely]] {
    const TimePoint now = kernel_.now_to_show();
    trace::record(Kind::timer_armed, trace::no_opcode, &node,
                  deadline <= now ? 0 : static_cast<std::uint64_t>((deadline - now).count()));
  }
  return true;
}

// ---- cancelling ----

void Loop::cancel(Completion& completion) noexcept {
  switch (completion.state_) {
    case Completion::State::parked:
      return answer(completion, -ECANCELED);
    case Completion::State::in_flight:
    case Completion::State::in_parts:
    case Completion::State::orphaned:
      cancels_.add(completion);
      return ask_kernel_to_cancel();
    case Completion::State::idle:
    case Completion::State::unrecorded:
    case Completion::State::cancelling:
    case Completion::State::answered:
      return;
  }
}

void Loop::cancel_again(Completion& completion) noexcept {
  if (completion.state_ == Completion::State::cancelling)
    cancels_.answered_in_part(completion, kernel_.now());
}

// The cancel comes after its target in the SQ, or the target has been submitted before. The kernel takes SQEs
// in order, so it knows the target. The cancel also comes before whatever gets the same address later. If no
// SQE is free, or enough cancels are with the kernel already, we ask in a later turn.
void Loop::ask_kernel_to_cancel() noexcept {
  while (cancels_.has_next()) {
    Sqe* const sqe = find_sqe();
    if (sqe == nullptr) return;
    cancels_.fill_next(*sqe, detail::control_tag);
  }
}

// ---- a descriptor is closed ----

void Loop::lose_uses_of(int fd) noexcept {
  ++uses_on(fd).closes;
  CORERING_DEBUG_ASSERT(fd >= 0, "only an open descriptor is closed");
  uses_on(fd).uses.for_each([fd](DescriptorUse& use) { use.lose(fd); });
}

namespace {

/// What these have in the field of the descriptor is something else: an id, or flags.
bool has_descriptor(Opcode opcode) noexcept {
  return opcode != Opcode::waitid && opcode != Opcode::futex_wait && opcode != Opcode::futex_wake &&
         opcode != Opcode::futex_waitv;
}

bool names(const Sqe& sqe, int fd) noexcept {
  return sqe.fd == fd && (sqe.flags & uapi::sqe_fixed_file) == 0 &&
         has_descriptor(static_cast<Opcode>(sqe.opcode));
}

/// Returns true if it is a splice or a tee that reads from `fd`. The kernel looks that descriptor up only
/// when a helper thread begins with it.
bool reads_from(const Sqe& sqe, int fd) noexcept {
  const auto opcode = static_cast<Opcode>(sqe.opcode);
  return (opcode == Opcode::splice || opcode == Opcode::tee) &&
         sqe.file_index == static_cast<std::uint32_t>(fd) && (sqe.op_flags & uapi::splice_fd_in_fixed) == 0;
}

}  // namespace

// What is filled goes to the kernel now, which takes hold of the file. What waits for a free SQE, or what the
// kernel does not take at the moment, loses its descriptor and fails with EBADF.
void Loop::before_close(int fd) noexcept {
  if (!mailbox_.is_in_its_process()) return;  // the ring is the parent's
  lose_uses_of(fd);
  if (!is_attached()) return;
  bool is_named = false;
  ring_.for_each_filled([fd, &is_named](const Sqe& sqe) { is_named = is_named || names(sqe, fd); });
  if (is_named) hand_over();
  ring_.for_each_filled([fd](Sqe& sqe) {
    if (names(sqe, fd)) sqe.fd = -1;
    if (reads_from(sqe, fd)) sqe.file_index = static_cast<std::uint32_t>(-1);
  });
  parked_.for_each([fd](Completion& parked) {
    if (has_descriptor(parked.opcode())) parked.lose_descriptor(fd);
  });
}

std::size_t Loop::end_uses_of(int fd) noexcept {
  std::size_t unfinished = 0;
  uses_on(fd).uses.for_each([fd, &unfinished](DescriptorUse& use) {
    if (use.end_use_of(fd)) ++unfinished;
  });
  return unfinished;
}

}  // namespace corering
