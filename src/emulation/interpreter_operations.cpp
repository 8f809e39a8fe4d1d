/// interpreter_operations.cpp — the operations that the ring does by itself: timeouts, polls, cancels,
/// messages.
#include <cerrno>
#include <poll.h>
#include <utility>

#include <corering/base/assert.hpp>

#include "emulation/interpreter.hpp"
#include "emulation/opcode_rules.hpp"

namespace corering::emulation {

constexpr std::array<Interpreter::Handler, static_cast<std::size_t>(Opcode::pipe) + 1> Interpreter::handlers =
    [] {
      std::array<Handler, static_cast<std::size_t>(Opcode::pipe) + 1> table{};
      table.fill(&Interpreter::call);
      const auto at = [&table](Opcode opcode) -> Handler& { return table[static_cast<std::size_t>(opcode)]; };
      at(Opcode::nop) = &Interpreter::nop;
      at(Opcode::timeout) = &Interpreter::timeout;
      at(Opcode::link_timeout) = &Interpreter::unsupported;  // begun with the operation that it limits
      at(Opcode::timeout_remove) = &Interpreter::timeout_remove;
      at(Opcode::poll_add) = &Interpreter::poll_add;
      at(Opcode::poll_remove) = &Interpreter::poll_remove;
      at(Opcode::async_cancel) = &Interpreter::async_cancel;
      at(Opcode::msg_ring) = &Interpreter::message;
      at(Opcode::close) = &Interpreter::close;
      at(Opcode::files_update) = &Interpreter::files_update;
      at(Opcode::fixed_fd_install) = &Interpreter::install_file;
      return table;
    }();

Step Interpreter::unsupported(Submission& /*operation*/) noexcept { return Step::end(-EINVAL); }

Step Interpreter::nop(Submission& operation) noexcept {
  const bool is_told = (operation.sqe.op_flags & uapi::nop_inject_result) != 0;
  return Step::end(is_told ? static_cast<std::int32_t>(operation.sqe.len) : 0);
}

// ---- time ----

namespace {

constexpr std::int64_t nanoseconds_a_second = 1'000'000'000;
constexpr std::uint32_t clock_flags = uapi::timeout_boottime | uapi::timeout_realtime;

ClockKind clock_of(std::uint32_t flags) noexcept {
  if ((flags & uapi::timeout_realtime) != 0) return ClockKind::realtime;
  return (flags & uapi::timeout_boottime) != 0 ? ClockKind::boottime : ClockKind::monotonic;
}

/// Returns a number below 0 for a time that no clock shows.
std::int64_t plus(std::int64_t from, std::int64_t by) noexcept {
  std::int64_t sum = 0;
  return __builtin_add_overflow(from, by, &sum) ? INT64_MAX : sum;
}

std::int64_t read_time(std::uint64_t address) noexcept {
  const auto& time = *reinterpret_cast<const uapi::Timespec*>(address);
  if (time.seconds < 0 || time.nanoseconds < 0) return -1;  // more than a second of nanoseconds is allowed
  if (time.seconds >= INT64_MAX / nanoseconds_a_second - 1) return INT64_MAX;
  return plus(time.seconds * nanoseconds_a_second, time.nanoseconds);
}

}  // namespace

int Interpreter::read_timeout(Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  const std::uint32_t flags = sqe.op_flags;
  constexpr std::uint32_t not_together = uapi::timeout_abs | uapi::timeout_multishot;
  if (sqe.len != 1) return -EINVAL;
  if ((flags & clock_flags) == clock_flags || (flags & not_together) == not_together) return -EINVAL;
  if (sqe.addr == 0) return -EFAULT;
  operation.interval = read_time(sqe.addr);
  operation.clock = clock_of(flags);
  return operation.interval < 0 ? -EINVAL : 0;
}

Step Interpreter::start_timer(Submission& operation) noexcept {
  const bool is_absolute = (operation.sqe.op_flags & uapi::timeout_abs) != 0;
  // As in the kernel: whoever sets the clock does not change how long somebody waits.
  if (!is_absolute && operation.clock == ClockKind::realtime) operation.clock = ClockKind::monotonic;
  operation.deadline =
      is_absolute ? operation.interval : plus(world_->now(operation.clock), operation.interval);
  if (!timers_.add(operation)) {
    std::erase(counted_, &operation);
    return Step::end(-ENOMEM);
  }
  operation.place = Place::timed;
  return Step::pending();
}

Step Interpreter::timeout(Submission& operation) noexcept {
  const bool is_many = (operation.sqe.op_flags & uapi::timeout_multishot) != 0;
  if (operation.sqe.off != 0 && !is_many) {
    operation.target = completions_.posted() - posted_by_timeouts_ + operation.sqe.off;
    try {
      counted_.push_back(&operation);
    } catch (const std::bad_alloc&) {
      return Step::end(-ENOMEM);
    }
  }
  return start_timer(operation);
}

void Interpreter::fire(Submission& operation) noexcept {
  operation.place = Place::nowhere;
  if (operation.is_answered) {
    notify(operation);
    return pool_.give_back(operation);
  }
  if (operation.opcode() == Opcode::link_timeout) {
    CORERING_ASSERT(operation.limited != nullptr, "a limit that runs limits something");
    Submission& limited = *std::exchange(operation.limited, nullptr);
    limited.link_timeout = nullptr;
    const int result = cancel(limited);
    return end(operation, result < 0 ? result : -ETIME, 0);
  }
  if (operation.opcode() != Opcode::timeout) return settle(operation, attempt(operation));  // `later`
  std::erase(counted_, &operation);
  const bool is_many = (operation.sqe.op_flags & uapi::timeout_multishot) != 0;
  const bool is_last = !is_many || (operation.sqe.off != 0 && operation.shots + 1 >= operation.sqe.off);
  if (is_last || !post_more(operation, -ETIME, 0)) return end(operation, -ETIME, 0);
  operation.deadline =
      plus(world_->now(operation.clock), operation.interval);  // what was missed is not made up for
  if (!timers_.add(operation)) return end(operation, -ENOMEM, 0);
  operation.place = Place::timed;
}

Step Interpreter::timeout_remove(Submission& request) noexcept {
  const Sqe& sqe = request.sqe;
  if ((sqe.op_flags & (uapi::timeout_update | uapi::link_timeout_update)) != 0)
    return change_timeout(request);
  Submission* const found = table_.find(
      sqe.addr, [](const Submission& operation) { return operation.opcode() == Opcode::timeout; });
  return Step::end(found == nullptr ? -ENOENT : cancel(*found));
}

Step Interpreter::change_timeout(Submission& request) noexcept {
  const std::uint32_t flags = request.sqe.op_flags;
  const Opcode wanted = (flags & uapi::link_timeout_update) != 0 ? Opcode::link_timeout : Opcode::timeout;
  const std::int64_t time = request.sqe.off == 0 ? -1 : read_time(request.sqe.off);
  if (time < 0) return Step::end(request.sqe.off == 0 ? -EFAULT : -EINVAL);
  Submission* const found = table_.find(request.sqe.addr, [wanted](const Submission& operation) {
    return operation.opcode() == wanted && operation.place == Place::timed;
  });
  if (found == nullptr) return Step::end(-ENOENT);
  timers_.remove(*found);
  std::erase(counted_, found);  // from now on it waits for the time alone
  found->interval = time;
  found->clock = clock_of(found->sqe.op_flags);
  found->sqe.op_flags = (found->sqe.op_flags & ~uapi::timeout_abs) | (flags & uapi::timeout_abs);
  if (const Step started = start_timer(*found); started.has_ended) queue_end(*found, started.result);
  return Step::end(0);
}

// ---- polls ----

namespace {

bool is_many(const Submission& poll) noexcept { return (poll.sqe.len & uapi::poll_add_multi) != 0; }

constexpr std::uint32_t always_told = POLLERR | POLLHUP | POLLNVAL | POLLRDHUP;

}  // namespace

Step Interpreter::poll_add(Submission& operation) noexcept {
  if (const int error = resolve(operation); error < 0) return Step::end(error);
  operation.named_fd = operation.sqe.fd;
  return watch_poll(operation);
}

Step Interpreter::watch_poll(Submission& operation) noexcept {
  const std::uint32_t events = operation.sqe.op_flags | POLLRDHUP;
  const std::int32_t ready = world_->poll(operation.sqe.fd, events);
  if (ready < 0 || (ready > 0 && !is_many(operation))) return Step::end(ready);
  const int error = world_->watch(operation, operation.sqe.fd, events,
                                  is_many(operation) ? Watching::edges : Watching::once);
  if (error == -EPERM && is_many(operation) && ready > 0)
    return Step::end(ready);                       // a file is ready, and stays so
  if (error == -EPERM) return Step::end(-EINVAL);  // and what it does not show now, it never will
  if (error == -ENOMEM) return try_again(operation);
  if (error < 0) return Step::end(error);
  ++with_world_;
  operation.place = Place::watched;
  return Step::pending();
}

Step Interpreter::take_poll_report(Submission& operation, std::uint32_t events) noexcept {
  const std::uint32_t told = events & (operation.sqe.op_flags | always_told);
  if (!is_many(operation)) {
    --with_world_;
    operation.place = Place::nowhere;
    return told != 0 ? Step::end(told) : watch_poll(operation);
  }
  if (told == 0 || post_more(operation, static_cast<std::int32_t>(told), 0)) return Step::pending();
  world_->unwatch(operation);
  --with_world_;
  return Step::end(told);
}

Step Interpreter::poll_remove(Submission& request) noexcept {
  const Sqe& sqe = request.sqe;
  const std::uint32_t changes = sqe.len & (uapi::poll_update_events | uapi::poll_update_user_data);
  Submission* const found = table_.find(
      sqe.addr, [](const Submission& operation) { return operation.opcode() == Opcode::poll_add; });
  if (found == nullptr) return Step::end(-ENOENT);
  if (changes == 0) return Step::end(cancel(*found));
  const bool waits_for_memory = found->place != Place::watched;
  if (!waits_for_memory) {
    world_->unwatch(*found);
    --with_world_;
    found->place = Place::nowhere;
  }
  table_.remove(*found);
  if ((changes & uapi::poll_update_user_data) != 0) found->sqe.user_data = sqe.off;
  if ((changes & uapi::poll_update_events) != 0) {
    found->sqe.op_flags = sqe.op_flags;
    found->sqe.len = sqe.len & uapi::poll_add_multi;
  }
  const Step step = waits_for_memory ? Step::pending() : watch_poll(*found);
  if (step.has_ended) {
    queue_end(*found, step.result);
  } else {
    table_.add(*found);
  }
  return Step::end(0);
}

// ---- cancels ----

TakenBack Interpreter::take_back(Submission& operation) noexcept {
  if (operation.closes_a_slot()) return TakenBack::running;  // the slot is empty, and may be somebody else's
  return world_->take_back(operation);
}

int Interpreter::cancel(Submission& operation) noexcept {
  const bool has_part = operation.moved > 0 && keeps_part(operation.opcode());
  const std::int32_t result = has_part ? static_cast<std::int32_t>(operation.moved) : -ECANCELED;
  switch (operation.place) {
    case Place::watched:
      world_->unwatch(operation);
      --with_world_;
      break;
    case Place::timed:
      timers_.remove(operation);
      std::erase(counted_, &operation);
      break;
    case Place::lent:
      if (const TakenBack taken = take_back(operation); taken != TakenBack::given_back)
        return taken == TakenBack::running ? -EALREADY : 0;
      --with_world_;
      break;
    case Place::queued:
      // It was about to go on: a multishot, or one that waits for memory.
      if (operation.step != NextStep::go_on) return -EALREADY;
      table_.remove(operation);
      operation.step = NextStep::end;
      operation.result = result;
      return 0;
    default:
      return -ENOENT;
  }
  world_->answers_cancelled_first() ? end(operation, result, 0) : queue_end(operation, result);
  return 0;
}

namespace {

/// What a cancel asks for.
struct Wanted {
  explicit Wanted(const Sqe& sqe) noexcept
      : flags(sqe.op_flags), fd(sqe.fd), user_data(sqe.addr), opcode(static_cast<std::uint8_t>(sqe.len)) {}

