/// timers.cpp — heaps of operations that wait for a time.
#include "emulation/timers.hpp"

#include <algorithm>
#include <new>

#include <corering/base/assert.hpp>

namespace corering::emulation {
namespace {

/// Somebody may set CLOCK_REALTIME, and a machine may sleep, while the ring waits by CLOCK_MONOTONIC.
constexpr Duration longest_trust = std::chrono::milliseconds(200);

}  // namespace

void Timers::place(Heap& heap, std::size_t at, Submission& operation) noexcept {
  heap[at] = &operation;
  operation.heap_index = at;
}

void Timers::sift(Heap& heap, std::size_t at, Submission& operation) noexcept {
  for (; at > 0 && operation.deadline < heap[(at - 1) / 2]->deadline; at = (at - 1) / 2)
    place(heap, at, *heap[(at - 1) / 2]);
  for (std::size_t child = 2 * at + 1; child < heap.size(); child = 2 * at + 1) {
    if (child + 1 < heap.size() && heap[child + 1]->deadline < heap[child]->deadline) ++child;
    if (operation.deadline <= heap[child]->deadline) break;
    place(heap, at, *heap[child]);
    at = child;
  }
  place(heap, at, operation);
}

bool Timers::add(Submission& operation) noexcept {
  Heap& heap = heap_of(operation);
  try {
    heap.push_back(&operation);
  } catch (const std::bad_alloc&) {
    return false;
  }
  sift(heap, heap.size() - 1, operation);
  return true;
}

void Timers::remove(Submission& operation) noexcept {
  Heap& heap = heap_of(operation);
  CORERING_DEBUG_ASSERT(heap[operation.heap_index] == &operation, "a timer knows its place");
  Submission& last = *heap.back();
  heap.pop_back();
  if (&last != &operation) sift(heap, operation.heap_index, last);
}

bool Timers::empty() const noexcept {
  return std::ranges::all_of(heaps_, [](const Heap& heap) { return heap.empty(); });
}

Submission* Timers::pop_due() noexcept {
  for (Heap& heap : heaps_) {
    if (heap.empty() || heap.front()->deadline > world_.now(heap.front()->clock)) continue;
    Submission& due = *heap.front();
    CORERING_DEBUG_ASSERT(due.place == Place::timed, "what is in a heap waits for its time");
    remove(due);
    return &due;
  }
  return nullptr;
}

Submission* Timers::pop_any() noexcept {
  for (Heap& heap : heaps_) {
    if (heap.empty()) continue;
    Submission& left = *heap.front();
    remove(left);
    return &left;
  }
  return nullptr;
}

std::optional<Duration> Timers::until_next() const noexcept {
  std::optional<Duration> shortest;
  for (const Heap& heap : heaps_) {
    if (heap.empty()) continue;
    const ClockKind clock = heap.front()->clock;
    const auto left = std::max(Duration(heap.front()->deadline - world_.now(clock)), Duration::zero());
    const Duration trusted = clock == ClockKind::monotonic ? left : std::min(left, longest_trust);
    shortest = std::min(shortest.value_or(trusted), trusted);
  }
  return shortest;
}

}  // namespace corering::emulation
