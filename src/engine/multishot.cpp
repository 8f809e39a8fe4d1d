/// multishot.cpp — what happens to a reply: it is kept, it resumes a coroutine, or nobody wants it any more.
#include <cerrno>
#include <new>

#include <corering/engine/multishot.hpp>

#include "engine/loop.hpp"

namespace corering::detail {

// A coroutine waits. On a closed descriptor nothing is begun, because its number may be somebody else's.
void MultishotBlock::wanted() noexcept {
  if (closed_ && is_idle()) return keep({.res = -ECANCELED});
  arm();
}

void MultishotBlock::bind() noexcept {
  Loop* const here = here::loop();
  CORERING_ASSERT(here != nullptr && (home_ == nullptr || here == home_),
                  "a stream was used on a worker that is not its own");
  if (home_ == nullptr) here->knows(*this, descriptor());
  home_ = here;
}

void MultishotBlock::arm() noexcept {
  bind();
  if (!is_idle()) return;
  const PromiseBase* const waiting = line_.empty() ? nullptr : line_.front().promise();
  begin_unscoped(waiting != nullptr ? waiting->scope : nullptr, request_);
}

void MultishotBlock::received(const Reply& reply) noexcept {
  Reply filed = reply;
  this->filed(filed);
  if (reply.is_last()) become_idle();
  if (abandoned_) {
    dispose(filed);
    if (reply.is_last()) delete this;
  } else if (reply.is_last()) {
    ended(filed);
  } else {
    keep(filed);
    if (replies_.size() >= limit_) pause();
  }
}

// If we have cancelled a stream ourselves because it was too fast, that is not an answer. If a stopping
// worker has cancelled it, that is not an answer either for a coroutine that waits in a shield: there the
// stream may still be armed.
void MultishotBlock::ended(const Reply& reply) noexcept {
  const bool was_paused = std::exchange(pausing_, false);
  const bool was_cancelled = reply.res == -ECANCELED;
  if (was_cancelled && closed_) return line_.empty() ? void() : keep(reply);
  if (was_cancelled && was_paused) return line_.empty() ? void() : arm();
  const PromiseBase* const waiting = line_.empty() ? nullptr : line_.front().promise();
  const bool in_a_shield = waiting != nullptr && waiting->scope != nullptr && waiting->scope->is_shielded();
  if (was_cancelled && in_a_shield && !home_->refuses_waits(waiting->scope)) return arm();
  keep(reply);
}

// If there is no memory for a reply, it is disposed of, and whoever waits or comes later gets ENOMEM for it.
void MultishotBlock::keep(const Reply& reply) noexcept {
  try {
    replies_.push(reply);
  } catch (const std::bad_alloc&) {
    dispose(reply);
    lost_ = true;
  }
  if (!line_.empty()) line_.front().wake();
}

Reply MultishotBlock::take() noexcept {
  if (!replies_.empty()) return replies_.take();
  CORERING_ASSERT(lost_, "only what has come can be taken");
  lost_ = false;
  return {.res = -ENOMEM};
}

void MultishotBlock::pause() noexcept {
  if (!std::exchange(pausing_, true)) here::loop()->cancel(*this);
}

void MultishotBlock::lose(int fd) noexcept {
  if (!is_on(fd)) return;
  close();
  here::loop()->cancel(*this);
}

void MultishotBlock::close() noexcept {
  closed_ = true;
  if (is_idle() && !line_.empty()) keep({.res = -ECANCELED});
}

void MultishotBlock::abandon() noexcept {
  CORERING_ASSERT(line_.empty(), "a stream was destroyed while a coroutine awaited its next()");
  while (has_reply()) dispose(take());
  CORERING_ASSERT(!DescriptorUse::is_linked() || here::loop() == home_,
                  "a stream was destroyed on a thread that is not its worker's, before that worker ended");
  DescriptorUse::unlink();
  if (is_idle()) {
    delete this;
    return;
  }
  abandoned_ = true;
  // Its SQE names a descriptor that may be closed, and belong to somebody else, before the next submission.
  home_->cancel_and_submit(*this);
}

}  // namespace corering::detail
