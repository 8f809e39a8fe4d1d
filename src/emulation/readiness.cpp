/// readiness.cpp — registers descriptors with epoll(7), and hands out what they show.
#include "emulation/readiness.hpp"

#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <corering/base/assert.hpp>

#include "emulation/system_call.hpp"

namespace corering::emulation {
namespace {

constexpr std::uint64_t wake_tag = ~std::uint64_t{0};
constexpr std::uint32_t always = POLLERR | POLLHUP;  // are reported whether they are asked for or not
constexpr std::uint32_t poll_events = 0x3fff;        // without the flags that epoll(7) has besides

std::uint64_t tag_of(int fd, std::uint32_t generation) noexcept {
  return static_cast<std::uint32_t>(fd) | std::uint64_t{generation} << 32;
}

// A poll takes nothing away, so it need not wait for its turn.
bool only_polls(const Call& call) noexcept {
  return call.sqe.opcode == static_cast<std::uint8_t>(Opcode::poll_add);
}

}  // namespace

int Readiness::open() noexcept {
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.is_open()) return -errno;
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.is_open()) return -errno;
  // Each write is reported once, so nobody has to read it.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.u64 = wake_tag}};
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0 ? 0 : -errno;
}

// ---- watching ----

int Readiness::watch(Call& call, int fd, std::uint32_t events, Watching how) noexcept {
  CORERING_DEBUG_ASSERT(!call.is_linked(), "a call waits for one thing at a time");
  events &= poll_events;
  return how == Watching::once ? watch_once(call, fd, events) : watch_edges(call, fd, events);
}

int Readiness::watch_once(Call& call, int fd, std::uint32_t events) noexcept {
  Record* const record = table_.make(fd);
  if (record == nullptr) return fd < 0 ? -EBADF : -ENOMEM;
  if (const int failed = arm(*record, fd, events); failed != 0) return failed;
  call.ended = {.fd = fd, .events = events};
  record->watchers.push_back(call);
  return 0;
}

// A duplicate has a registration of its own, and keeps the file for as long as it is watched.
int Readiness::watch_edges(Call& call, int fd, std::uint32_t events) noexcept {
  const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return -errno;
  Record* const record = table_.make(duplicate);
  int failed = -ENOMEM;
  if (record != nullptr) {
    forget(duplicate);
    failed = control(EPOLL_CTL_ADD, *record, duplicate, events | EPOLLET);
  }
  if (failed != 0) {
    ::close(duplicate);
    return failed;
  }
  CORERING_ASSERT(record->edges_of == nullptr, "a new duplicate belongs to nobody yet");
  record->edges_of = &call;
  call.ended = {.fd = duplicate, .events = events};
  return 0;
}

void Readiness::unwatch(Call& call) noexcept {
  call.unlink();
  Record* const record = table_.find(call.ended.fd);
  if (record != nullptr && record->edges_of == &call) {
    const int duplicate = call.ended.fd;
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, duplicate, nullptr);
    forget(duplicate);
    ::close(duplicate);
  }
  call.ended = {};
}

// Registers the number for what its watchers want and for `events`.
int Readiness::arm(Record& record, int fd, std::uint32_t events) noexcept {
  if (record.is_registered) {
    const std::uint32_t wanted = record.wanted | events;
    const int result = control(EPOLL_CTL_MOD, record, fd, wanted | EPOLLONESHOT);
    if (result == 0) record.wanted = wanted;
    if (result != -ENOENT) return result;
    orphan(record);  // the number has got another owner
    record.forget_hints();
  }
  ++record.generation;
  int result = control(EPOLL_CTL_ADD, record, fd, events | EPOLLONESHOT);
  if (result == -EEXIST) result = control(EPOLL_CTL_MOD, record, fd, events | EPOLLONESHOT);
  if (result == 0) record.wanted = events;
  return result;
}

int Readiness::control(int what, Record& record, int fd, std::uint32_t events) noexcept {
  epoll_event event{.events = events, .data = {.u64 = tag_of(fd, record.generation)}};
  const auto failed =
      static_cast<int>(system_call(SYS_epoll_ctl, epoll_.get(), what, fd, as_argument(&event)));
  if (failed != 0) return failed;
  record.is_registered = true;
  count_armed(record, true);
  return 0;
}

void Readiness::count_armed(Record& record, bool armed) noexcept {
  CORERING_ASSERT(armed || !record.is_armed || armed_ > 0, "what is armed has been counted");
  if (record.is_armed != armed) armed ? ++armed_ : --armed_;
  record.is_armed = armed;
}

void Readiness::orphan(Record& record) noexcept {
  while (!record.watchers.empty()) {
    Call& call = record.watchers.pop_front();
    call.ended = {};
    orphans_.push_back(call);
  }
  ++record.generation;
  record.is_registered = false;
  record.wanted = 0;
  count_armed(record, false);
}

