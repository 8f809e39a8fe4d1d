/// control_calls.hpp — operations on operations, on readiness and on the ring's time. The rows are explained
/// in io/file_calls.hpp.
///
/// To wait for a time, use sleep_for (sync/sleep.hpp) or with_timeout (sync/timeout.hpp), which cost no SQE.
/// The kernel's timeouts are here for chains, and for programs that want a CQE.
#pragma once

#include <cstdint>

#include <corering/base/any_duration.hpp>
#include <corering/core/operation.hpp>
#include <corering/resources/descriptor.hpp>

namespace corering {

// ---- nop ----

/// Goes to the kernel and comes back. It is for measuring, and for letting the worker's other coroutines run.
/// | NOP | 5.1 | io_uring_enter(2) | - | - |
inline IoOperation<void> async_nop() noexcept {
  return IoOperation<void>(Request{.head = head(Opcode::nop)});
}

/// The same, but it comes back with `result`, or with an error if `result` is a negative errno. It is for
/// tests.
/// | NOP (INJECT_RESULT) | 6.10 | io_uring_enter(2) | - | the one asked for |
inline ProbedOperation<std::int32_t> async_nop(std::int32_t result) noexcept {
  return ProbedOperation<std::int32_t>(Request{.len = static_cast<std::uint32_t>(result),
                                               .head = head(Opcode::nop),
                                               .op_flags = uapi::nop_inject_result},
                                       {.need = Feature::nop_inject_result});
}

// ---- readiness ----

/// poll(2), once: waits until one of `events` (POLLIN, POLLOUT, ...) holds for `fd`. Returns those that hold,
/// POLLERR and POLLHUP included.
/// | POLL_ADD | 5.1 | poll(2) | - | - |
inline IoOperation<unsigned> async_poll(const Descriptor& fd, unsigned events) noexcept {
  return IoOperation<unsigned>(
      Request{.fd = fd.number(), .head = head(Opcode::poll_add, fd), .op_flags = events});
}

/// Changes the events that the poll named by `poll` waits for.
/// | POLL_REMOVE (UPDATE_EVENTS) | 5.13 | io_uring_enter(2) | `poll` | ENOENT: not in flight; EALREADY |
inline IoOperation<void> async_poll_update(const OperationTag& poll, unsigned events) noexcept {
  return IoOperation<void>(Request{.addr = poll.user_data(),
                                   .len = uapi::poll_update_events,
                                   .head = head(Opcode::poll_remove),
                                   .op_flags = events});
}

/// Ends the poll that `poll` names. That poll fails with ECANCELED.
/// | POLL_REMOVE | 5.1 | io_uring_enter(2) | `poll` | ENOENT: not in flight; EALREADY |
inline IoOperation<void> async_poll_remove(const OperationTag& poll) noexcept {
  return IoOperation<void>(Request{.addr = poll.user_data(), .head = head(Opcode::poll_remove)});
}

// ---- cancelling ----

/// Cancels every operation on `fd` that this worker has in flight, and returns how many it found. Each of
/// them still ends by its own answer: ECANCELED, or its normal result if it was faster. To close a descriptor
/// that is in use, first cancel, then let the operations end, then close.
/// | ASYNC_CANCEL (FD) | 5.19 | io_uring_enter(2) | - | - |
inline IoOperation<unsigned> async_cancel(const Descriptor& fd) noexcept {
  const std::uint32_t flags = uapi::cancel_fd | uapi::cancel_all | (fd.is_slot() ? uapi::cancel_fd_fixed : 0);
  return IoOperation<unsigned>(
      Request{.fd = fd.number(), .head = head(Opcode::async_cancel), .op_flags = flags});
}

/// Cancels the operation that `tag` names.
/// | ASYNC_CANCEL | 5.5 | io_uring_enter(2) | `tag` | ENOENT: not in flight; EALREADY: it is being done |
inline IoOperation<void> async_cancel(const OperationTag& tag) noexcept {
  return IoOperation<void>(Request{.addr = tag.user_data(), .head = head(Opcode::async_cancel)});
}

/// Cancels every operation with this opcode that this worker has in flight, and returns how many it found.
/// | ASYNC_CANCEL (OP) | 6.6 | io_uring_enter(2) | - | - |
inline ProbedOperation<unsigned> async_cancel(Opcode opcode) noexcept {
  return ProbedOperation<unsigned>(Request{.len = static_cast<std::uint32_t>(opcode),
                                           .head = head(Opcode::async_cancel),
                                           .op_flags = uapi::cancel_op | uapi::cancel_all},
                                   {.need = Feature::cancel_by_opcode});
}

/// Cancels every operation that this worker has in flight, and returns how many it found. It also cancels the
/// worker's own wake-up, which the worker sets up again.
/// | ASYNC_CANCEL (ANY) | 5.19 | io_uring_enter(2) | - | - |
inline IoOperation<unsigned> async_cancel_all() noexcept {
  return IoOperation<unsigned>(
      Request{.head = head(Opcode::async_cancel), .op_flags = uapi::cancel_any | uapi::cancel_all});
}

// ---- the ring's timeouts ----

namespace detail {

/// The kernel reads the time when the SQE is submitted, so the time lies in the awaiter.
template <class T>
class Timed : public Answer<T> {
 public:
  explicit Timed(Duration duration) noexcept {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
    time_ = {.seconds = seconds.count(), .nanoseconds = (duration - seconds).count()};
  }

