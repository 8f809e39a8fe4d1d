/// messages.cpp — the queue of an inbox.
#include <new>

#include <corering/engine/here.hpp>
#include <corering/streams/messages.hpp>

namespace corering {
namespace detail {

InboxQueue::InboxQueue() {
  address_ = {.ring = here::ring_fd(), .user_data = here::open_inbox(*this)};
  here::attach_resource(*this);
}

InboxQueue::~InboxQueue() {
  CORERING_ASSERT(line_.empty(), "an inbox was destroyed while a coroutine waited for its next message");
  if (address_.ring >= 0) here::close_inbox(address_.user_data);
  unlink();
}

void InboxQueue::ring_closes() noexcept { address_.ring = -1; }

void InboxQueue::received(std::int32_t res) noexcept {
  try {
    messages_.push(res);
  } catch (const std::bad_alloc&) {
    lost_ = true;
  }
  if (!line_.empty()) line_.front().wake();
}

std::int32_t InboxQueue::take() noexcept { return messages_.take(); }

}  // namespace detail

Task<Result<std::int32_t>> NumberInbox::receive() {
  const Result<void> there = co_await queue_.wait();
  if (!there) co_return std::unexpected(there.error());
  co_return queue_.take();
}

FileInbox::~FileInbox() {
  while (!queue_.empty()) (void)detail::SlotAnswer(*slots_).decode({.res = queue_.take()});
}

Task<Result<FixedFile>> FileInbox::receive() {
  const Result<void> there = co_await queue_.wait();
  if (!there) co_return std::unexpected(there.error());
  co_return detail::SlotAnswer(*slots_).decode({.res = queue_.take()});
}

}  // namespace corering
