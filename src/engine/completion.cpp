/// completion.cpp — how an operation begins if something is out of the ordinary, and what its answer means.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <corering/engine/completion.hpp>
#include <corering/engine/frame_cache.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {

using trace::Kind;

[[gnu::noinline]] bool Completion::read_now(const PromiseBase& promise, const Request& request) noexcept {
  Loop* const loop = here::loop();
  return loop != nullptr && loop->read_now(*this, promise, request);
}

// If only recording is out of the ordinary, the operation begins as usual. In all other cases we keep a copy
// of the request, in memory of the frame cache; that is rare, and the copy is small. If there is no memory,
// the operation fails.
[[gnu::noinline]] void Completion::begin_slowly(const Request& request) noexcept {
  LoopFront& here = here::front();
  if (trace::enabled() && here.may_begin_recorded_in(promise_->scope)) {
    request.fill(here.begin(*this, *promise_->scope), user_data());
    state_ = State::unrecorded;
    return;
  }
  try {
    kept_ = ::new (allocate_frame(sizeof request)) Request(request);
    owns_kept_ = 1;
  } catch (const std::bad_alloc&) {
    kept_ = nullptr;
  }
}

void Completion::drop_kept() noexcept {
  if (owns_kept_ == 0) return;
  owns_kept_ = 0;
  free_frame(const_cast<Request*>(kept_), sizeof *kept_);
}

void Completion::begin(std::coroutine_handle<> waiter, PromiseBase* promise,
                       const Request& request) noexcept {
  waiter_ = waiter;
  kept_ = &request;
  promise_ = promise;
  begun_slowly();
}

[[gnu::noinline]] void Completion::begun_slowly() noexcept {
  Loop* const loop = here::loop();
  if (loop == nullptr) {
    fail_assertion("a worker runs here",
                   "an operation was awaited on a thread without a worker: name one, as in co_await "
                   "operation.on(worker)",
                   place_of(promise_));
  }
  CORERING_ASSERT(state_ == State::idle || state_ == State::unrecorded, "an operation begins once at a time");
  if (state_ == State::unrecorded) return record_begun();
  if (!trace::enabled()) return loop->begin(*this);
  const auto code = static_cast<std::uint8_t>(opcode());
  trace::record(Kind::await, code, this, reinterpret_cast<std::uintptr_t>(waiter_.address()),
                promise_ != nullptr ? trace::pack_place(promise_->awaiting) : 0);
  loop->begin(*this);
  trace::record(Kind::suspended, code, this);
}

// All of this happened in one go.
void Completion::record_begun() noexcept {
  const std::uint64_t now = trace::stamp();
  const auto code = static_cast<std::uint8_t>(opcode());
  trace::record_at(now, Kind::await, code, this, reinterpret_cast<std::uintptr_t>(waiter_.address()),
                   trace::pack_place(promise_->awaiting));
  record_filled(now, here::front().last_begun());
  trace::record_at(now, Kind::suspended, code, this);
  state_ = State::in_flight;
}

[[gnu::noinline]] void Completion::begin_unscoped(const Scope* permitting, const Request& request) noexcept {
  kept_ = &request;
  Loop* const loop = here::loop();
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::await, static_cast<std::uint8_t>(opcode()), this);
  loop->begin_unscoped(*this, permitting);
}

[[gnu::noinline]] void Completion::begin_chain(std::span<Completion* const> links,
                                               PromiseBase* promise) noexcept {
  Loop* const loop = here::loop();
  CORERING_ASSERT(loop != nullptr, "a chain was awaited on a thread without a worker: hop to one first");
  for (Completion* const link : links) link->promise_ = promise;
  loop->begin_chain(links);
}

void Completion::resume_with(const Reply& reply) noexcept {
  reply_ = reply;
  here::loop()->schedule(waiter_);
}

// The result comes first. If a notification follows, it says whether the kernel copied the data in the end.
void NotifiedCompletion::received(const Reply& reply) noexcept {
  Reply total = reply;
  if ((reply.flags & abi::cqe_notif) != 0) {
    const auto usage = static_cast<std::uint32_t>(reply.res) & abi::notif_usage_zc_copied;
    total = {.res = this->reply().res, .flags = (this->reply().flags & ~abi::cqe_more) | reply.flags | usage};
  }
  note_reply(total);
  if (reply.is_last()) resume_with(total);
}

Wait* Completion::cancel(const CancelCause&) noexcept {
  here::loop()->cancel(*this);
  return nullptr;
}

void Completion::describe(std::string& text) const {
  text += name_of(opcode());
  if (fd_ < 0) return;
  text.append(is_on_slot() ? " (slot " : " (fd ").append(std::to_string(fd_)).append(")");
}

std::error_code Completion::error_of(std::int32_t res) const noexcept {
  // A helper thread of the kernel was interrupted in a system call that blocks. It then answers EINTR, or one
  // of the numbers that user space should never see.
  const bool was_interrupted = res == -EINTR || (res <= -512 && res >= -514) || res == -516;
  const bool was_cancelled = res == -ECANCELED || was_interrupted;
  if (was_cancelled && promise_ != nullptr && promise_->scope != nullptr && promise_->scope->is_cancelled()) {
    return promise_->scope->reason().error();
  }
  return {was_interrupted ? EINTR : -res, std::system_category()};
}

// This is out of line, and is called only when recording: otherwise its arguments must cost nothing.
[[gnu::noinline]] void Completion::record_filled(std::uint64_t stamp, const Sqe& sqe) const noexcept {
  trace::record_at(stamp, Kind::sqe_filled, sqe.opcode, this,
                   static_cast<std::uint64_t>(static_cast<std::uint32_t>(sqe.fd)) << 32 | sqe.len, sqe.off);
}

void Completion::record_resumed() const noexcept {
  trace::record(Kind::resumed, static_cast<std::uint8_t>(opcode()), this,
                static_cast<std::uint64_t>(reply_.res));
}

void Completion::abort_destroyed_in_flight() const noexcept {
  const std::source_location where = promise_ != nullptr ? promise_->awaiting : std::source_location();
  dprintf(2, "corering: a coroutine was destroyed while its %.*s (fd %d) was in flight, awaited at %s:%u\n",
          static_cast<int>(name_of(opcode()).size()), name_of(opcode()).data(), fd_,
          where.line() != 0 ? where.file_name() : "a place in a coroutine of another library", where.line());
  std::abort();
}

}  // namespace corering
