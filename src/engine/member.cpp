/// member.cpp — the way of a member: it starts, ends anywhere, comes home, and reports.
#include <corering/base/assert.hpp>
#include <corering/engine/here.hpp>
#include <corering/engine/member.hpp>
#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering::detail {

// A function of its own, so that a start without a recording has no call to make room for.
[[gnu::noinline]] void MemberBase::record_start() const noexcept { strand_.record_spawned(name_in_trace()); }

bool MemberBase::start(MemberOwner& owner, const PromiseBase* outer, Scope* around,
                       std::source_location where) noexcept {
  CORERING_ASSERT(owner_ == nullptr, "a member starts once");
  owner_ = &owner;
  strand_.spawned_at = where;
  strand_.join(around);
  if (trace::enabled()) [[unlikely]]
    record_start();
  inner_promise().scope = &strand_;
  inner_promise().awaited_by = outer;
  strand_.start_on(*owner.home_loop_);
  std::coroutine_handle<> next;
  try {
    next = await_it(handle());
  } catch (...) {
    exception_ = std::current_exception();
    stage_ = Stage::failed_to_begin;
    next = handle();
  }
  // We do not resume it from here: the owner may be about to start others.
  if (next) here::schedule(next);
  return next == handle();
}

void MemberBase::go_on() noexcept {
  if (stage_ == Stage::ended) return owner_->member_ended(*this);
  if (here::loop() != owner_->home_loop_) {
    node_.coroutine = handle();
    return strand_.go_home(*owner_->home_loop_, node_);
  }
  if (stage_ != Stage::failed_to_begin) {
    try {
      take_result();
    } catch (...) {
      exception_ = std::current_exception();
    }
  }
  stage_ = Stage::ended;
  strand_.end();
}

// This runs on the worker where the strand's last message came in, which may be another one.
void MemberBase::report() noexcept {
  if (here::loop() == owner_->home_loop_) return owner_->member_ended(*this);
  node_.coroutine = handle();
  node_.strand = nullptr;
  const bool pushed = owner_->home_loop_->mailbox().post_regardless(node_);
  CORERING_ASSERT(pushed, "a worker ended before the members of its tasks");
}

}  // namespace corering::detail
