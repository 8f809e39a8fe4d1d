/// mailbox.cpp — a push and the wake that it may owe; the wake's way through the eventfd.
#include "engine/mailbox.hpp"

#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {
namespace {

using trace::Kind;

void record(Kind kind, const void* id) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(kind, trace::no_opcode, id);
}

}  // namespace

void Mailbox::request_stop() noexcept {
  if (stop_requested_.exchange(true, std::memory_order_acq_rel)) return;
  refuse_posts();
  stop_node_.kind = PostNode::Kind::stop;
  // We do not use push() here: a signal handler may be the caller, and the recorder may allocate.
  if (queue_.push(stop_node_) == MpscQueue::Pushed::must_wake) wake();
}

bool Mailbox::push(PostNode& node) noexcept {
  const void* const id = &node;
  if (trace::enabled()) [[unlikely]] {
    const void* const coroutine = node.kind == PostNode::Kind::call ? nullptr : node.coroutine.address();
    trace::record(Kind::pushed, trace::no_opcode, id, reinterpret_cast<std::uintptr_t>(coroutine),
                  reinterpret_cast<std::uintptr_t>(owner_));
  }
  // Once it is pushed, the node may be gone. So may this mailbox, unless it must wait for our wake.
  switch (queue_.push(node)) {
    case MpscQueue::Pushed::closed:
      return false;
    case MpscQueue::Pushed::queued:
      record(Kind::wake_elided, id);
      return true;
    case MpscQueue::Pushed::must_wake:
      record(Kind::wake_written, id);
      wake();
      return true;
  }
  return false;
}

void Mailbox::wake() noexcept {
  Kernel& kernel = kernel_;
  const int eventfd = eventfd_;
  // After this we do not touch the mailbox: it ends when it has seen this count and read this wake.
  wakes_sent_.fetch_add(1, std::memory_order_release);
  kernel.wake(eventfd);
}

void Mailbox::close() noexcept {
  CORERING_ASSERT(!wake_read_armed_ && !awaits_wakes(), "an eventfd is closed when nobody uses it any more");
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

void Mailbox::wake_read_done(std::int32_t res) noexcept {
  CORERING_ASSERT(wake_read_armed_, "only an armed wake read is done");
  wake_read_armed_ = false;
  if (res == sizeof wake_count_) received_wakes_ += wake_count_;
}

// Every wake that has come through the kernel was counted before. This loop makes that true for the memory
// model too.
void Mailbox::join_posters() const noexcept {
  while (wakes_sent_.load(std::memory_order_acquire) != promised_wakes_) {
  }
}

}  // namespace corering
