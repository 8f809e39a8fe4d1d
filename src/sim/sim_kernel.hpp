/// sim_kernel.hpp — the kernel of a simulated world: the interpreter's rings, with a simulated outside.
#pragma once

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <corering/uring/kernel.hpp>

#include "sim/sim_world.hpp"
#include "sim/system.hpp"

namespace corering::sim {

/// When a worker wants its next turn. Who runs the world looks at it.
class SimDoorbell final : public Doorbell {
 public:
  SimDoorbell(System& system, int ring) noexcept : system_(system), ring_(ring) {}
  [[nodiscard]] int descriptor() const noexcept override { return ring_; }
  void ring_after(std::optional<Duration> delay) noexcept override;
  /// Nanoseconds since the beginning; nothing if only its ring can ring it.
  [[nodiscard]] std::optional<std::int64_t> rings_at() const noexcept { return rings_at_; }

 private:
  System& system_;
  int ring_;
  std::optional<std::int64_t> rings_at_;
};

/// thread: the system's
class SimKernel final : public Kernel {
 public:
  explicit SimKernel(System& system) noexcept : system_(system) {}

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override;
  int open_eventfd() noexcept override;
  int wake(int eventfd) noexcept override;
  void posted() noexcept override;
  void nap(Duration how_long) noexcept override;
  void close(int fd) noexcept override { (void)system_.close(fd); }
  std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept override;
  int open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept override;
  [[nodiscard]] const Capabilities* known_capabilities() const noexcept override;
  [[nodiscard]] std::string_view name() const noexcept override { return "io_uring, simulated"; }
  [[nodiscard]] TimePoint now() const noexcept override { return system_.now(); }

  /// The doorbells that were opened, in their order.
  [[nodiscard]] const std::vector<SimDoorbell*>& doorbells() const noexcept { return doorbells_; }

 private:
  System& system_;
  std::thread::id thread_ = std::this_thread::get_id();
  std::vector<SimDoorbell*> doorbells_;
};

}  // namespace corering::sim
