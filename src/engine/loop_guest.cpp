/// loop_guest.cpp — a loop whose thread sleeps in somebody else's event loop.
///
/// Between two turns nothing changes a loop but what comes through its ring, its mailbox and its timers. So
/// each turn ends as if the loop went to sleep: it asks for the wake read, marks itself asleep, and sets the
/// doorbell to its nearest deadline. The next turn takes the mark back.
#include <algorithm>
#include <utility>

#include <corering/uring/setup_error.hpp>

#include "engine/loop.hpp"

namespace corering {

using namespace detail;

namespace {

// What has come is filed in the first round, and its coroutines run in the second. A third one often finds
// that the kernel has answered at once what they asked for. Then the other loop gets its turn.
constexpr int most_rounds = 4;

}  // namespace

Result<int> Loop::attach_as_guest() {
  if (const auto attached = attach(Ring::Watched::from_outside); !attached) {
    return std::unexpected(attached.error());
  }
  if (const int opened = kernel_.open_doorbell(ring_.descriptor(), doorbell_); opened < 0) {
    ring_.close();
    mailbox_.close();
    return std::unexpected(setup_error(SetupStep::doorbell, -opened));
  }
  (void)arm_wake_read();
  note_enter_result(ring_.submit_and_peek());
  sleep_outside();
  return doorbell_->descriptor();
}

bool Loop::turn_as_guest(std::optional<Duration> patience) {
  if (ended_) return false;
  if (std::exchange(sleeps_outside_, false)) mailbox_.queue().wake_up();
  for (int round = 0; round < most_rounds; ++round) {
    (void)arm_wake_read();  // it goes with the enter of this round
    if (order_ != nullptr) arrange_ready();
    if (!guest_step(round == 0 ? patience : Duration::zero())) {
      doorbell_->ring_after(Duration::zero());  // for ever: whoever still watches learns of the end
      return false;
    }
    if (short_of_memory_ || has_nothing_to_do()) break;
  }
  sleep_outside();
  return true;
}

// With what the round would put there before it runs any coroutine.
void Loop::arrange_ready() noexcept {
  look_outside();
  CORERING_ASSERT(doorbell_ != nullptr, "only a guest has rounds");
  order_->arrange(ready_.handles());
}

// The last answer may be one that resumes nobody: then the next round ends the loop.
bool Loop::has_nothing_to_do() const noexcept {
  if (stopping_ && is_quiet()) return false;
  return ready_.empty() && parked_.empty() && !ring_.has_cqes() && !ring_.has_overflown() &&
         ring_.unsubmitted() == 0 && mailbox_.is_wake_read_armed();
}

void Loop::sleep_outside() noexcept {
  CORERING_ASSERT(!sleeps_outside_, "a loop falls asleep when it is awake");
  sleeps_outside_ = has_nothing_to_do() && mailbox_.queue().fall_asleep();
  if (!sleeps_outside_) return ring_doorbell_after(short_of_memory_ ? memory_nap : Duration::zero());
  if (!timers_.empty()) wait_is_due_ = timers_.next_deadline();
  const std::optional<Duration> ours = time_to_sleep_outside(), of_the_ring = ring_.until_due();
  ring_doorbell_after(ours && of_the_ring ? std::min(ours, of_the_ring) : ours ? ours : of_the_ring);
}

// A bell that rings too early costs one turn for nothing. To set it whenever the nearest deadline has moved
// away, as it does with each operation that has one, would cost a system call each time.
void Loop::ring_doorbell_after(std::optional<Duration> delay) noexcept {
  const TimePoint now = kernel_.now();
  const TimePoint wanted = delay ? saturating_add(now, *delay) : TimePoint::max();
  if (doorbell_rings_at_ > now && doorbell_rings_at_ <= wanted) return;
  doorbell_rings_at_ = wanted;
  doorbell_->ring_after(delay);
}

}  // namespace corering
