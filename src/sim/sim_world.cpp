/// sim_world.cpp — watches, helpers, and the order in which they are reported.
#include "sim/sim_world.hpp"

#include <algorithm>
#include <cerrno>

#include <corering/base/assert.hpp>

#include "sim/calls.hpp"

namespace corering::sim {

using emulation::TakenBack;
using emulation::Watching;

SimWorld::SimWorld(System& system) : system_(system) {
  const auto file = std::make_shared<RingFile>();
  file->world = this;
  descriptor_ = system_.open(file);
}

SimWorld::~SimWorld() {
  end();
  forget_reported();
  static_cast<RingFile&>(**system_.find(descriptor_)).world = nullptr;
  CORERING_ASSERT(ready_.empty() && lent_.empty(), "a ring that closes has no calls any more");
  (void)system_.close(descriptor_);
}

// ---- attempts ----

Watch* SimWorld::watch_of(const Call& call) const noexcept {
  auto* const watch = static_cast<Watch*>(call.note);
  return watch != nullptr && watch->call == &call && watch->world == this ? watch : nullptr;
}

// The numbers of new descriptors depend on how many worlds there were before, which the hash must not.
std::int32_t SimWorld::noted_result(const Call& call, const Answer& answer) const noexcept {
  if (answer.kind != Answer::Kind::done) return -EINPROGRESS;
  const Opcode opcode = opcode_of(call);
  const bool is_descriptor = opcode == Opcode::accept || opcode == Opcode::socket ||
                             opcode == Opcode::openat || opcode == Opcode::openat2;
  return is_descriptor ? system_.place_of(answer.result) : answer.result;
}

// As the kernel, it uses the file that the call has waited for, whoever has its number now.
SimWorld::Answer SimWorld::attempt(Call& call) noexcept {
  Watch* const watch = watch_of(call);
  const std::shared_ptr<Object>* const found = watch != nullptr ? &watch->object : system_.find(call.sqe.fd);
  const std::shared_ptr<Object> object = found == nullptr ? nullptr : *found;
  const Answer answer = attempt_call(system_, object, call, false);
  system_.note(Happening::Kind::call, call.sqe.opcode, call.sqe.fd, noted_result(call, answer));
  call.was_ready = false;
  if (answer.kind == Answer::Kind::done) call.moved = 0;
  return answer;
}

void SimWorld::attempt_plain(std::span<emulation::PlainCall> calls) noexcept {
  for (emulation::PlainCall& call : calls) call.trial = emulation::Trial::whole();
}

std::int32_t SimWorld::poll(int fd, std::uint32_t events) noexcept {
  const std::shared_ptr<Object>* const object = system_.find(fd);
  if (object == nullptr) return -EBADF;
  return static_cast<std::int32_t>((*object)->shown() & (events | always_shown));
}

// The peer may take its time to acknowledge what was sent.
std::int64_t SimWorld::delays_notification() noexcept {
  if (!system_.strikes(Fault::late_notification)) return 0;
  return static_cast<std::int64_t>(1 + system_.draw(Fault::late_notification, 50'000'000));
}

// ---- watching ----

int SimWorld::watch(Call& call, int fd, std::uint32_t events, Watching how) noexcept {
  Watch* watch = watch_of(call);
  if (watch == nullptr || watch->object == nullptr) {
    const std::shared_ptr<Object>* const object = system_.find(fd);
    if (object == nullptr) return -EBADF;
    if ((*object)->kind == Object::Kind::file) return -EPERM;
    if (watch == nullptr) watch = &system_.make_watch();
    watch->object = *object;
    system_.use(**object);
  }
  watch->call = &call;
  watch->world = this;
  watch->events = events;
  watch->is_edges = how == Watching::edges;
  CORERING_ASSERT(!watch->is_linked(), "a call waits for one thing at a time");
  watch->state = Watch::State::watching;
  call.note = watch;
  take_memory(*watch);
  watch->object->watches.push_back(*watch);
  system_.note(Happening::Kind::waits, call.sqe.opcode, fd, static_cast<std::int32_t>(events));
  const std::uint32_t shown = watch->object->shown() & (events | always_shown);
  if (shown != 0) shows(*watch, shown);
  return 0;
}

void SimWorld::unwatch(Call& call) noexcept {
  Watch* const watch = watch_of(call);
  if (watch == nullptr) return;
  std::erase(ready_, watch);
  std::erase(reported_, watch);
  call.note = nullptr;
  system_.give_back(*watch);
}

void SimWorld::shows(Watch& watch, std::uint32_t shown) noexcept {
  watch.shown |= shown;
  if (watch.state != Watch::State::watching || watch.is_late) return;
  if (system_.strikes(Fault::late_completion)) return report_later(watch);
  make_ready(watch);
}

void SimWorld::report_later(Watch& watch) noexcept {
  watch.is_late = true;
  const auto reports = [](System&, System::Plan& plan) {
    if (plan.watch->round != plan.number) return;
    plan.watch->is_late = false;
    plan.watch->world->make_ready(*plan.watch);
  };
  system_.plan(static_cast<std::int64_t>(1 + system_.draw(Fault::late_completion, 5'000'000)),
               {.happens = reports, .watch = &watch, .number = watch.round});
}

void SimWorld::make_ready(Watch& watch) noexcept {
  if (!watch.is_edges) watch.unlink();
  watch.state = Watch::State::ready;
  CORERING_ASSERT(watch.call != nullptr && watch.world == this,
                  "a watch that is reported has a call of this ring");
  system_.note(Happening::Kind::ready, watch.call->sqe.opcode,
               watch.object == nullptr ? -1 : watch.object->number, static_cast<std::int32_t>(watch.shown));
  const bool comes_first = !ready_.empty() && system_.strikes(Fault::completion_order);
  const std::size_t place =
      comes_first ? system_.draw(Fault::completion_order, ready_.size()) : ready_.size();
  ready_.insert(ready_.begin() + static_cast<std::ptrdiff_t>(place), &watch);
}

// ---- helpers ----

int SimWorld::lend(Call& call) noexcept {
  Watch* watch = watch_of(call);
  if (watch == nullptr) watch = &system_.make_watch();
  std::erase(reported_, watch);
  watch->call = &call;
  watch->world = this;
  CORERING_ASSERT(!watch->is_linked(), "a call that is lent waits for nothing else");
  const std::shared_ptr<Object>* const found = system_.find(call.sqe.fd);
  if (watch->object == nullptr && found != nullptr && opcode_of(call) != Opcode::close) {
    watch->object = *found;  // its file, whoever has the number when the helper comes to it
    system_.use(**found);
  }
  watch->state = Watch::State::lent;
  call.note = watch;
  take_memory(*watch);
  lent_.push_back(watch);
  const auto ends = [](System&, System::Plan& plan) {
    if (plan.watch->round == plan.number) plan.watch->world->run_lent(*plan.watch);
  };
  const std::uint64_t slowness = system_.strikes(Fault::slow_uncancellable) ? 2'000'000'000 : 200'000;
  system_.note(Happening::Kind::lent, call.sqe.opcode, call.sqe.fd);
  system_.plan(static_cast<std::int64_t>(1'000 + system_.random().below(slowness)),
               {.happens = ends, .watch = watch, .number = watch->round});
  return 0;
}

void SimWorld::run_lent(Watch& watch) noexcept {
  CORERING_ASSERT(watch.state == Watch::State::lent, "a helper ends what it was lent");
  std::erase(lent_, &watch);
  Call& call = *watch.call;
  call.ended = attempt_call(system_, watch.object, call, true);
  system_.note(Happening::Kind::call, call.sqe.opcode, call.sqe.fd, noted_result(call, call.ended));
  if (call.ended.kind == Answer::Kind::done) call.moved = 0;
  watch.events = 0;
  watch.shown = 0;
  make_ready(watch);
}

// Half of them have begun, unless nothing goes wrong.
TakenBack SimWorld::take_back(Call& call) noexcept {
  Watch* const watch = watch_of(call);
  if (watch == nullptr || watch->state != Watch::State::lent || system_.strikes(Fault::slow_uncancellable))
    return TakenBack::running;
  std::erase(lent_, watch);
  call.note = nullptr;
  system_.give_back(*watch);
  return TakenBack::given_back;
}

void SimWorld::end() noexcept {
  while (!lent_.empty()) run_lent(*lent_.back());
}

// ---- reports ----

// Time passes in here only when somebody waits inside of the kernel, which a worker of a world does not do.
int SimWorld::wait(std::optional<Duration> limit) noexcept {
  forget_reported();
  is_notified_ = false;
  const std::int64_t end =
      limit ? system_.since_begin() + std::min<std::int64_t>(limit->count(), INT64_MAX / 2) : INT64_MAX;
  while (ready_.empty() && system_.since_begin() < end) {
    const std::int64_t next = std::min(system_.next_plan().value_or(INT64_MAX), end);
    CORERING_ASSERT(next != INT64_MAX, "somebody waits in the simulated kernel for what never comes");
    system_.jump_to(std::max(next, system_.since_begin()));
    (void)system_.happen();
  }
  return 0;
}

std::size_t SimWorld::next(std::span<Report> reports) noexcept {
  forget_reported();
  std::size_t count = 0;
  for (; count < reports.size() && count < ready_.size(); ++count) fill(reports[count], *ready_[count]);
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

void SimWorld::fill(Report& report, Watch& watch) noexcept {
  CORERING_ASSERT(watch.state == Watch::State::ready, "what is reported is ready");
  report = {};
  report.call = watch.call;
  report.events = watch.shown;
  if (watch.shown == 0) report.answer = watch.call->ended;
  watch.shown = 0;
  watch.state = watch.is_edges ? Watch::State::watching : Watch::State::reported;
  if (!watch.is_edges) reported_.push_back(&watch);
}

// Their calls are attempted right after the report, if at all. Those that wait again are not forgotten.
void SimWorld::forget_reported() noexcept {
  for (Watch* const watch : reported_) {
    if (watch->state == Watch::State::reported) system_.give_back(*watch);
  }
  reported_.clear();
}

}  // namespace corering::sim
