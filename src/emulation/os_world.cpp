/// os_world.cpp — brings together what stands for the kernel of an emulated ring.
#include "emulation/os_world.hpp"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <new>
#include <unistd.h>

#include <corering/base/assert.hpp>
#include <corering/base/process_generation.hpp>

#include "emulation/os_calls.hpp"
#include "emulation/plain_calls.hpp"

namespace corering::emulation {

OsWorld::OsWorld(std::size_t most_helpers) noexcept
    : made_in_(process_generation()), helpers_(ended_, most_helpers), futexes_(ended_) {}

OsWorld::~OsWorld() {
  if (process_generation() != made_in_) {
    futexes_.leave();
    return;
  }
  end();
  helpers_.~Helpers();
  futexes_.~FutexWaits();
}

Answer OsWorld::attempt(Call& call) noexcept {
  if (call.sqe.opcode == static_cast<std::uint8_t>(Opcode::close)) readiness_.forget(call.sqe.fd);
  const Answer answer = attempt_call(readiness_.descriptors(), call);
  call.was_ready = false;
  if (answer.kind == Answer::Kind::done) call.moved = 0;
  return answer;
}

std::int32_t OsWorld::poll(int fd, std::uint32_t events) noexcept { return shown_events(fd, events); }

int OsWorld::watch(Call& call, int fd, std::uint32_t events, Watching how) noexcept {
  const int failed = readiness_.watch(call, fd, events, how);
  if (failed != 0) let_go_of_pidfd(call);
  return failed;
}

void OsWorld::unwatch(Call& call) noexcept {
  readiness_.unwatch(call);
  let_go_of_pidfd(call);
}

int OsWorld::lend(Call& call) noexcept {
  if (call.sqe.opcode == static_cast<std::uint8_t>(Opcode::close)) readiness_.forget(call.sqe.fd);
  return FutexWaits::handles(call) ? futexes_.lend(call) : helpers_.lend(call);
}

TakenBack OsWorld::take_back(Call& call) noexcept {
  return FutexWaits::handles(call) ? futexes_.take_back(call) : helpers_.take_back(call);
}

int OsWorld::wait(std::optional<Duration> limit) noexcept {
  return readiness_.wait(ended_.any() ? Duration::zero() : limit);
}

// Only returns once; see system_call.hpp.
void OsWorld::attempt_plain(std::span<PlainCall> calls) noexcept {
  DescriptorRecords& descriptors = readiness_.descriptors();
  for (PlainCall& call : calls) call.trial = plain::attempt(descriptors, call.fd, *call.sqe, false);
}

std::size_t OsWorld::next(std::span<Report> reports) noexcept {
  std::size_t count = 0;
  while (count < reports.size() && next_ready(reports[count])) ++count;
  while (count < reports.size() && next_ended(reports[count])) ++count;
  return count;
}

[[gnu::always_inline]] inline bool OsWorld::next_ready(Report& report) noexcept {
  report = {};
  report.call = readiness_.next(report.events);
  if (report.call == nullptr) return false;
  Call& call = *report.call;
  if (!call.is_plain) {
    let_go_of_pidfd(call);
  } else if (call.moved == 0) {
    const Trial trial = plain::attempt(readiness_.descriptors(), call.sqe.fd, call.sqe, true);
    report.was_tried = !trial.is(Trial::Kind::whole);
    if (report.was_tried) report.answer = trial.answer(call.sqe.fd);
    call.moved = trial.moved();
  }
  return true;
}

bool OsWorld::next_ended(Report& report) noexcept {
  report = {};
  report.call = ended_.pop();
  if (report.call == nullptr) return false;
  report.answer = report.call->ended;
  CORERING_ASSERT(report.answer.kind != Answer::Kind::helper, "a helper does not ask for a helper");
  if (says_hints_are_wrong(*report.call)) forget_hints(*report.call);
  if (report.answer.kind == Answer::Kind::done) report.call->moved = 0;
  return true;
}

std::int64_t OsWorld::now(ClockKind clock) const noexcept {
  static constexpr clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME};
  timespec time{};
  ::clock_gettime(clocks[static_cast<std::size_t>(clock)], &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

int OsWorld::duplicate(int fd, bool inherited) noexcept {
  const int made = ::fcntl(fd, inherited ? F_DUPFD : F_DUPFD_CLOEXEC, 0);
  return made < 0 ? -errno : made;
}

void OsWorld::close(int fd) noexcept {
  readiness_.forget(fd);
  ::close(fd);
}

void OsWorld::end() noexcept {
  futexes_.end();
  helpers_.end();
}

void OsWorld::forget_hints(Call& call) noexcept {
  call.note = nullptr;
  if (auto* const record = readiness_.descriptors().find(call.sqe.fd); record != nullptr)
    record->forget_hints();
}

// Whoever waits for a child again opens another one.
void OsWorld::let_go_of_pidfd(Call& call) noexcept {
  if (const int pidfd = calls::pidfd_of(call); pidfd >= 0) {
    call.note = nullptr;
    close(pidfd);
  }
}

std::unique_ptr<World> make_os_world(int& error, std::size_t most_helpers) noexcept {
  std::unique_ptr<OsWorld> world(new (std::nothrow) OsWorld(most_helpers));
  error = world == nullptr ? -ENOMEM : world->open();
  if (error != 0) return nullptr;
  return world;
}

}  // namespace corering::emulation
