/// captures.cpp — which events belong to something slow, and how often it may be kept.
#include "trace/captures.hpp"

#include <algorithm>
#include <utility>

#include <corering/base/assert.hpp>

namespace corering::trace {
namespace {

constexpr std::uint64_t most_kept = layout::store_capacity / 4;
constexpr std::uint64_t events_before = 32;  // they tell how it came about

std::size_t index_of(KeptFor why) noexcept { return static_cast<std::size_t>(why); }

void increase(std::uint64_t& count) noexcept {
  std::atomic_ref word(count);
  word.store(word.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

/// Returns the number of the first event that is not older than this.
std::uint64_t first_since(const ThreadRing& ring, std::uint64_t stamp) noexcept {
  std::uint64_t low = ring.begin();
  for (std::uint64_t high = ring.end(); low < high;) {
    const std::uint64_t middle = low + (high - low) / 2;
    ring[middle].ticks < stamp ? low = middle + 1 : high = middle;
  }
  return low;
}

}  // namespace

void Captures::give_to(std::uint64_t number) noexcept {
  store_.give_to(number, 0, "");
  noticed_ = {};
  kept_until_ = 0;
  last_ = {};
}

bool Captures::is_soon_after(const Noticed& noticed) const noexcept {
  const std::uint64_t last = last_[index_of(noticed.why)];
  const std::uint64_t pause = recorder::control.limits.pause.load(std::memory_order_relaxed);
  return last != 0 && noticed.now - std::min(noticed.now, last) < pause;
}

void Captures::notice(const Noticed& noticed, ThreadRing& ring) noexcept {
  std::optional<Noticed>& slot = noticed_[index_of(noticed.why)];
  if (slot || is_soon_after(noticed)) return increase(ring.head().suppressed);
  last_[index_of(noticed.why)] = noticed.now;
  slot = noticed;
}

const Noticed* Captures::earliest() const noexcept {
  const Noticed* first = nullptr;
  for (const std::optional<Noticed>& one : noticed_) {
    if (one && (first == nullptr || one->since < first->since)) first = &*one;
  }
  return first;
}

// The one that began first gets the events, and those after it only what is newer.
void Captures::keep(ThreadRing& ring) noexcept {
  for (const Noticed* first = earliest(); first != nullptr; first = earliest()) keep(first->why, ring);
}

void Captures::keep(KeptFor why, ThreadRing& ring) noexcept {
  const Noticed* const first = earliest();
  const std::uint64_t since = first != nullptr ? first->since : 0;
  if (const auto noticed = std::exchange(noticed_[index_of(why)], std::nullopt)) keep(*noticed, since, ring);
}

void Captures::keep(const Noticed& noticed, std::uint64_t since, ThreadRing& ring) noexcept {
  CORERING_DEBUG_ASSERT(since <= noticed.since && noticed.since <= noticed.now,
                        "what took long began before it ended");
  const std::uint64_t end = ring.end();
  const std::uint64_t first = first_since(ring, since);
  CORERING_DEBUG_ASSERT(kept_until_ <= end, "what was kept is older than what is there");
  std::uint64_t from = std::max({first - std::min(first, events_before), ring.begin(), kept_until_});
  if (end - from > most_kept) {
    copy(noticed, ring, from, from + most_kept / 4, true);
    from = end - most_kept + most_kept / 4;
  }
  copy(noticed, ring, from, end, false);
  kept_until_ = end;
  increase(ring.head().captured);
}

void Captures::copy(const Noticed& noticed, const ThreadRing& ring, std::uint64_t from, std::uint64_t to,
                    bool goes_on) noexcept {
  CORERING_DEBUG_ASSERT(ring.begin() <= from && from <= to && to <= ring.end(), "what is kept is there");
  CORERING_DEBUG_ASSERT(from >= kept_until_, "no event is kept twice");
  store_.append({.ticks = noticed.now,
                 .id_and_kind = static_cast<std::uint64_t>(Kind::kept) << 56 |
                                static_cast<std::uint64_t>(noticed.why) << 48 | noticed.id,
                 .a = from,
                 .b = noticed.since << 1 | (goes_on ? 1U : 0U)});
  for (std::uint64_t at = from; at < to; ++at) store_.append(ring[at]);
}

}  // namespace corering::trace
