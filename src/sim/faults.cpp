/// faults.cpp — the names of the faults, and what a seed draws of them.
#include <algorithm>
#include <numeric>

#include <corering/base/assert.hpp>
#include <corering/sim/faults.hpp>

#include "sim/random.hpp"

namespace corering::sim {
namespace {

constexpr std::array<std::string_view, fault_count> names = {"short_read",
                                                             "short_write",
                                                             "short_receive",
                                                             "short_send",
                                                             "eintr_from_enter",
                                                             "eagain_from_enter",
                                                             "ebusy_from_enter",
                                                             "partial_submit",
                                                             "completion_order",
                                                             "late_completion",
                                                             "slow_uncancellable",
                                                             "cancel_misses",
                                                             "cancel_order",
                                                             "enobufs",
                                                             "multishot_ends",
                                                             "spurious_wakeup",
                                                             "late_wakeup",
                                                             "shuffled_ready",
                                                             "no_memory",
                                                             "emfile",
                                                             "enospc",
                                                             "eio",
                                                             "reset",
                                                             "stall",
                                                             "refused",
                                                             "tiny_ring",
                                                             "datagram_lost",
                                                             "datagram_doubled",
                                                             "datagram_late",
                                                             "lost_unsynced",
                                                             "torn_write",
                                                             "misdirected_write",
                                                             "corrupted_write",
                                                             "clock_step",
                                                             "lookup_fails",
                                                             "enomem_from_enter",
                                                             "late_notification"};

/// They end connections and files, so they strike less often than the others.
constexpr bool is_hard(Fault fault) noexcept {
  return fault == Fault::no_memory || fault == Fault::emfile || fault == Fault::enospc ||
         fault == Fault::eio || fault == Fault::reset || fault == Fault::refused;
}

FaultRule rule_of(Fault fault, Random& random) noexcept {
  const std::uint64_t rarest = is_hard(fault) ? 200 : 30;
  return {.one_in = static_cast<std::uint32_t>(2 + random.below(rarest)),
          .budget = static_cast<std::uint32_t>(1 + random.below(is_hard(fault) ? 4 : 100))};
}

}  // namespace

std::string_view name_of(Fault fault) noexcept {
  CORERING_ASSERT(fault < Fault::count_, "a fault has a name");
  return names[static_cast<std::size_t>(fault)];
}

Faults Faults::swarm(std::uint64_t seed) noexcept {
  Random random(seed ^ 0x5faced);
  Faults drawn;
  for (std::size_t i = 0; i < fault_count; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (fault == Fault::no_memory || random.one_in(2)) continue;
    drawn[fault] = rule_of(fault, random);
  }
  return drawn;
}

Faults Faults::with_no_memory(std::uint64_t seed) const noexcept {
  Random random(seed ^ 0x5eed1e55);
  Faults all = *this;
  if (random.one_in(2)) all[Fault::no_memory] = rule_of(Fault::no_memory, random);
  return all;
}

Faults Faults::all(std::uint32_t one_in, std::uint32_t budget) noexcept {
  Faults every;
  for (FaultRule& rule : every.rules_) rule = {.one_in = one_in, .budget = budget};
  return every;
}

std::uint64_t Faults::hits() const noexcept {
  std::uint64_t sum = 0;
  for (const FaultRule& rule : rules_) sum += rule.hits;
  return sum;
}

std::size_t Faults::kinds() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(rules_, [](const FaultRule& rule) { return rule.one_in > 0; }));
}

std::string Faults::to_string() const {
  std::string text;
  for (std::size_t i = 0; i < fault_count; ++i) {
    const FaultRule& rule = rules_[i];
    if (rule.one_in == 0) continue;
    text.append(names[i]).append(": 1 in ").append(std::to_string(rule.one_in));
    text.append(", ").append(std::to_string(rule.hits)).append(" of at most ");
    text.append(std::to_string(rule.budget)).append("\n");
  }
  return text;
}

}  // namespace corering::sim