  [[nodiscard]] bool by_user_data() const noexcept {
    constexpr std::uint32_t others = uapi::cancel_fd | uapi::cancel_any | uapi::cancel_op;
    return (flags & others) == 0 || (flags & uapi::cancel_user_data) != 0;
  }

  [[nodiscard]] bool is(const Submission& operation) const noexcept {
    if (operation.opcode() == Opcode::link_timeout) return false;
    if ((flags & uapi::cancel_any) != 0) return true;
    if ((flags & uapi::cancel_fd) != 0 && (!uses_file(operation.opcode()) || operation.named_fd != fd))
      return false;
    if ((flags & uapi::cancel_op) != 0 && operation.sqe.opcode != opcode) return false;
    return !by_user_data() || operation.sqe.user_data == user_data;
  }

  std::uint32_t flags;
  int fd;
  std::uint64_t user_data;
  std::uint8_t opcode;
};

}  // namespace

std::int64_t Interpreter::find_and_cancel(const Submission& request) noexcept {
  const Wanted wanted(request.sqe);
  ++cancel_round_;
  std::int64_t found = 0;
  const auto is_new = [&](const Submission& operation) {
    return operation.cancel_round != cancel_round_ && wanted.is(operation);
  };
  for (;;) {
    Submission* const next =
        wanted.by_user_data() ? table_.find(wanted.user_data, is_new) : table_.find_any(is_new);
    if (next == nullptr) break;
    next->cancel_round = cancel_round_;
    const int result = cancel(*next);
    if ((wanted.flags & (uapi::cancel_all | uapi::cancel_any)) == 0) return result;
    ++found;
  }
  return (wanted.flags & (uapi::cancel_all | uapi::cancel_any)) != 0 ? found : -ENOENT;
}

Step Interpreter::async_cancel(Submission& request) noexcept {
  const Sqe& sqe = request.sqe;
  if ((sqe.op_flags & uapi::cancel_fd) != 0) {
    const bool is_slot =
        request.has_flag(uapi::sqe_fixed_file) || (sqe.op_flags & uapi::cancel_fd_fixed) != 0;
    if (is_slot) request.sqe.fd = files_.at(static_cast<std::uint32_t>(sqe.fd));
    if (is_slot ? request.sqe.fd < 0 : world_->poll(sqe.fd, 0) < 0) return Step::end(-EBADF);
  }
  return Step::end(find_and_cancel(request));
}

// ---- messages and tables ----

namespace {

constexpr std::uint32_t message_skips_cqe = 1;
constexpr std::uint32_t message_passes_flags = 2;

bool is_sound_data(const Sqe& sqe) noexcept {
  const bool passes = (sqe.op_flags & message_passes_flags) != 0;
  return sqe.addr == uapi::msg_data && sqe.addr3 == 0 && (sqe.op_flags & message_skips_cqe) == 0 &&
         (sqe.file_index == 0 || passes);
}

}  // namespace

Step Interpreter::message(Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  if (const int error = resolve(operation); error < 0) return Step::end(error);
  if (world_->poll(sqe.fd, 0) < 0) return Step::end(-EBADF);
  if (sqe.addr == uapi::msg_send_fd) return send_file(operation);
  if (!is_sound_data(sqe)) return Step::end(-EINVAL);
  return Step::end(Inbox::send(
      sqe.fd, {.user_data = sqe.off, .res = static_cast<std::int32_t>(sqe.len), .flags = sqe.file_index}));
}

Step Interpreter::send_file(Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  if (sqe.len != 0) return Step::end(-EINVAL);
  if (sqe.fd == descriptor()) return Step::end(-EINVAL);
  const int source = files_.at(static_cast<std::uint32_t>(sqe.addr3));
  if (source < 0) return Step::end(source);
  const int copy = world_->duplicate(source, false);
  if (copy < 0) return Step::end(copy);
  const int result = Inbox::send_file(sqe.fd, {.fd = copy,
                                               .file_index = sqe.file_index,
                                               .user_data = sqe.off,
                                               .skips_cqe = (sqe.op_flags & message_skips_cqe) != 0});
  if (result < 0 && result != -EOVERFLOW) world_->close(copy);
  return Step::end(result);
}

Step Interpreter::close(Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  if (sqe.file_index == 0) return call(operation);
  return operation.has_flag(uapi::sqe_async) ? lend_close(operation)
                                             : Step::end(files_.remove(sqe.file_index - 1));
}

/// A socket that lingers keeps its close waiting, and that must not be the worker.
Step Interpreter::lend_close(Submission& operation) noexcept {
  operation.held_fd = operation.sqe.fd = files_.take(operation.sqe.file_index - 1);
  return operation.held_fd < 0 ? Step::end(operation.held_fd) : lend(operation);
}

Step Interpreter::files_update(Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  auto* const files = reinterpret_cast<std::int32_t*>(sqe.addr);
  if (sqe.off == uapi::file_index_alloc) return Step::end(files_.update_anywhere(files, sqe.len));
  return Step::end(files_.update(static_cast<std::uint32_t>(sqe.off), files, sqe.len));
}

Step Interpreter::install_file(Submission& operation) noexcept {
  const Sqe& sqe = operation.sqe;
  if (const int error = resolve(operation); error < 0) return Step::end(error);
  return Step::end(world_->duplicate(sqe.fd, (sqe.op_flags & uapi::fixed_fd_no_cloexec) != 0));
}

}  // namespace corering::emulation
