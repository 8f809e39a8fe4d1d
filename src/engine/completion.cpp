/// completion.cpp — how an operation begins if something is out of the ordinary, and what its answer means.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <new>
#include <pthread.h>
#include <sys/socket.h>
#include <utility>

#include <corering/base/outside.hpp>
#include <corering/engine/completion.hpp>
#include <corering/engine/frame_cache.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/setup_error.hpp>

#include "engine/loop.hpp"

namespace corering {

using trace::Kind;

namespace {

/// Returns true for an operation that a helper thread of the kernel does. The others wait for an event.
bool needs_helper_thread(std::uint32_t head) noexcept {
  static constexpr std::array waits_for_an_event = {Opcode::nop,
                                                    Opcode::poll_add,
                                                    Opcode::poll_remove,
                                                    Opcode::sendmsg,
                                                    Opcode::recvmsg,
                                                    Opcode::timeout,
                                                    Opcode::timeout_remove,
                                                    Opcode::accept,
                                                    Opcode::async_cancel,
                                                    Opcode::link_timeout,
                                                    Opcode::connect,
                                                    Opcode::send,
                                                    Opcode::recv,
                                                    Opcode::msg_ring,
                                                    Opcode::send_zc,
                                                    Opcode::sendmsg_zc,
                                                    Opcode::read_multishot,
                                                    Opcode::waitid,
                                                    Opcode::futex_wait,
                                                    Opcode::futex_wake,
                                                    Opcode::futex_waitv,
                                                    Opcode::recv_zc,
                                                    Opcode::epoll_wait};
  const bool forced = (head >> 8 & uapi::sqe_async) != 0;
  return forced ||
         std::ranges::find(waits_for_an_event, static_cast<Opcode>(head & 0xff)) == waits_for_an_event.end();
}

/// If the kernel can start no helper thread, the operations that need one end with ECANCELED, although nobody
/// has cancelled them. The limits are the same for our threads, so we try. Nobody cancels many such
/// operations without a scope, so the price of a thread does not matter.
bool can_start_a_thread() noexcept {
  pthread_t thread{};
  const auto nothing = [](void* argument) -> void* { return argument; };
  if (::pthread_create(&thread, nullptr, nothing, nullptr) != 0) return false;
  ::pthread_join(thread, nullptr);
  return true;
}

}  // namespace

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
    here.count_begun(request);
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

// The request was not const when it was made: it is a member of an awaiter or a block, or a copy of ours.
void Completion::lose_descriptor(int fd) noexcept {
  CORERING_DEBUG_ASSERT(state_ == State::parked, "only a parked operation still has its request");
  if (is_on(fd)) const_cast<Request*>(kept_)->fd = -1;
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
    fail_assertion(
        "a worker runs here",
        "an operation was awaited on a thread without a worker: run the task on one, as in run(task()) "
        "or sync_wait(worker.spawn(task()).value()), or name one, as in co_await operation.on(worker)",
        place_of(promise_));
  }
  CORERING_ASSERT(state_ == State::idle || state_ == State::unrecorded, "an operation begins once at a time");
  if (state_ == State::unrecorded) return record_begun();
  if (!trace::enabled()) return loop->begin(*this);
  const auto code = static_cast<std::uint8_t>(opcode());
  record_await();
  loop->begin(*this);
  trace::record(Kind::suspended, code, this);
}

void Completion::record_await() const noexcept {
  trace::record(Kind::await, static_cast<std::uint8_t>(opcode()), this, task_in_trace(promise_, waiter_),
                promise_ != nullptr ? trace::key_of(promise_->awaiting) : 0);
}

