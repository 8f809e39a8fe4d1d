/// child_process.hpp — a child process of a simulated world, as data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <corering/sim/child_plan.hpp>

#include "sim/objects.hpp"

namespace corering::sim {

/// What a pidfd refers to. It goes on when it is planned to, and when something changes at its streams.
struct ChildProcess final : Object, std::enable_shared_from_this<ChildProcess> {
  enum class State : std::uint8_t { running, ended, waited };
  explicit ChildProcess(ChildPlan what) noexcept : Object(Kind::process), plan(std::move(what)) {}
  [[nodiscard]] std::uint32_t shown() const noexcept override {
    return state == State::running ? 0U : POLLIN;
  }
  [[nodiscard]] bool has_ended() const noexcept { return state != State::running; }

  ChildPlan plan;
  State state = State::running;
  int pid = 0;
  std::array<std::shared_ptr<PipeEnd>, 3> streams;  ///< its own ends
  std::array<std::size_t, 3> written{};             ///< so much of what it writes
  TimePoint ends_at;                                ///< not before
  bool goes_on_soon = false;                        ///< that is planned
  std::optional<int> killed_by;
};

}  // namespace corering::sim
