/// loop_times.cpp — a kind of operation is there when the first one was answered.
#include "engine/loop_times.hpp"

#include <new>
#include <pthread.h>
#include <span>
#include <string_view>

#include <corering/base/assert.hpp>
#include <corering/trace/recorder.hpp>
#include <corering/uring/uapi.hpp>

#include "trace/ticks.hpp"

namespace corering {
namespace {

constexpr double stall_ns = 10e6;

std::atomic<std::uint32_t> made_before = 0;

void increase(std::atomic<std::uint64_t>& count) noexcept {
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

LoopTimes* LoopTimes::make() noexcept {
  const TimesMemory::Slot slot = TimesMemory::take(bytes);
  if (slot.memory == nullptr) return nullptr;
  auto* const made = new (std::nothrow) LoopTimes(slot);
  if (made == nullptr) TimesMemory::give_back(slot, bytes);
  return made;
}

// The memory is all zeros, and that is what a new object would be. To write them would take all of it.
LoopTimes::LoopTimes(TimesMemory::Slot slot) noexcept
    : slot_(slot),
      shared_(static_cast<Shared*>(slot.memory)),
      longest_(static_cast<std::uint64_t>(stall_ns / trace::ns_per_tick())) {
  CORERING_ASSERT(shared_->number.load(std::memory_order_relaxed) == 0, "a slot is empty at first");
  pthread_getname_np(pthread_self(), shared_->worker.data(), shared_->worker.size());
  CORERING_DEBUG_ASSERT(shared_->worker.back() == '\0', "a name is ended by a zero");
  shared_->number.store(made_before.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_release);
}

LoopTimes::~LoopTimes() { TimesMemory::give_back(slot_, bytes); }

// Reading a histogram takes some microseconds.
std::uint64_t LoopTimes::slow(std::uint8_t opcode, double share) noexcept {
  Slow& slow = slow_[opcode % most_kinds];
  if (--slow.until_asked == 0)
    slow = {.limit = shared_->kinds[opcode % most_kinds].total.quantile(share), .until_asked = 1000};
  return slow.limit;
}

// Nearly all operations went with one of the last few enters, so the search begins there. Returns 0 if it is
// not remembered.
std::uint64_t LoopTimes::first_enter_after(std::uint64_t since) const noexcept {
  const std::uint64_t oldest = enters_ - (enters_ < most_enters ? enters_ : most_enters);
  std::uint64_t high = enters_;
  std::uint64_t step = 1;
  for (; high >= oldest + step && enter(high - step) >= since; step *= 2) high -= step;
  std::uint64_t low = high >= oldest + step ? high - step + 1 : oldest;
  if (high == oldest || high == enters_) return 0;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    enter(middle) < since ? low = middle + 1 : high = middle;
  }
  return low == oldest ? 0 : enter(low);
}

// If the enter is long ago, the whole time counts as the kernel's.
void LoopTimes::note_answered(std::uint8_t opcode, std::uint64_t since, std::uint64_t now,
                              bool has_failed) noexcept {
  Kind& kind = shared_->kinds[opcode % most_kinds];
  shared_->has_occurred[opcode % most_kinds].store(true, std::memory_order_release);
  CORERING_DEBUG_ASSERT(since <= now, "an operation begins before it is answered");
  const std::uint64_t entered = first_enter_after(since);
  CORERING_DEBUG_ASSERT(entered <= now, "the kernel was entered before it answered");
  if (entered != 0) kind.batch.add(entered - since);
  kind.kernel.add(now - (entered != 0 ? entered : since));
  if (has_failed) increase(kind.errors);
}

void LoopTimes::note_turn(std::uint64_t began, std::uint64_t now) noexcept {
  CORERING_DEBUG_ASSERT(began <= now, "a turn begins before it ends");
  shared_->turns.add(now - began);
  if (now - began > longest_) increase(shared_->stalls);
}

void LoopTimes::note_popped(std::uint32_t pushed, std::uint64_t woken, std::uint64_t now) noexcept {
  if (popped_ < most_popped) pushed_[popped_++] = pushed;
  if (pushed == 0) return;
  const std::uint64_t waited = since(pushed, now);
  shared_->queue.add(waited);
  if (const std::uint64_t awake = now - woken; awake < waited) shared_->wake.add(waited - awake);
}

void LoopTimes::note_dispatched(std::uint64_t popped, std::uint64_t now) noexcept {
  CORERING_DEBUG_ASSERT(dispatched_ < popped_, "what runs was taken from the queue before");
  const std::uint32_t pushed = pushed_[dispatched_++];
  shared_->dispatch.add(now - popped);
  if (pushed != 0) shared_->wake_to_run.add(since(pushed, now));
}

// It takes some 40 us for a server with a few kinds of operations.
void LoopTimes::show(std::uint64_t now) noexcept {
  constexpr std::uint64_t often = 30;  // times the length of a stall
  if (shown_ == 0) shown_ = now;
  if (now != 0 && now - shown_ < often * longest_) return;
  shown_ = now;
  std::array<trace::ShownTimes, 6 + 4 * most_kinds> all;
  std::size_t count = 0;
  const auto add = [&](std::string_view kind, std::string_view stage, const trace::Histogram& ticks,
                       std::uint64_t errors = 0) {
    if (count < all.size()) all[count++] = {.kind = kind, .stage = stage, .errors = errors, .ticks = &ticks};
  };
  add("worker", "turn", shared_->turns, shared_->stalls.load(std::memory_order_relaxed));
  add("worker", "queue", shared_->queue);
  add("worker", "wake", shared_->wake);
  add("worker", "dispatch", shared_->dispatch);
  add("worker", "wake_to_run", shared_->wake_to_run);
  add("worker", "run", shared_->run);
  for (std::uint8_t opcode = 0; opcode < most_kinds; ++opcode) {
    const Kind* const one = shared_->kind(opcode);
    if (one == nullptr) continue;
    const std::string_view name = name_of(static_cast<Opcode>(opcode));
    add(name, "batch", one->batch);
    add(name, "kernel", one->kernel);
    add(name, "resume", one->resume);
    add(name, "total", one->total, one->errors.load(std::memory_order_relaxed));
  }
  trace::show_times(std::span(all).first(count));
}

}  // namespace corering
