/// watchdog.cpp — a thread that waits for whichever comes first.
#include "watchdog.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <system_error>

namespace iotrace {

using corering::Clock;
using corering::Duration;
using corering::TimePoint;

namespace {

corering::Fd opened(int descriptor) {
  if (descriptor < 0)
    throw std::system_error(errno, std::system_category(), "no descriptor for the watchdog");
  return corering::Fd(descriptor);
}

}  // namespace

HeldSignals::HeldSignals() {
  ::sigemptyset(&signals_);
  ::sigaddset(&signals_, SIGINT);
  ::sigaddset(&signals_, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  descriptor_ = opened(::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
}

// A signal that came after the end has got what it wanted.
HeldSignals::~HeldSignals() {
  signalfd_siginfo taken{};
  while (::read(descriptor_.get(), &taken, sizeof taken) > 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void HeldSignals::take() noexcept {
  signalfd_siginfo taken{};
  if (::read(descriptor_.get(), &taken, sizeof taken) == sizeof taken)
    taken_ = static_cast<int>(taken.ssi_signo);
}

Watchdog::Watchdog(HeldSignals& signals, corering::Worker& worker, Duration patience)
    : signals_(signals),
      patience_(patience),
      finished_(opened(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      deadline_(next_deadline()),
      thread_([this, &worker] { watch(worker); }) {}

Watchdog::~Watchdog() {
  ::eventfd_write(finished_.get(), 1);
  thread_.join();
}

TimePoint Watchdog::next_deadline() const noexcept { return Clock::now() + patience_; }

void Watchdog::watch(corering::Worker& worker) {
  std::array<pollfd, 2> waits = {pollfd{.fd = finished_.get(), .events = POLLIN, .revents = 0},
                                 pollfd{.fd = signals_.descriptor(), .events = POLLIN, .revents = 0}};
  while (signals_.taken() == 0) {
    const TimePoint deadline = deadline_.load(std::memory_order_relaxed);
    const Duration left = std::max(deadline - Clock::now(), Duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    const int ready = ::ppoll(waits.data(), waits.size(), &limit, nullptr);
    if (ready > 0 && waits[0].revents != 0) return;
    if (ready > 0) signals_.take();
    if (ready == 0 && deadline_.load(std::memory_order_relaxed) == deadline) {
      timed_out_ = true;
      break;
    }
  }
  worker.request_stop();
  // Should the worker not end, the next signal ends the program: this thread takes it.
  ::pthread_sigmask(SIG_UNBLOCK, &signals_.signals(), nullptr);
  ::poll(waits.data(), 1, -1);
}

}  // namespace iotrace
