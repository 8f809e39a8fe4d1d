/// faults.hpp — what goes wrong in a simulated world: each kind with its name, how often, and how many times.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace corering::sim {

/// The kinds of faults. docs/SIMULATION.md says what each of them does.
enum class Fault : std::uint8_t {
  short_read,
  short_write,
  short_receive,
  short_send,
  eintr_from_enter,
  eagain_from_enter,
  ebusy_from_enter,
  partial_submit,
  completion_order,
  late_completion,
  slow_uncancellable,
  cancel_misses,
  cancel_order,
  enobufs,
  multishot_ends,
  spurious_wakeup,
  late_wakeup,
  shuffled_ready,
  no_memory,
  emfile,
  enospc,
  eio,
  reset,
  stall,
  refused,
  tiny_ring,
  datagram_lost,
  datagram_doubled,
  datagram_late,
  lost_unsynced,
  torn_write,
  misdirected_write,
  corrupted_write,
  clock_step,
  lookup_fails,
  enomem_from_enter,
  late_notification,
  count_,
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::count_);

/// One kind of fault in one world.
struct FaultRule {
  std::uint32_t one_in = 0;  ///< it strikes once in so many chances; 0: never
  std::uint32_t budget = 0;  ///< and at most so often
  std::uint32_t hits = 0;    ///< so often it has struck
};

[[nodiscard]] std::string_view name_of(Fault fault) noexcept;

/// The faults of a world. A value: a world copies it.
class Faults {
 public:
  /// Nothing goes wrong.
  Faults() noexcept = default;

  /// What the seed draws: whole kinds are on or off, each with a probability and a budget of its own. Without
  /// `no_memory`, which few programs are made to bear: see with_no_memory().
  [[nodiscard]] static Faults swarm(std::uint64_t seed) noexcept;

  /// The same with what the seed draws for `no_memory`.
  [[nodiscard]] Faults with_no_memory(std::uint64_t seed) const noexcept;

  /// Everything can happen, each about once in `one_in` chances.
  [[nodiscard]] static Faults all(std::uint32_t one_in = 20, std::uint32_t budget = 1000) noexcept;

  [[nodiscard]] FaultRule& operator[](Fault fault) noexcept {
    return rules_[static_cast<std::size_t>(fault)];
  }
  [[nodiscard]] const FaultRule& operator[](Fault fault) const noexcept {
    return rules_[static_cast<std::size_t>(fault)];
  }

  /// Returns how many have struck, of all kinds.
  [[nodiscard]] std::uint64_t hits() const noexcept;
  /// Returns the kinds that are on.
  [[nodiscard]] std::size_t kinds() const noexcept;
  /// Switches a kind off.
  void forget(Fault fault) noexcept { (*this)[fault] = {}; }

  /// A line for each kind that is on: its name, how often it may strike, and how often it did.
  [[nodiscard]] std::string to_string() const;

 private:
  std::array<FaultRule, fault_count> rules_{};
};

}  // namespace corering::sim
