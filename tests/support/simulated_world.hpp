/// simulated_world.hpp — the world of one case: its system, and the kernel of the workers that the case
/// makes.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

#include <corering/sim/sim.hpp>

#include "sim/sim_kernel.hpp"
#include "sim/system.hpp"

namespace corering::test {

/// Workers that a case makes itself run on the kernel that this is; others belong to the world.
class CaseWorld final : public Kernel {
 public:
  static constexpr std::size_t most_workers = 4;

  explicit CaseWorld(std::uint64_t seed);

  [[nodiscard]] sim::System& system();
  [[nodiscard]] Worker& next_worker();
  /// Returns how many workers the case has used, of both kinds.
  [[nodiscard]] std::size_t workers() const noexcept { return next_worker_ + rings_; }

  int open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept override;
  int open_eventfd() noexcept override { return kernel_.open_eventfd(); }
  int wake(int eventfd) noexcept override { return kernel_.wake(eventfd); }
  void nap(Duration how_long) noexcept override { kernel_.nap(how_long); }
  void close(int fd) noexcept override { kernel_.close(fd); }
  std::int32_t read_now(int fd, void* into, std::size_t size, std::int64_t offset) noexcept override {
    return kernel_.read_now(fd, into, size, offset);
  }
  int open_doorbell(int ring, std::unique_ptr<Doorbell>& doorbell) noexcept override {
    return kernel_.open_doorbell(ring, doorbell);
  }
  const Capabilities* known_capabilities() const noexcept override { return kernel_.known_capabilities(); }
  std::string_view name() const noexcept override { return kernel_.name(); }
  TimePoint now() const noexcept override { return kernel_.now(); }

  sim::World world;

 private:
  sim::SimKernel kernel_{system()};
  const std::thread::id thread_ = std::this_thread::get_id();
  std::size_t next_worker_ = 0;
  std::size_t rings_ = 0;
};

/// Returns the world of the case that runs.
[[nodiscard]] CaseWorld& case_world();

}  // namespace corering::test
