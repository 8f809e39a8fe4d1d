/// loop_operations.cpp — requests out of the ordinary: refused, parked, linked, cancelled.
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

// After this time we ask the kernel again for what is being cancelled: it may have missed an operation that
// was between two states.
constexpr Duration cancel_again_after = std::chrono::milliseconds(10);

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
                  static_cast<std::uint64_t>(fd) << 32 | request.len, trace::pack_place(promise.awaiting));
  }
  bytes_to_read_now_ -= request.len + cost_of_a_call;
  const std::int32_t got = read_all_now(kernel_, request);
  if (got < 0) return false;
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

void Loop::cancel_and_submit(Completion& completion) noexcept {
  cancel(completion);
  if (ring_.unsubmitted() > 0) note_enter_result(ring_.submit());
}

void Loop::close_streams_on(int fd) noexcept {
  streams_.for_each([fd](detail::StreamNode& node) {
    auto& stream = static_cast<detail::MultishotBlock&>(node);
    if (stream.is_on(fd)) stream.close();
  });
}

// All SQEs of a chain go with one enter, and nothing else comes between them.
void Loop::begin_chain(std::span<Completion* const> links) noexcept {
  for (std::size_t i = 0; i < links.size(); ++i) {
    links[i]->links_behind_ = (links.size() - 1 - i) & 0x7fff;
  }
  if (ring_.free_sqes() < links.size()) note_enter_result(ring_.submit());
  if (parked_.empty() && ring_.free_sqes() >= links.size()) {
    for (Completion* const link : links) fill(*ring_.next_sqe(), *link);
  } else {
    for (Completion* const link : links) park(*link);
  }
}

Sqe* Loop::find_sqe() noexcept {
  if (Sqe* const sqe = ring_.next_sqe(); sqe != nullptr) [[likely]]
    return sqe;
  note_enter_result(ring_.submit());
  return ring_.next_sqe();
}

void Loop::fill(Sqe& sqe, Completion& completion) noexcept {
  CORERING_DEBUG_ASSERT(completion.kept_ != nullptr, "only a request that is kept can be filled");
  completion.note_what_is_kept();
  completion.kept_->fill(sqe, completion.user_data());
  completion.state_ = Completion::State::in_flight;
  ++in_flight_;
  if (completion.promise_ == nullptr || completion.promise_->scope == nullptr) {
    completion.state_ = Completion::State::orphaned;
    look_after(completion);
  }
  if (trace::enabled()) completion.record_filled(trace::stamp(), sqe);
  completion.drop_kept();
}

// The kernel takes nothing at the moment. The operation waits for its turn, and no other operation passes it.
void Loop::park(Completion& completion) noexcept {
  completion.note_what_is_kept();
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::parked, trace::no_opcode, &completion);
  completion.state_ = Completion::State::parked;
  parked_.push_back(completion);
  looks_closer_ = true;
}

// All links of a chain are unparked together.
void Loop::unpark() noexcept {
  while (!parked_.empty()) {
    const std::uint32_t links = parked_.front().links_behind_ + 1U;
    if (ring_.free_sqes() < links) note_enter_result(ring_.submit());
    if (ring_.free_sqes() < links) return;
    CORERING_DEBUG_ASSERT(links <= ring_.sq_entries(), "a chain is no longer than the SQ");
    for (std::uint32_t i = 0; i < links; ++i) fill(*ring_.next_sqe(), parked_.pop_front());
  }
  looks_closer_ = stopping_;
}

void Loop::arm(TimerNode& node, TimePoint deadline) noexcept {
  timers_.push(node, deadline);
  if (trace::enabled()) [[unlikely]] {
    const TimePoint now = kernel_.now();
    trace::record(Kind::timer_armed, trace::no_opcode, &node,
                  deadline <= now ? 0 : static_cast<std::uint64_t>((deadline - now).count()));
  }
}

// ---- cancelling ----

void Loop::cancel(Completion& completion) noexcept {
  switch (completion.state_) {
    case Completion::State::parked:
      return answer(completion, -ECANCELED);
    case Completion::State::in_flight:
    case Completion::State::orphaned:
      completion.unlink();
      completion.state_ = Completion::State::cancelling;
      if (cancelling_.empty()) next_cancel_ = kernel_.now() + cancel_again_after;
      cancelling_.push_back(completion);
      return ask_kernel_to_cancel(completion);
    case Completion::State::idle:
    case Completion::State::unrecorded:
    case Completion::State::cancelling:
    case Completion::State::answered:
      return;
  }
}

// The cancel comes after its target in the SQ, or the target has been submitted before. The kernel takes SQEs
// in order, so it knows the target. The cancel also comes before whatever gets the same address later. If no
// SQE is free, we ask the kernel the next time.
void Loop::ask_kernel_to_cancel(const Completion& completion) noexcept {
  Sqe* const sqe = find_sqe();
  if (sqe == nullptr) return;
  *sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::async_cancel),
             .addr = completion.user_data(),
             .user_data = detail::control_tag};
  ++controls_in_flight_;
}

// If an operation was between two states when the kernel looked for it, the kernel did not find it (ENOENT).
void Loop::cancel_again() noexcept {
  next_cancel_ = kernel_.now() + cancel_again_after;
  cancelling_.for_each([this](const Completion& completion) { ask_kernel_to_cancel(completion); });
}

}  // namespace corering
