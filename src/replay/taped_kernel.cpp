/// taped_kernel.cpp — the calls beside the ring, and who may make them.
#include "replay/taped_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <unistd.h>

#include <corering/base/assert.hpp>

#include "base/signal_handler.hpp"
#include "replay/taped_ring.hpp"

namespace corering::replay {
namespace {

int answer_of(int result) noexcept { return result < 0 ? -errno : result; }

constexpr const char* second_thread =
    "another thread has run a worker: run one worker, with run(), Worker::run() or Worker::turn()";

}  // namespace

// ---- the kernel ----

bool TapedKernel::takes_part(const char* why_not) noexcept {
  if (tape_.is_here()) return true;
  tape_.refuse(why_not);
  return false;
}

Kernel& TapedKernel::real() const noexcept {
  CORERING_ASSERT(kernel_ != nullptr, "a child process of a replayed program makes no worker");
  return *kernel_;
}

int TapedKernel::open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept {
  if (has_ring_) tape_.refuse("a second worker has begun while the first one runs");
  if (!takes_part(second_thread) || has_ring_) return real().open_ring(params, ring);
  std::unique_ptr<TapedRing> opened(new (std::nothrow) TapedRing(tape_, *this));
  if (opened == nullptr) return -ENOMEM;
  if (const int result = opened->open(kernel_, params); result < 0) return result;
  has_ring_ = true;
  ring = std::move(opened);
  return 0;
}

void TapedKernel::ring_closes() noexcept {
  CORERING_ASSERT(has_ring_, "a ring that closes was open");
  has_ring_ = false;
}

int TapedKernel::open_eventfd() noexcept {
  if (!takes_part(second_thread)) return real().open_eventfd();
  Event event{.kind = Kind::open_eventfd};
  return tape_.opened(tape_.pass(event, [this] { return real().open_eventfd(); }));
}

// Only a sleeping worker is woken. So it was another thread, or a signal handler.
int TapedKernel::wake(int eventfd) noexcept {
  tape_.refuse("another thread, or a signal handler, has woken the worker");
  return real().wake(eventfd);
}

void TapedKernel::posted() noexcept {
  if (takes_part("another thread has posted to the worker") && is_in_signal_handler())
    tape_.refuse("a signal handler has stopped the worker, or posted to it");
}

void TapedKernel::nap(Duration how_long) noexcept {
  if (!takes_part(second_thread)) return real().nap(how_long);
  Event event{.kind = Kind::nap, .words = {static_cast<std::uint64_t>(how_long.count())}, .written = {}};
  tape_.pass(event, [this, how_long] { return real().nap(how_long), 0; });
}

void TapedKernel::close(int fd) noexcept {
  if (!takes_part("another thread has closed a descriptor of the worker")) return real().close(fd);
  Event event{.kind = Kind::close};
  tape_.name_descriptor(event, fd);
  tape_.pass(event, [this, fd] { return real().close(fd), 0; });
  tape_.close_real(fd);
  tape_.closed(fd);
}

std::int32_t TapedKernel::read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept {
  if (!takes_part(second_thread)) return real().read_now(fd, into, size, offset);
  Event event{.kind = Kind::read_now};
  tape_.name_descriptor(event, fd);
  event.words[1] = size;
  event.words[2] = static_cast<std::uint64_t>(offset);
  if (tape_.has_bytes()) event.written[0] = {into, size};
  const auto result = tape_.pass(event, [&] { return real().read_now(fd, into, size, offset); });
  if (tape_.plays() && !tape_.has_bytes() && result > 0)
    tape_.clear({into, static_cast<std::size_t>(result)});
  return static_cast<std::int32_t>(result);
}

int TapedKernel::open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept {
  tape_.refuse("the worker is a guest in another event loop");
  return real().open_doorbell(ring, doorbell);
}

TimePoint TapedKernel::now() const noexcept {
  if (!tape_.is_here()) return Clock::now();
  Event event{.kind = Kind::clock};
  const auto result = tape_.pass(event, [] { return Clock::now().time_since_epoch().count(); });
  return last_ = TimePoint(Duration(result));
}

// ---- the operating system ----

template <class Real>
int TapedOutside::on_socket(Kind kind, int fd, Real real, int first, int second) noexcept {
  Event event{.kind = kind};
  tape_.name_descriptor(event, fd);
  event.words[1] = static_cast<std::uint64_t>(first);
  event.words[2] = static_cast<std::uint64_t>(second);
  return static_cast<int>(tape_.pass(event, [&real] { return answer_of(real()); }));
}

template <class Real>
int TapedOutside::make_pair(Kind kind, int* ends, Real real) noexcept {
  Event event{.kind = kind};
  event.written[0] = {ends, 2 * sizeof *ends};
  const auto result = tape_.pass(event, [&real] { return answer_of(real()); });
  if (result < 0) return static_cast<int>(result);
  ends[0] = tape_.opened(ends[0]);
  ends[1] = tape_.opened(ends[1]);
  return 0;
}

template <class Real>
int TapedOutside::name_of(Kind kind, int fd, sockaddr* name, socklen_t* length, Real real) noexcept {
  Event event{.kind = kind};
  tape_.name_descriptor(event, fd);
  event.written = {Written{name, *length}, Written{length, sizeof *length}};
  return static_cast<int>(tape_.pass(event, [&] { return answer_of(real(fd, name, length)); }));
}

int TapedOutside::socket(int family, int type) noexcept {
  Event event{.kind = Kind::socket};
  event.words = {static_cast<std::uint64_t>(family), static_cast<std::uint64_t>(type)};
  return tape_.opened(tape_.pass(event, [=] { return answer_of(::socket(family, type | SOCK_CLOEXEC, 0)); }));
}
int TapedOutside::socket_pair(int type, int* ends) noexcept {
  return make_pair(Kind::socket_pair, ends,
                   [=] { return ::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends); });
}
int TapedOutside::pipe(int* ends) noexcept {
  return make_pair(Kind::pipe, ends, [=] { return ::pipe2(ends, O_CLOEXEC); });
}
int TapedOutside::bind(int fd, const sockaddr* name, socklen_t length) noexcept {
  return on_socket(Kind::bind, fd, [=] { return ::bind(fd, name, length); });
}
int TapedOutside::listen(int fd, int backlog) noexcept {
  return on_socket(Kind::listen, fd, [=] { return ::listen(fd, backlog); }, backlog);
}
int TapedOutside::connect(int fd, const sockaddr* name, socklen_t length) noexcept {
  return on_socket(Kind::connect, fd, [=] { return ::connect(fd, name, length); });
}
int TapedOutside::set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept {
  return on_socket(
      Kind::set_option, fd, [=] { return ::setsockopt(fd, level, name, value, length); }, level, name);
}
int TapedOutside::get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  Event event{.kind = Kind::get_option};
  tape_.name_descriptor(event, fd);
  event.words[1] = static_cast<std::uint64_t>(level);
  event.words[2] = static_cast<std::uint64_t>(name);
  event.written = {Written{value, *length}, Written{length, sizeof *length}};
  return static_cast<int>(
      tape_.pass(event, [&] { return answer_of(::getsockopt(fd, level, name, value, length)); }));
}
int TapedOutside::local_name(int fd, sockaddr* name, socklen_t* length) noexcept {
  return name_of(Kind::local_name, fd, name, length, ::getsockname);
}
int TapedOutside::peer_name(int fd, sockaddr* name, socklen_t* length) noexcept {
  return name_of(Kind::peer_name, fd, name, length, ::getpeername);
}

// After the end, what was opened before is closed by whoever has it.
int TapedOutside::close(int fd) noexcept {
  if (!tape_.has_opened(fd) || !tape_.is_mine()) return answer_of(::close(fd));
  if (tape_.has_played_all()) return 0;
  const int result = on_socket(Kind::close, fd, [fd] { return ::close(fd); });
  tape_.closed(fd);
  return result;
}

TimePoint TapedOutside::now() const noexcept {
  Event event{.kind = Kind::clock};
  return TimePoint(Duration(tape_.pass(event, [] { return Clock::now().time_since_epoch().count(); })));
}

// Only worlds are asked.
void TapedOutside::wait_for(bool (*has_come)(const void*), const void* what) noexcept {
  CORERING_ASSERT(has_come(what), "a thread that is recorded waits as any other");
}

}  // namespace corering::replay
