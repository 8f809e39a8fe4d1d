/// os_world.hpp — the world of an emulated ring on an operating system: plain system calls, epoll, and a few
/// helper threads.
#pragma once

#include "emulation/ended_calls.hpp"
#include "emulation/futex_waits.hpp"
#include "emulation/helpers.hpp"
#include "emulation/readiness.hpp"
#include "emulation/world.hpp"

namespace corering::emulation {

/// In a child of fork(2) it may only be destroyed.
class OsWorld final : public World {
 public:
  explicit OsWorld(std::size_t most_helpers) noexcept;
  OsWorld(OsWorld&&) = delete;
  ~OsWorld() override;

  /// Opens the descriptors. Returns 0, or -errno.
  int open() noexcept { return readiness_.open(); }

  Answer attempt(Call& call) noexcept override;
  void attempt_plain(std::span<PlainCall> calls) noexcept override;
  std::int32_t poll(int fd, std::uint32_t events) noexcept override;
  int watch(Call& call, int fd, std::uint32_t events, Watching how) noexcept override;
  void unwatch(Call& call) noexcept override;
  int lend(Call& call) noexcept override;
  TakenBack take_back(Call& call) noexcept override;
  int wait(std::optional<Duration> limit) noexcept override;
  using World::next;
  std::size_t next(std::span<Report> reports) noexcept override;
  void notify() noexcept override { readiness_.notify(); }
  [[nodiscard]] int descriptor() const noexcept override { return readiness_.descriptor(); }
  [[nodiscard]] std::int64_t now(ClockKind clock) const noexcept override;
  int duplicate(int fd, bool inherited) noexcept override;
  void close(int fd) noexcept override;
  void end() noexcept override;

 private:
  bool next_ready(Report& report) noexcept;
  bool next_ended(Report& report) noexcept;
  void forget_hints(Call& call) noexcept;
  void let_go_of_pidfd(Call& call) noexcept;

  unsigned made_in_;  // the process
  Readiness readiness_;
  EndedCalls ended_{readiness_};

  // A child of fork(2) must not destroy them: it has no such threads, and would wait for them.
  union {
    Helpers helpers_;
  };
  union {
    FutexWaits futexes_;
  };
};

}  // namespace corering::emulation
