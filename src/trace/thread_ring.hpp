/// thread_ring.hpp — the events of one thread, in the trace file.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "trace/layout.hpp"
#include "trace/shared_map.hpp"

namespace corering::trace {

/// One thread writes it and anybody may read it: every word is a relaxed atomic. A reader that the writer
/// overtakes sees that from the count of claimed events, and drops those that may be torn.
class ThreadRing {
 public:
  ThreadRing(SharedMap map, std::uint64_t capacity) noexcept
      : map_(std::move(map)), head_(&map_.as<layout::RingHead>()), mask_(capacity - 1) {}

  /// Starts for a thread, or again for another one when that has ended, whose events then count as lost.
  void give_to(std::uint64_t number, int tid, std::string_view name) noexcept {
    set(head_->number, std::uint64_t{0});  // readers see that it changes hands
    std::atomic_thread_fence(std::memory_order_release);
    set(head_->lost_before, head_->lost_before + head_->written);
    set(head_->claimed, std::uint64_t{0});
    set(head_->written, std::uint64_t{0});
    set(head_->captured, std::uint64_t{0});
    set(head_->suppressed, std::uint64_t{0});
    head_->tid = static_cast<std::uint32_t>(tid);
    const std::size_t length = std::min(name.size(), head_->name.size() - 1);
    std::copy_n(name.begin(), length, head_->name.begin());
    head_->name[length] = '\0';
    std::atomic_ref(head_->number).store(number, std::memory_order_release);
  }

  void set_what_it_holds(layout::Holds what) noexcept { head_->holds = what; }
  [[nodiscard]] layout::RingHead& head() noexcept { return *head_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return mask_ + 1; }

  /// Returns how many events have been written, and which is the oldest that is still there.
  /// thread: the one that writes
  [[nodiscard]] std::uint64_t end() const noexcept { return get(head_->written); }
  [[nodiscard]] std::uint64_t begin() const noexcept { return end() - std::min(end(), mask_ + 1); }
  [[nodiscard]] const Event& operator[](std::uint64_t at) const noexcept {
    return (&map_.as<Event>(layout::page))[at & mask_];
  }

  /// Returns an entry, if it holds times.
  [[nodiscard]] layout::TimesEntry& times(std::uint64_t at) noexcept {
    return (&map_.as<layout::TimesEntry>(layout::page))[at];
  }
  void set_count_of_times(std::uint64_t count) noexcept {
    std::atomic_ref(head_->written).store(count, std::memory_order_release);
  }
  /// Readers see that times are being written in between.
  void begin_times() noexcept {
    set(head_->times_number, head_->times_number | 1);
    std::atomic_thread_fence(std::memory_order_release);
  }
  void end_times() noexcept {
    std::atomic_ref(head_->times_number).store(head_->times_number + 1, std::memory_order_release);
  }

  /// Returns how many events have been written.
  std::uint64_t append(const Event& event) noexcept {
    layout::RingHead* const head = head_;  // the compiler cannot know that the event is not written over them
    const std::uint64_t mask = mask_, at = get(head->written);
    Event* const events = &map_.as<Event>(layout::page);
    Event& slot = events[at & mask];
    set(head->claimed, at + 1);
    std::atomic_thread_fence(std::memory_order_release);  // who sees the new words sees the claim
    set(slot.ticks, event.ticks);
    set(slot.id_and_kind, event.id_and_kind);
    set(slot.a, event.a);
    set(slot.b, event.b);
    std::atomic_ref(head->written).store(at + 1, std::memory_order_release);
    // The ring is larger than the nearer caches. The prefetched line is here by the time it is needed.
    __builtin_prefetch(&events[(at + prefetched) & mask], 1);
    return at + 1;
  }

 private:
  static constexpr std::uint64_t prefetched = 8;  // in events; that is four cache lines

  template <class T>
  static void set(T& word, T value) noexcept {
    std::atomic_ref(word).store(value, std::memory_order_relaxed);
  }
  template <class T>
  static T get(T& word) noexcept {
    return std::atomic_ref(word).load(std::memory_order_relaxed);
  }

  SharedMap map_;
  layout::RingHead* head_;
  std::uint64_t mask_;
};

}  // namespace corering::trace
