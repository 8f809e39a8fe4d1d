/// program.hpp — what the parts of the scenario share.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <corering/corering.hpp>
#include <corering/sim/sim.hpp>

namespace corering::sim_test {

struct Program {
  sim::World& world;
  std::string mistake;  ///< the first thing that is not as it must be
  Address server;
  std::chrono::nanoseconds main_ended;  ///< when
  bool leaves_protected = false;        ///< what is still there then is in shields

  void expect(bool is_true, const char* what) {
    if (!is_true && mistake.empty()) mistake = what;
  }
  [[nodiscard]] std::chrono::microseconds some_time(std::uint64_t most = 3'000) {
    return std::chrono::microseconds(world.draw(most));
  }
  [[nodiscard]] Worker& some_worker() { return world.worker(world.draw(world.pool().size())); }
  /// Returns true if so much time has gone by that somebody waited for ever, as ever is meant here.
  [[nodiscard]] bool is_late(std::chrono::nanoseconds since) const {
    return world.elapsed() - since > std::chrono::hours(1);
  }
};

}  // namespace corering::sim_test
