/// simulated.cpp — the world of a case, and the proof that the case has used it.
#include "support/simulated.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include <corering/sim/sim.hpp>
#include <gtest/gtest.h>

#include "engine/loop.hpp"
#include "sim/sim_kernel.hpp"
#include "sim/system.hpp"
#include "support/simulated_world.hpp"

namespace corering::test {
namespace {

std::unique_ptr<CaseWorld> the_world;

const char* seed_in_environment() { return std::getenv("CORERING_SIMULATED"); }

/// Gives every case its world. A case that has made no worker in it has not been simulated, and fails.
class GivesWorlds final : public testing::EmptyTestEventListener {
  void OnTestProgramStart(const testing::UnitTest&) override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
  void OnTestStart(const testing::TestInfo&) override {
    the_world = std::make_unique<CaseWorld>(std::strtoull(seed_in_environment(), nullptr, 10));
  }
  void OnTestEnd(const testing::TestInfo& info) override {
    CaseWorld& world = *the_world;
    const sim::RunReport report = world.world.run([] {});
    EXPECT_TRUE(report.is_good()) << report.failure;
    EXPECT_GT(world.workers(), 0U) << "no worker of " << info.name()
                                   << " was simulated: see tests/simulated.txt";
    the_world = nullptr;
  }
};

const bool gives_worlds = [] {
  const bool wanted = seed_in_environment() != nullptr;
  if (wanted) testing::UnitTest::GetInstance()->listeners().Append(new GivesWorlds);
  return wanted;
}();

}  // namespace

CaseWorld::CaseWorld(std::uint64_t seed) : world({.seed = seed, .workers = most_workers}) {
  system().set_kernel(*this);
}

sim::System& CaseWorld::system() { return *static_cast<sim::System*>(os::world()); }

int CaseWorld::open_ring(RingParams& params, std::unique_ptr<KernelRing>& ring) noexcept {
  if (std::this_thread::get_id() != thread_) return -EPERM;  // it is no world's
  ++rings_;
  return kernel_.open_ring(params, ring);
}

Worker& CaseWorld::next_worker() {
  if (next_worker_ == most_workers) std::abort();
  return world.worker(next_worker_++);
}

CaseWorld& case_world() { return *the_world; }

bool is_simulated() noexcept { return the_world != nullptr; }

Worker& next_simulated_worker() { return the_world->next_worker(); }

void end_simulated_worker(Worker& worker) {
  worker.request_stop();
  const auto has_ended = [](const void* loop) { return static_cast<const Loop*>(loop)->has_ended(); };
  os::world()->wait_for(has_ended, &worker.loop());
}

int simulated_descriptors() { return static_cast<int>(the_world->system().open_descriptors()); }

}  // namespace corering::test