 protected:
  [[nodiscard]] std::uint64_t address() const noexcept { return reinterpret_cast<std::uintptr_t>(&time_); }

 private:
  uapi::Timespec time_;
};

/// ETIME says that the time has come.
class TimeoutAnswer : public Timed<void> {
 public:
  using Timed::Timed;
  void prepare(Request& request) const noexcept { request.addr = address(); }
  bool is_success(const Reply& reply) const noexcept { return reply.res >= 0 || reply.res == -ETIME; }
};

class TimeoutUpdateAnswer : public Timed<void> {
 public:
  using Timed::Timed;
  void prepare(Request& request) const noexcept { request.off = address(); }
};

/// Reads the answer of a LINK_TIMEOUT: whether the time was over before the operation.
class LinkTimeoutAnswer : public Timed<bool> {
 public:
  using Timed::Timed;
  void prepare(Request& request) const noexcept { request.addr = address(); }
  /// ECANCELED is the usual end: the operation was faster. The operation may also have ended in the same
  /// moment.
  bool is_success(const Reply& reply) const noexcept {
    return reply.res == -ETIME || reply.res == -ECANCELED || reply.res == -EALREADY || reply.res == -ENOENT;
  }
  bool decode(const Reply& reply) const noexcept { return reply.res != -ECANCELED && reply.res != -ENOENT; }
};

}  // namespace detail

/// Names the clock that a timeout of the kernel goes by: CLOCK_MONOTONIC, CLOCK_BOOTTIME (which goes on while
/// the machine sleeps) or CLOCK_REALTIME (which may be set).
enum class TimeoutClock : std::uint8_t { monotonic, boottime, realtime };

namespace detail {
inline std::uint32_t timeout_flags(TimeoutClock clock) noexcept {
  if (clock == TimeoutClock::boottime) return uapi::timeout_boottime;
  return clock == TimeoutClock::realtime ? uapi::timeout_realtime : 0;
}
}  // namespace detail

/// Waits for `duration`, by the kernel's own timer. If `completions` is not 0, it waits only until that many
/// other operations of this worker have completed, if that comes first.
/// | TIMEOUT | 5.4 | io_uring_enter(2) | - | EINVAL: negative |
inline IoOperation<void, detail::TimeoutAnswer> async_timeout(
    AnyDuration duration, std::uint32_t completions = 0,
    TimeoutClock clock = TimeoutClock::monotonic) noexcept {
  return IoOperation<void, detail::TimeoutAnswer>(Request{.len = 1,
                                                          .off = completions,
                                                          .head = head(Opcode::timeout),
                                                          .op_flags = detail::timeout_flags(clock)},
                                                  detail::TimeoutAnswer(duration));
}

/// Waits until `clock` shows `time`, counted from that clock's beginning. It does not wait if that time has
/// passed.
/// | TIMEOUT (ABS) | 5.4, other clocks 5.15 | io_uring_enter(2) | - | EINVAL: negative |
inline IoOperation<void, detail::TimeoutAnswer> async_timeout_at(
    AnyDuration time, TimeoutClock clock = TimeoutClock::monotonic) noexcept {
  return IoOperation<void, detail::TimeoutAnswer>(
      Request{.len = 1,
              .head = head(Opcode::timeout),
              .op_flags = uapi::timeout_abs | detail::timeout_flags(clock)},
      detail::TimeoutAnswer(time));
}

/// Makes the timeout that `timeout` names end `duration` from now instead.
/// | TIMEOUT_REMOVE (UPDATE) | 5.11 | io_uring_enter(2) | `timeout` | ENOENT: not in flight; EALREADY |
inline IoOperation<void, detail::TimeoutUpdateAnswer> async_timeout_update(const OperationTag& timeout,
                                                                           AnyDuration duration) noexcept {
  return IoOperation<void, detail::TimeoutUpdateAnswer>(Request{.addr = timeout.user_data(),
                                                                .head = head(Opcode::timeout_remove),
                                                                .op_flags = uapi::timeout_update},
                                                        detail::TimeoutUpdateAnswer(duration));
}

/// Ends the timeout that `timeout` names. That timeout fails with ECANCELED.
/// | TIMEOUT_REMOVE | 5.5 | io_uring_enter(2) | `timeout` | ENOENT: not in flight; EBUSY, EALREADY: it is just ending |
inline IoOperation<void> async_timeout_remove(const OperationTag& timeout) noexcept {
  return IoOperation<void>(Request{.addr = timeout.user_data(), .head = head(Opcode::timeout_remove)});
}

/// In a chain (io/chain.hpp): cancels the operation before it when that has taken `duration`. Returns true if
/// it did.
/// | LINK_TIMEOUT | 5.5 | io_uring_enter(2) | - | EINVAL: not after a linked operation |
inline IoOperation<bool, detail::LinkTimeoutAnswer> link_timeout(AnyDuration duration) noexcept {
  return IoOperation<bool, detail::LinkTimeoutAnswer>(Request{.len = 1, .head = head(Opcode::link_timeout)},
                                                      detail::LinkTimeoutAnswer(duration));
}

}  // namespace corering
