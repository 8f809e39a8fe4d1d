/// strand.cpp — where a strand is.
#include <mutex>

#include <corering/base/assert.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/strand.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {

void Strand::record_spawned(const char* name) const noexcept {
  trace::record(trace::Kind::spawned, trace::no_opcode, this, reinterpret_cast<std::uintptr_t>(parent_),
                trace::key_of(spawned_at, name));
}

void Strand::start_on(Loop& here) noexcept {
  CORERING_DEBUG_ASSERT(!ended_ && location_ == nullptr, "a strand starts where it is not yet anywhere");
  location_ = &here;  // nobody else knows of it yet
  here.hosts(*this);
}

void Strand::start_at(Loop& there, PostNode& node) noexcept {
  CORERING_DEBUG_ASSERT(!ended_ && location_ == nullptr, "a strand starts once");
  node.strand = this;
  location_ = &there;
}

// Only the strand itself changes its location, so what it reads here is true.
void Strand::check_is_here() const noexcept {
  if (location_ == nullptr || location_ == here::loop()) return;
  fail_assertion(
      "the task spawned at this place is on its worker",
      "a task was resumed on a thread that is not its worker's: wait for other threads with SharedEvent or "
      "SharedChannel, which bring it home",
      spawned_at);
}

bool Strand::hop(Loop& there, PostNode& node) noexcept {
  Loop* const here = here::loop();
  check_is_here();
  unlink();
  node.strand = this;
  only_place_.store(nullptr, std::memory_order_relaxed);
  {
    const std::lock_guard lock(lock_);
    Loop* const left = location_;
    location_ = &there;
    // We post with the lock held: whoever already finds the strand there also finds its location set.
    if (there.mailbox().post(node)) return true;
    location_ = left;
  }
  node.strand = nullptr;
  if (here != nullptr) here->hosts(*this);
  return false;
}

void Strand::go_home(Loop& home, PostNode& node) noexcept {
  check_is_here();
  unlink();
  node.strand = this;
  const std::lock_guard lock(lock_);
  location_ = &home;
  const bool pushed = home.mailbox().post_regardless(node);
  CORERING_ASSERT(pushed, "a worker ended before a scope that it had opened");
}

void Strand::end() noexcept {
  CORERING_ASSERT(!ended_, "a strand ends once");
  check_is_here();
  unlink();
  {
    const std::lock_guard lock(lock_);
    location_ = nullptr;
    ended_ = true;
    if (message_under_way_) return;
  }
  on_end();
}

bool Strand::is_here() noexcept {
  const std::lock_guard lock(lock_);
  return location_ != nullptr && location_ == here::loop();
}

}  // namespace corering
