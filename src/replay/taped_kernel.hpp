/// taped_kernel.hpp — a kernel, and what stands for the operating system, whose calls pass a tape.
#pragma once

#include <memory>

#include <corering/base/outside.hpp>
#include <corering/uring/capabilities.hpp>
#include <corering/uring/kernel.hpp>

#include "replay/tape.hpp"

namespace corering::replay {

/// thread: the tape's; what other threads ask for refuses the run
class TapedKernel final : public Kernel {
 public:
  /// `kernel` makes the calls while the tape records. It is null while the tape plays.
  TapedKernel(Tape& tape, Kernel* kernel, const Capabilities& capabilities) noexcept
      : tape_(tape), kernel_(kernel), capabilities_(capabilities) {}

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override;
  int open_eventfd() noexcept override;
  int wake(int eventfd) noexcept override;
  void nap(Duration how_long) noexcept override;
  void close(int fd) noexcept override;
  std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept override;
  int open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept override;
  void posted() noexcept override;
  [[nodiscard]] bool is_worth_watching() const noexcept override { return false; }
  [[nodiscard]] const Capabilities* known_capabilities() const noexcept override { return &capabilities_; }
  [[nodiscard]] std::string_view name() const noexcept override {
    return tape_.plays() ? "io_uring, replayed" : "io_uring, recorded";
  }
  [[nodiscard]] TimePoint now() const noexcept override;
  /// Playing, this is the last time that was recorded.
  [[nodiscard]] TimePoint now_to_show() const noexcept override {
    return tape_.plays() ? last_ : Clock::now();
  }

  /// Called by a ring that is closed.
  void ring_closes() noexcept;

 private:
  [[nodiscard]] bool takes_part(const char* why_not) noexcept;
  /// Returns the kernel that makes the calls. Only a recording has one.
  [[nodiscard]] Kernel& real() const noexcept;

  Tape& tape_;
  Kernel* const kernel_;
  const Capabilities capabilities_;
  bool has_ring_ = false;
  mutable TimePoint last_;
};

/// thread: the tape's
class TapedOutside final : public Outside {
 public:
  explicit TapedOutside(Tape& tape) noexcept : tape_(tape) {}

  [[nodiscard]] bool is_world() const noexcept override { return false; }
  [[nodiscard]] bool owns(int fd) const noexcept override { return fd >= 0; }

  int close(int fd) noexcept override;
  int socket(int family, int type) noexcept override;
  int bind(int fd, const sockaddr* name, socklen_t length) noexcept override;
  int connect(int fd, const sockaddr* name, socklen_t length) noexcept override;
  int listen(int fd, int backlog) noexcept override;
  int peer_name(int fd, sockaddr* name, socklen_t* length) noexcept override;
  int local_name(int fd, sockaddr* name, socklen_t* length) noexcept override;
  int socket_pair(int type, int* ends) noexcept override;
  int pipe(int* ends) noexcept override;
  int get_option(int fd, int level, int name, void* value, socklen_t* length) noexcept override;
  int set_option(int fd, int level, int name, const void* value, socklen_t length) noexcept override;
  [[nodiscard]] TimePoint now() const noexcept override;
  void wait_for(bool (*has_come)(const void*), const void* what) noexcept override;

 private:
  template <class Real>
  int on_socket(Kind kind, int fd, Real real, int first = 0, int second = 0) noexcept;
  template <class Real>
  int name_of(Kind kind, int fd, sockaddr* name, socklen_t* length, Real real) noexcept;
  template <class Real>
  int make_pair(Kind kind, int* ends, Real real) noexcept;

  Tape& tape_;
};

}  // namespace corering::replay
