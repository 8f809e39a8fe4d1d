/// doorbell.cpp — the operating system's doorbell: one epoll set, so that one descriptor stands for two.
#include <algorithm>
#include <cerrno>
#include <new>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <corering/base/assert.hpp>
#include <corering/base/fd.hpp>
#include <corering/uring/doorbell.hpp>

namespace corering {
namespace {

class SystemDoorbell final : public Doorbell {
 public:
  int open(int ring) noexcept {
    set_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!set_.is_open()) return -errno;
    timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!timer_.is_open()) return -errno;
    return add(ring) && add(timer_.get()) ? 0 : -errno;
  }

  int descriptor() const noexcept override { return set_.get(); }

  // To set the timer also takes back that it was readable, so nobody ever has to read it.
  void ring_after(std::optional<Duration> delay) noexcept override {
    const Duration left = delay ? std::max(*delay, Duration(1)) : Duration::zero();  // zero disarms it
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    itimerspec when{};
    when.it_value = {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
    const int set = ::timerfd_settime(timer_.get(), 0, &when, nullptr);
    CORERING_ASSERT(set == 0, "a timerfd can be set");
  }

 private:
  bool add(int fd) noexcept {
    epoll_event event{.events = EPOLLIN, .data = {}};
    return ::epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  Fd set_;
  Fd timer_;
};

}  // namespace

int open_system_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept {
  std::unique_ptr<SystemDoorbell> opened(new (std::nothrow) SystemDoorbell);
  if (opened == nullptr) return -ENOMEM;
  if (const int result = opened->open(ring); result < 0) return result;
  doorbell = std::move(opened);
  return 0;
}

}  // namespace corering