void Readiness::forget(int fd) noexcept {
  Record* const record = table_.find(fd);
  if (record == nullptr) return;
  orphan(*record);
  record->edges_of = nullptr;
  record->forget_hints();
}

// ---- waiting ----

void Readiness::notify() noexcept {
  if (notified_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

int Readiness::wait(std::optional<Duration> limit) noexcept {
  if (!ready_.empty()) limit = Duration::zero();
  const bool only_looks = limit.has_value() && *limit <= Duration::zero();
  if (only_looks && armed_ == 0 && !notified_.load(std::memory_order_relaxed)) return 0;
  const int count = wait_for_events(limit);
  if (count < 0) return count;
  CORERING_ASSERT(static_cast<std::size_t>(count) <= events_.size(),
                  "the kernel fills the room it was given");
  for (int i = 0; i < count; ++i) take(events_[static_cast<std::size_t>(i)]);
  return 0;
}

int Readiness::wait_for_events(std::optional<Duration> limit) noexcept {
  const int room = static_cast<int>(events_.size());
  if (limit.has_value() && *limit > Duration::zero()) return wait_precisely(*limit);
  const int count = ::epoll_wait(epoll_.get(), events_.data(), room, limit.has_value() ? 0 : -1);
  return count < 0 ? -errno : count;
}

namespace {

int in_milliseconds(Duration limit) noexcept {
  const auto most = std::chrono::milliseconds(INT_MAX);
  return static_cast<int>(
      (limit > most ? most : std::chrono::ceil<std::chrono::milliseconds>(limit)).count());
}

}  // namespace

int Readiness::wait_precisely(Duration limit) noexcept {
  const int room = static_cast<int>(events_.size());
  if (has_pwait2_) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
    const uapi::Timespec time{.seconds = seconds.count(), .nanoseconds = (limit - seconds).count()};
    const long count = ::syscall(SYS_epoll_pwait2, epoll_.get(), events_.data(), room, &time, nullptr, 0);
    if (count >= 0) return static_cast<int>(count);
    if (errno != ENOSYS && errno != EPERM) return -errno;
    has_pwait2_ = false;  // an older kernel, or a filter that does not know the call
  }
  const int count = ::epoll_wait(epoll_.get(), events_.data(), room, in_milliseconds(limit));
  return count < 0 ? -errno : count;
}

void Readiness::take(const epoll_event& event) noexcept {
  const std::uint64_t tag = event.data.u64;
  if (tag == wake_tag) {
    // What was written before the flag was set is seen by whoever reads after this.
    (void)notified_.exchange(false, std::memory_order_acq_rel);
    return;
  }
  const int fd = static_cast<int>(static_cast<std::uint32_t>(tag));
  Record* const record = table_.find(fd);
  CORERING_ASSERT(record != nullptr, "what is registered has a record");
  if (record->generation != tag >> 32) return;  // of an earlier owner of the number
  if (record->edges_of != nullptr) return report_edges(*record, event.events);
  report(*record, fd, event.events);
}

// Calls that take something away have their turn one after the other: when the first has taken all there is,
// the next one keeps waiting. If something is left, it is reported again.
void Readiness::report(Record& record, int fd, std::uint32_t shown) noexcept {
  CORERING_ASSERT(record.is_registered, "only what is registered has something to report");
  count_armed(record, false);
  const bool concerns_all = (shown & always) != 0;
  std::uint32_t taken = 0;
  std::uint32_t wanted = 0;
  record.watchers.for_each([&](Call& call) {
    const std::uint32_t hit = (call.ended.events | always) & shown;
    const bool has_its_turn = concerns_all || only_polls(call) || (hit & taken) == 0;
    if (hit == 0 || !has_its_turn) {
      wanted |= call.ended.events;
      return;
    }
    if (!only_polls(call)) taken |= hit;
    call.unlink();
    call.ended.result = static_cast<std::int32_t>(hit);
    ready_.push_back(call);
  });
  record.wanted = wanted;
  if (!record.watchers.empty() && control(EPOLL_CTL_MOD, record, fd, wanted | EPOLLONESHOT) != 0) {
    orphan(record);
  }
}

void Readiness::report_edges(Record& record, std::uint32_t shown) noexcept {
  CORERING_ASSERT(record.watchers.empty(), "a duplicate is watched by its owner only");
  Call& call = *record.edges_of;
  call.ended.result |= static_cast<std::int32_t>(shown);
  if (!call.is_linked()) ready_.push_back(call);
}

Call* Readiness::next(std::uint32_t& shown) noexcept {
  if (ready_.empty()) return nullptr;
  Call& call = ready_.pop_front();
  shown = static_cast<std::uint32_t>(call.ended.result);
  call.ended.result = 0;
  const Record* const record = table_.find(call.ended.fd);
  if (record == nullptr || record->edges_of != &call) call.ended = {};
  return &call;
}

}  // namespace corering::emulation
