/// timers.hpp — the operations that wait for a time, each on the clock that it named.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "emulation/submission.hpp"
#include "emulation/world.hpp"

namespace corering::emulation {

/// A heap for each clock.
/// thread: the ring's
class Timers {
 public:
  explicit Timers(World& world) noexcept : world_(world) {}

  /// Notes the operation's `deadline` on its `clock`. Returns false if there is no memory.
  [[nodiscard]] bool add(Submission& operation) noexcept;
  void remove(Submission& operation) noexcept;
  [[nodiscard]] bool empty() const noexcept;

  /// Takes out an operation whose time has come, the earliest first. Returns null if there is none.
  [[nodiscard]] Submission* pop_due() noexcept;

  /// Takes out an operation, whatever its time. Returns null if there is none.
  [[nodiscard]] Submission* pop_any() noexcept;

  /// How long until the next one is due; nothing if there is none. A clock that can be set is looked at again
  /// after a while.
  [[nodiscard]] std::optional<Duration> until_next() const noexcept;

 private:
  using Heap = std::vector<Submission*>;
  [[nodiscard]] Heap& heap_of(const Submission& operation) noexcept {
    return heaps_[static_cast<std::size_t>(operation.clock)];
  }
  static void place(Heap& heap, std::size_t at, Submission& operation) noexcept;
  static void sift(Heap& heap, std::size_t at, Submission& operation) noexcept;

  World& world_;
  std::array<Heap, 3> heaps_;
};

}  // namespace corering::emulation
