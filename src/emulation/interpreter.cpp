/// interpreter.cpp — from an SQE to its CQE: chains, the queue, and waiting.
#include "emulation/interpreter.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <corering/base/assert.hpp>

#include "emulation/moments.hpp"
#include "emulation/opcode_rules.hpp"

namespace corering::emulation {
namespace {

/// After so many CQEs the world is looked at, although the enters have enough CQEs by themselves.
constexpr std::uint64_t most_between_looks = 32;

bool is_limit(const Submission* link) noexcept {
  return link != nullptr && link->opcode() == Opcode::link_timeout;
}

bool is_timeout(const Submission& operation) noexcept { return operation.opcode() == Opcode::timeout; }

}  // namespace

int Interpreter::open(std::uint32_t cq_entries, std::uint32_t* sq_flags) noexcept {
  if (!table_.open()) return -ENOMEM;
  if (const int error = completions_.open(cq_entries, sq_flags); error < 0) return error;
  return inbox_.open(world_->descriptor());
}

// ---- taking SQEs ----

bool Interpreter::take(const Sqe& sqe) noexcept {
  if (plain_count_ > 0) try_plain();
  return take_one(sqe);
}

bool Interpreter::take_one(const Sqe& sqe) noexcept {
  record(trace::Kind::emulation_took, sqe);
  Submission* const operation = pool_.make(sqe);
  if (operation == nullptr) {
    completions_.post({.user_data = sqe.user_data, .res = -ENOMEM, .flags = 0});
    return false;
  }
  operation->skips_cqe = operation->has_flag(uapi::sqe_cqe_skip_success);
  const int error = check(*operation);
  operation->notifies = error != -EACCES && notifies(sqe);
  if (error < 0) fail(*operation, error);
  if (chain_ == nullptr && !operation->is_linked_on()) {
    begin(*operation);
  } else {
    add_to_chain(*operation);
  }
  return error == 0;
}

/// Also reads the time of a timeout: it may be gone when the operation begins.
int Interpreter::check(Submission& operation) noexcept {
  if (!restrictions_.allow(operation.sqe)) return -EACCES;
  if (const int error = error_of(operation.sqe); error < 0) return error;
  if (is_timeout(operation)) return read_timeout(operation);
  if (operation.opcode() != Opcode::link_timeout) return 0;
  if (chain_ == nullptr || is_limit(chain_end_)) return -EINVAL;
  return operation.sqe.off != 0 ? -EINVAL : read_timeout(operation);
}

void Interpreter::fail(Submission& operation, std::int32_t result) noexcept {
  operation.result = result;
  note_failure(operation, result);
}

void Interpreter::add_to_chain(Submission& operation) noexcept {
  operation.place = Place::chained;
  if (chain_ == nullptr) {
    chain_ = &operation;
  } else {
    chain_end_->next_link = &operation;
    // One that is wrong in itself makes the whole chain end before it has begun.
    if (operation.has_failed && !chain_->has_failed) fail(*chain_, -ECANCELED);
  }
  chain_end_ = &operation;
  if (!operation.is_linked_on()) begin_chain();
}

void Interpreter::try_plain() noexcept {
  const std::span calls(plain_.data(), std::exchange(plain_count_, 0));
  world_->attempt_plain(calls);
  for (const PlainCall& call : calls)
    call.trial.is(Trial::Kind::ended) ? post_plain(*call.sqe, call.trial.result) : go_on(call);
}

void Interpreter::post_plain(const Sqe& sqe, std::int32_t result) noexcept {
  completions_.post({.user_data = sqe.user_data, .res = result, .flags = 0});
  ++plain_posted_;
  note_posted();
}

/// It waits, or turned out not to be plain.
void Interpreter::go_on(const PlainCall& call) noexcept {
  Submission* const operation = pool_.make(*call.sqe);
  if (operation == nullptr)
    return post_plain(*call.sqe, call.trial.moved() > 0 ? call.trial.result : -ENOMEM);
  operation->sqe.fd = call.fd;
  operation->moved = call.trial.moved();
  operation->is_plain = true;
  remember(*operation);
  settle(*operation, call.trial.is(Trial::Kind::whole) ? attempt(*operation)
                                                       : wait_for(*operation, call.trial.answer(call.fd)));
}

void Interpreter::begin_chain() noexcept {
  Submission& first = *std::exchange(chain_, nullptr);
  CORERING_DEBUG_ASSERT(first.place == Place::chained, "a chain begins with its first link");
  chain_end_ = nullptr;
  begin(first);
}

// ---- a life ----

void Interpreter::begin(Submission& operation) noexcept {
  operation.place = Place::nowhere;
  if (operation.has_failed) return end(operation, operation.result, 0);
  adopt_link_timeout(operation);
  settle(operation, (this->*handlers[operation.sqe.opcode])(operation));
}

void Interpreter::adopt_link_timeout(Submission& operation) noexcept {
  Submission* const next = operation.next_link;
  if (!is_limit(next)) return;
  operation.link_timeout = next;
  next->limited = &operation;
  operation.next_link = std::exchange(next->next_link, nullptr);
}

void Interpreter::settle(Submission& operation, const Step& step) noexcept {
  if (step.has_ended) return end(operation, step.result, step.flags);
  table_.add(operation);
  Submission* const limit = operation.link_timeout;
  if (limit == nullptr || limit->place != Place::chained) return;
  limit->place = Place::nowhere;
  const Step armed = start_timer(*limit);
  if (!armed.has_ended) return table_.add(*limit);
  operation.link_timeout = limit->limited = nullptr;
  end(*limit, armed.result, 0);
}

void Interpreter::end(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept {
  CORERING_DEBUG_ASSERT(!operation.is_linked(), "what ends is not with the world any more");
  table_.remove(operation);
  operation.place = Place::nowhere;
  if (operation.chosen.count > 0 && operation.chosen.is_taken) flags |= buffer_rings_.commit(operation, 0);
  note_failure(operation, result);
  if (operation.link_timeout != nullptr) end_limit(operation);
  if (operation.held_fd >= 0) world_->close(std::exchange(operation.held_fd, -1));
  answer(operation, result, flags);
  follow_links(operation);
  if (!operation.notifies || !notifies_later(operation)) pool_.give_back(operation);
}

void Interpreter::end_limit(Submission& operation) noexcept {
  Submission& limit = *std::exchange(operation.link_timeout, nullptr);
  CORERING_ASSERT(limit.place == Place::timed || limit.place == Place::chained,
                  "a limit runs, or has not begun");
  if (limit.place == Place::timed) timers_.remove(limit);
  limit.limited = nullptr;
  queue_end(limit, -ECANCELED);
}

void Interpreter::note_failure(Submission& operation, std::int32_t result) noexcept {
  if (operation.has_failed) return;
  operation.has_failed = fails(operation, result);
  if (!operation.has_failed || !operation.skips_cqe) return;
  operation.skips_cqe = false;
  operation.skips_cqes_of_links = true;
}

void Interpreter::answer(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept {
  if (operation.notifies)
    return post(operation, result, operation.hides_notification ? flags : flags | uapi::cqe_more);
  if (!operation.skips_cqe) post(operation, result, flags);
}

void Interpreter::notify(const Submission& operation) noexcept {
  const bool reports = (operation.sqe.ioprio & uapi::send_zc_report_usage) != 0;
  post(operation, reports ? static_cast<std::int32_t>(uapi::notif_usage_zc_copied) : 0, uapi::cqe_notif);
}

// It is in no table by then: a cancel does not find it, as in the kernel.
bool Interpreter::notifies_later(Submission& operation) noexcept {
  CORERING_DEBUG_ASSERT(!operation.is_listed, "what has been answered is in no table");
  operation.is_answered = true;
  operation.clock = ClockKind::monotonic;
  operation.deadline = world_->delays_notification();
  if (operation.deadline > 0) {
    operation.deadline += world_->now(operation.clock);
    operation.place = Place::timed;
    if (timers_.add(operation)) return true;
    operation.place = Place::nowhere;
  }
  notify(operation);
  return false;
}

void Interpreter::follow_links(Submission& operation) noexcept {
  Submission* const next = operation.next_link;
  if (next == nullptr) return;
  if (operation.has_failed && !operation.has_flag(uapi::sqe_io_hardlink)) return cancel_links(operation);
  operation.next_link = nullptr;
  queue(*next, NextStep::begin);
}

void Interpreter::cancel_links(Submission& failed) noexcept {
  for (Submission* link = std::exchange(failed.next_link, nullptr); link != nullptr;) {
    Submission* const next = std::exchange(link->next_link, nullptr);
    link->skips_cqe = failed.skips_cqes_of_links;
    link->hides_notification = true;
    queue_end(*link, link->has_failed ? link->result : -ECANCELED);
    link->has_failed = true;
    link = next;
  }
}

void Interpreter::post(const Submission& operation, std::int32_t result, std::uint32_t flags) noexcept {
  if (is_timeout(operation)) ++posted_by_timeouts_;
  completions_.post({.user_data = operation.sqe.user_data, .res = result, .flags = flags});
  record_posted(operation, result, flags);
  note_posted();
}

bool Interpreter::post_more(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept {
  if (world_->ends_multishot() ||
      !completions_.post_more(
          {.user_data = operation.sqe.user_data, .res = result, .flags = flags | uapi::cqe_more}))
    return false;
  record_posted(operation, result, flags | uapi::cqe_more);
  ++operation.shots;
  if (is_timeout(operation)) ++posted_by_timeouts_;
  note_posted();
  return true;
}

void Interpreter::note_posted() noexcept {
  if (!counted_.empty()) [[unlikely]]
    end_counted();
}

void Interpreter::end_counted() noexcept {
  const std::uint64_t count = completions_.posted() - posted_by_timeouts_;
  std::erase_if(counted_, [this, count](Submission* waiting) {
    if (waiting->target > count) return false;
    if (waiting->place == Place::timed) timers_.remove(*waiting);
    queue_end(*waiting, 0);
    return true;
  });
}

// ---- the queue ----

void Interpreter::queue(Submission& operation, NextStep step) noexcept {
  CORERING_DEBUG_ASSERT(operation.place != Place::queued, "an operation is queued once");
  operation.place = Place::queued;
  operation.step = step;
  operation.queue_next = nullptr;
  (queue_ == nullptr ? queue_ : queue_end_->queue_next) = &operation;
  queue_end_ = &operation;
}

void Interpreter::queue_end(Submission& operation, std::int32_t result, std::uint32_t flags) noexcept {
  table_.remove(operation);
  operation.result = result;
  operation.result_flags = flags;
  queue(operation, NextStep::end);
}

void Interpreter::run_queue() noexcept {
  Submission* const last = queue_end_;
  for (bool more = queue_ != nullptr; more;) {
    Submission& operation = *queue_;
    more = &operation != last;
    queue_ = operation.queue_next;
    operation.place = Place::nowhere;
    if (operation.step == NextStep::end) {
      end(operation, operation.result, operation.result_flags);
    } else if (operation.step == NextStep::begin) {
      begin(operation);
    } else {
      settle(operation, go_on(operation));
    }
  }
}

Step Interpreter::go_on(Submission& operation) noexcept {
  return operation.opcode() == Opcode::poll_add ? watch_poll(operation) : attempt(operation);
}

/// There was no memory for its wait. It is not ended: nobody but a loop would know what to do then.
Step Interpreter::try_again(Submission& operation) noexcept {
  is_short_of_memory_ = true;
  queue(operation, NextStep::go_on);
  return Step::pending();
}

void Interpreter::take_mail() noexcept {
  if (!inbox_.has_mail()) return;
  const auto has_room = [this](std::size_t count) noexcept {
    const bool is_there = completions_.make_room(most_posts() + count);
    is_short_of_memory_ = is_short_of_memory_ || !is_there;
    return is_there;
  };
  for (const Cqe& message : inbox_.take(has_room)) {
    completions_.post(message);
    note_posted();
  }
}

void Interpreter::take_report(const Report& report) noexcept {
  auto& operation = static_cast<Submission&>(*report.call);
  CORERING_ASSERT(with_world_ > 0, "the world reports what it has been given");
  if (operation.opcode() == Opcode::poll_add)
    return settle(operation, take_poll_report(operation, report.events));
  --with_world_;
  if (operation.place == Place::watched) {
    operation.place = Place::nowhere;
    operation.was_ready = !report.was_tried;
    return settle(operation, report.was_tried ? wait_for(operation, report.answer) : attempt(operation));
  }
  operation.place = Place::nowhere;
  if (report.answer.kind != Answer::Kind::done) return settle(operation, wait_for(operation, report.answer));
  note_closed(operation, report.answer);
  if (!is_multishot(operation)) return settle(operation, conclude(operation, report.answer.result));
  const std::optional<Step> step = shot(operation, report.answer.result);
  settle(operation, step ? *step : attempt(operation));
}

void Interpreter::take_reports() noexcept {
  std::array<Report, 32> reports;
  for (std::size_t count = reports.size(); count == reports.size();) {
    count = world_->next(reports);
    for (const Report& report : std::span(reports).first(count)) take_report(report);
  }
}

void Interpreter::fire_timers() noexcept {
  if (timers_.empty()) return;
  while (Submission* const due = timers_.pop_due()) fire(*due);
}

void Interpreter::make_visible() noexcept {
  take_mail();
  fire_timers();
  for (int rounds = 0; queue_ != nullptr && rounds < 4; ++rounds) run_queue();
  completions_.flush();
}

// ---- waiting ----

int Interpreter::look(std::optional<Duration> limit) noexcept {
  if (std::exchange(is_short_of_memory_, false)) {
    limit = std::min(limit.value_or(memory_nap), memory_nap);
  } else if (queue_ != nullptr) {
    limit = Duration::zero();
  }
  if (const auto timer = timers_.until_next(); timer) limit = limit ? std::min(*limit, *timer) : *timer;
  const int result = world_->wait(limit);
  take_reports();
  make_visible();
  return result;
}

/// If this enter has brought CQEs by plain calls. Whoever enters and gets nothing new, or only yields, wants
/// to know what has happened.
bool Interpreter::may_spare_a_look() const noexcept {
  return with_world_ == 0 ||
         (plain_posted_ != plain_before_ && plain_posted_ - plain_at_look_ < most_between_looks);
}

std::int64_t Interpreter::end_of(std::optional<Duration> limit) const noexcept {
  if (!limit) return INT64_MAX;
  const std::int64_t now = world_->now(ClockKind::monotonic);
  return limit->count() > INT64_MAX - now ? INT64_MAX : now + limit->count();
}

int Interpreter::wait_for_enough(std::uint32_t least, std::int64_t until) noexcept {
  const std::uint64_t timeouts = posted_by_timeouts_;
  for (;;) {
    std::optional<Duration> rest;
    if (until != INT64_MAX)
      rest = Duration(std::max<std::int64_t>(until - world_->now(ClockKind::monotonic), 0));
    const int result = look(rest);
    // As in the kernel, a timeout ends the wait for whatever number.
    if (completions_.ready() >= least || posted_by_timeouts_ != timeouts) return 0;
    if (result < 0 || rest == Duration::zero()) return result < 0 ? result : -ETIME;
  }
}

int Interpreter::gather(std::uint32_t least, std::optional<Duration> limit) noexcept {
  least = std::min(least, completions_.entries());
  make_visible();
  const bool has_enough = completions_.ready() >= least;
  const bool spares = has_enough && may_spare_a_look();
  int result = 0;
  if (!spares) result = has_enough ? look(Duration::zero()) : wait_for_enough(least, end_of(limit));
  plain_before_ = plain_posted_;
  if (!spares) plain_at_look_ = plain_posted_;
  return has_enough || completions_.ready() > 0 ? 0 : result;
}

}  // namespace corering::emulation
