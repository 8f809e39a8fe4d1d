/// mailbox.cpp — a push and the wake that it may owe; the wake's way through the eventfd.
#include "engine/mailbox.hpp"

#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop_times.hpp"

namespace corering {
namespace {

using trace::Kind;

}  // namespace

void Mailbox::request_stop() noexcept {
  if (!is_in_its_process()) return;
  if (stop_requested_.exchange(true, std::memory_order_acq_rel)) return;
  refuse_posts();
  kernel_.posted();
  stop_node_.kind = PostNode::Kind::stop;
  // We do not use push() here: a signal handler may be the caller, and the recorder may allocate.
  if (queue_.push(stop_node_) == Pushed::must_wake) wake();
}

// Once it is pushed, the node may be gone. So may this mailbox, unless it must wait for our wake.
bool Mailbox::push(PostNode& node) noexcept {
  if (trace::counts()) [[unlikely]]
    return push_on_record(node);
#if !defined(NDEBUG) || defined(CORERING_CHECKS)
  kernel_.posted();
#endif
  const Pushed pushed = queue_.push(node);
  if (pushed == Pushed::must_wake) wake();
  return pushed != Pushed::closed;
}

// A function of its own, so that a push without a recording has no calls to make room for.
bool Mailbox::push_on_record(PostNode& node) noexcept {
  kernel_.posted();
  const void* const id = &node;
  const std::uint64_t now = trace::stamp();
  node.pushed = LoopTimes::units_of(now);
  const bool records = trace::enabled();
  if (records)
    trace::record_at(now, Kind::pushed, trace::no_opcode, id, task_in_trace(node),
                     reinterpret_cast<std::uintptr_t>(owner_));
  const Pushed pushed = queue_.push(node);
  if (records && pushed == Pushed::queued) trace::record(Kind::wake_elided, trace::no_opcode, id);
  if (pushed == Pushed::must_wake) {
    if (records) trace::record(Kind::wake_written, trace::no_opcode, id);
    wake();
  }
  return pushed != Pushed::closed;
}

void Mailbox::wake() noexcept {
  check_process();
  kernel_.wake(eventfd_);
  // After this we do not touch the mailbox: it may end when it has seen this count.
  queue_.wake_is_written();
}

void Mailbox::check_process() const noexcept {
  CORERING_ASSERT(
      is_in_its_process(),
      "a worker of the parent process was used in a child after fork(): the child may only call exec "
      "or _exit, or make workers of its own");
}

void Mailbox::close() noexcept {
  CORERING_ASSERT(!wake_read_armed_ && !queue_.awaits_wakes(),
                  "an eventfd is closed when nobody uses it any more");
  kernel_.close(eventfd_);
}

int Mailbox::open() noexcept {
  eventfd_ = kernel_.open_eventfd();
  return eventfd_ < 0 ? eventfd_ : 0;
}

void Mailbox::arm_wake_read(Sqe& sqe, std::uint64_t user_data) noexcept {
  CORERING_ASSERT(!wake_read_armed_, "the wake read was armed twice at the same time");
  sqe = Sqe{.opcode = static_cast<std::uint8_t>(Opcode::read),
            .fd = eventfd_,
            .addr = reinterpret_cast<std::uintptr_t>(&wake_count_),
            .len = sizeof wake_count_,
            .user_data = user_data};
  wake_read_armed_ = true;
}

void Mailbox::wake_read_done() noexcept {
  CORERING_ASSERT(wake_read_armed_, "only an armed wake read is done");
  wake_read_armed_ = false;
}

}  // namespace corering