// All of this happened in one go.
void Completion::record_begun() noexcept {
  const std::uint64_t now = trace::stamp();
  const auto code = static_cast<std::uint8_t>(opcode());
  trace::record_at(now, Kind::await, code, this, task_in_trace(promise_, waiter_),
                   trace::key_of(promise_->awaiting));
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

namespace {

bool moves_bytes(Opcode opcode) noexcept {
  switch (opcode) {
    case Opcode::read:
    case Opcode::readv:
    case Opcode::read_fixed:
    case Opcode::readv_fixed:
    case Opcode::write:
    case Opcode::writev:
    case Opcode::write_fixed:
    case Opcode::writev_fixed:
    case Opcode::send:
    case Opcode::sendmsg:
    case Opcode::send_zc:
    case Opcode::sendmsg_zc:
    case Opcode::recv:
    case Opcode::recvmsg:
    case Opcode::splice:
    case Opcode::tee:
      return true;
    default:
      return false;
  }
}

/// Adds numbers of bytes; the sum stays within what a result can be.
std::int32_t sum_of(std::int32_t first, std::int32_t second) noexcept {
  return static_cast<std::int32_t>(std::min<std::int64_t>(std::int64_t{first} + second, INT32_MAX));
}

}  // namespace

// The kernel has moved these bytes, or done this, whatever it says later.
Reply Completion::with_parts(const Reply& last) const noexcept {
  if (has_part_ == 0 || reply_.res < 0) return last;
  const bool adds = moves_bytes(opcode()) && last.res >= 0;
  return {.res = adds ? sum_of(reply_.res, last.res) : reply_.res, .flags = last.flags};
}

void Completion::add_part(const Cqe& cqe) noexcept {
  CORERING_DEBUG_ASSERT((cqe.flags & uapi::cqe_more) != 0, "only the last answer is the whole");
  reply_ = with_parts({.res = cqe.res, .flags = cqe.flags & ~uapi::cqe_more});
  has_part_ = 1;
  if (state_ == State::in_flight) state_ = State::in_parts;
}

// The result comes first. If a notification follows, it says whether the kernel copied the data in the end.
void NotifiedCompletion::received(const Reply& reply) noexcept {
  Reply total = reply;
  if ((reply.flags & uapi::cqe_notif) != 0) {
    const auto usage = static_cast<std::uint32_t>(reply.res) & uapi::notif_usage_zc_copied;
    total = {.res = has_result_ ? this->reply().res : 0,
             .flags = (has_result_ ? this->reply().flags & ~uapi::cqe_more : 0) | reply.flags | usage};
  } else if (has_result_ && is_zero_copy() && this->reply().res >= 0) {
    total.res = reply.res >= 0 ? sum_of(this->reply().res, reply.res) : this->reply().res;
  }
  note_reply(total);
  if (!std::exchange(has_result_, true) && is_zero_copy() && !is_on_slot()) {
    has_descriptor_ = here::loop()->closes_of(descriptor()) == closes_before_;
    if (has_descriptor_) here::loop()->knows(*this, descriptor());
  }
  if (!reply.is_last()) return here::loop()->cancel_again(*this);
  DescriptorUse::unlink();
  resume_with(total);
}

void NotifiedCompletion::lose(int fd) noexcept {
  if (is_on(fd)) has_descriptor_ = false;
}

bool NotifiedCompletion::end_use_of(int fd) noexcept {
  if (!is_on(fd)) return false;
  here::loop()->cancel(*this);
  return true;
}

namespace {

bool is_tcp(int fd) noexcept {
  int protocol = 0;
  socklen_t length = sizeof protocol;
  return os::get_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == IPPROTO_TCP;
}

}  // namespace

NotifiedCompletion::NotifiedCompletion(const Request& request) noexcept : Completion(request, true) {
  if (Loop* const here = here::loop(); here != nullptr) closes_before_ = here->closes_of(request.fd);
}

bool NotifiedCompletion::is_zero_copy() const noexcept {
  return opcode() == Opcode::send_zc || opcode() == Opcode::sendmsg_zc;
}

// connect(2): "Connectionless and some connection-oriented sockets may dissolve the association by connecting
// to an address with the sa_family member set to AF_UNSPEC". TCP then drops what is in its queue.
// A slot may have another file by now, and nobody can ask it.
bool NotifiedCompletion::fill_forced_end(Sqe& sqe) const noexcept {
  static const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  if (!has_result_ || !is_zero_copy() || is_on_slot() || !has_descriptor_ || !is_tcp(descriptor()))
    return false;
  sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::connect),
            .fd = descriptor(),
            .off = sizeof nobody,
            .addr = reinterpret_cast<std::uintptr_t>(&nobody)};
  return true;
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
  if (res == -ECANCELED && needs_helper_thread(head_) && !can_start_a_thread()) {
    return setup_error(SetupStep::helper, EAGAIN);
  }
  return {was_interrupted ? EINTR : -res, std::system_category()};
}

// This is out of line, and is called only when recording: otherwise its arguments must cost nothing.
[[gnu::noinline]] void Completion::record_filled(std::uint64_t stamp, const Sqe& sqe) const noexcept {
  trace::record_at(stamp, Kind::sqe_filled, sqe.opcode, this,
                   static_cast<std::uint64_t>(static_cast<std::uint32_t>(sqe.fd)) << 32 | sqe.len,
                   trace::packed_offset(sqe.flags, sqe.off));
}

void Completion::observe_resumed() noexcept {
  Loop* const loop = here::loop();
  if (loop != nullptr && has_noted_reaped()) loop->observe_resumed(*this);
  cancel_number_ = cancels_missed_ = 0;
  if (!trace::enabled()) return;
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
