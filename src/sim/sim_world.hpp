/// sim_world.hpp — what a simulated ring asks of the simulated system: its calls, its waits, its helpers.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "emulation/world.hpp"
#include "sim/system.hpp"

namespace corering::sim {

/// thread: the system's
class SimWorld final : public emulation::World {
 public:
  using Answer = emulation::Answer;
  using Call = emulation::Call;
  using Report = emulation::Report;

  explicit SimWorld(System& system);
  SimWorld(SimWorld&&) = delete;
  ~SimWorld() override;

  Answer attempt(Call& call) noexcept override;
  void attempt_plain(std::span<emulation::PlainCall> calls) noexcept override;
  std::int32_t poll(int fd, std::uint32_t events) noexcept override;
  int watch(Call& call, int fd, std::uint32_t events, emulation::Watching how) noexcept override;
  void unwatch(Call& call) noexcept override;
  int lend(Call& call) noexcept override;
  emulation::TakenBack take_back(Call& call) noexcept override;
  int wait(std::optional<Duration> limit) noexcept override;
  using World::next;
  std::size_t next(std::span<Report> reports) noexcept override;
  void notify() noexcept override { is_notified_ = true; }
  [[nodiscard]] int descriptor() const noexcept override { return descriptor_; }
  [[nodiscard]] std::int64_t now(emulation::ClockKind clock) const noexcept override {
    return clock == emulation::ClockKind::realtime ? system_.wall_clock() : system_.nanoseconds();
  }
  int duplicate(int fd, bool /*inherited*/) noexcept override { return system_.duplicate(fd); }
  void close(int fd) noexcept override { (void)system_.close(fd); }
  bool hides_buffer() noexcept override { return system_.strikes(Fault::enobufs); }
  bool ends_multishot() noexcept override { return system_.strikes(Fault::multishot_ends); }
  std::int64_t delays_notification() noexcept override;
  bool answers_cancelled_first() noexcept override { return system_.strikes(Fault::cancel_order); }
  void end() noexcept override;

  // ---- for the system ----

  /// The object of a watch shows one of its events.
  void shows(Watch& watch, std::uint32_t shown) noexcept;
  /// The calls that were reported have been attempted once more, if at all.
  void forget_reported() noexcept;
  /// An enter would find something.
  [[nodiscard]] bool has_something() const noexcept { return is_notified_ || !ready_.empty(); }

 private:
  void report_later(Watch& watch) noexcept;
  void make_ready(Watch& watch) noexcept;
  [[nodiscard]] Watch* watch_of(const Call& call) const noexcept;
  void run_lent(Watch& watch) noexcept;
  void fill(Report& report, Watch& watch) noexcept;
  [[nodiscard]] std::int32_t noted_result(const Call& call, const Answer& answer) const noexcept;

  System& system_;
  int descriptor_ = -1;
  bool is_notified_ = false;
  std::vector<Watch*> ready_;     // to be reported
  std::vector<Watch*> reported_;  // their calls may be attempted once more
  std::vector<Watch*> lent_;
};

}  // namespace corering::sim
