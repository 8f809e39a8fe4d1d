/// multishot.cpp — what happens to a reply: it is kept, it resumes somebody, or nobody wants it any more.
#include <corering/core/multishot.hpp>

#include "core/loop.hpp"

namespace corering::detail {

void MultishotBlock::arm() noexcept {
  if (is_idle()) start(nullptr, nullptr);
}

Reply MultishotBlock::take() noexcept {
  const Reply reply = replies_[next_++];
  if (next_ == replies_.size()) {
    replies_.clear();
    next_ = 0;
  }
  return reply;
}

void MultishotBlock::received(const Reply& reply) noexcept {
  const bool last = reply.is_last();
  if (last) become_idle();
  if (abandoned_) {
    dispose(reply);
    if (last) delete this;
    return;
  }
  const bool was_paused = last && std::exchange(pausing_, false) && reply.res == -ECANCELED;
  if (!was_paused) {
    keep(reply);
  } else if (!line_.empty()) {
    arm();
  }
}

void MultishotBlock::keep(const Reply& reply) noexcept {
  replies_.push_back(reply);
  if (!line_.empty()) line_.front().wake();
  if (!reply.is_last() && replies_.size() - next_ >= limit_) pause();
}

void MultishotBlock::pause() noexcept {
  if (std::exchange(pausing_, true)) return;
  Loop::current()->cancel(*this);
}

void MultishotBlock::abandon() noexcept {
  CORERING_ASSERT(line_.empty(), "a stream was destroyed while somebody awaited its next()");
  while (has_reply()) dispose(take());
  if (is_idle()) {
    delete this;
    return;
  }
  CORERING_ASSERT(Loop::current() != nullptr, "a stream was destroyed on another thread than its worker's");
  abandoned_ = true;
  Loop::current()->cancel(*this);
}

}  // namespace corering::detail
