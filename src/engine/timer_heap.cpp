/// timer_heap.cpp — the 4-ary heap.
#include <algorithm>
#include <new>

#include <corering/base/assert.hpp>
#include <corering/engine/timer_heap.hpp>

namespace corering {
namespace {

constexpr std::size_t arity = 4;

}  // namespace

bool TimerHeap::push(TimerNode& node, TimePoint deadline) noexcept {
  CORERING_ASSERT(node.place == TimerNode::not_armed, "a timer was armed while it was already armed");
  const Entry entry{deadline, next_order_++, &node};
  try {
    entries_.push_back(entry);
  } catch (const std::bad_alloc&) {
    return false;
  }
  sift_up(entries_.size() - 1, entry);
  return true;
}

TimerNode& TimerHeap::pop() noexcept {
  CORERING_ASSERT(!entries_.empty(), "no timer is armed");
  TimerNode& nearest = *entries_.front().node;
  remove(nearest);
  return nearest;
}

void TimerHeap::remove(TimerNode& node) noexcept {
  CORERING_ASSERT(node.place < entries_.size() && entries_[node.place].node == &node,
                  "only an armed timer can be removed");
  const std::size_t place = node.place;
  node.place = TimerNode::not_armed;
  const Entry last = entries_.back();
  entries_.pop_back();
  if (last.node == &node) return;
  const bool goes_up = place > 0 && last.before(entries_[(place - 1) / arity]);
  if (goes_up) {
    sift_up(place, last);
  } else {
    sift_down(place, last);
  }
}

bool TimerHeap::is_in_order() const noexcept {
  for (std::size_t place = 0; place < std::min<std::size_t>(entries_.size(), 64); ++place) {
    if (entries_[place].node->place != place) return false;
    if (place > 0 && entries_[place].before(entries_[(place - 1) / arity])) return false;
  }
  return true;
}

void TimerHeap::put(std::size_t place, const Entry& entry) noexcept {
  entries_[place] = entry;
  entry.node->place = place;
}

void TimerHeap::sift_up(std::size_t place, const Entry& entry) noexcept {
  while (place > 0) {
    const std::size_t parent = (place - 1) / arity;
    if (!entry.before(entries_[parent])) break;
    put(place, entries_[parent]);
    place = parent;
  }
  put(place, entry);
}

void TimerHeap::sift_down(std::size_t place, const Entry& entry) noexcept {
  for (;;) {
    const std::size_t first_child = place * arity + 1;
    if (first_child >= entries_.size()) break;
    const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(first_child);
    const auto end =
        entries_.begin() + static_cast<std::ptrdiff_t>(std::min(first_child + arity, entries_.size()));
    const auto nearest =
        std::min_element(begin, end, [](const Entry& a, const Entry& b) { return a.before(b); });
    if (!nearest->before(entry)) break;
    const auto child = static_cast<std::size_t>(nearest - entries_.begin());
    put(place, entries_[child]);
    place = child;
  }
  put(place, entry);
}

}  // namespace corering
