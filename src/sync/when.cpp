/// when.cpp — counting members down.
#include <corering/base/assert.hpp>
#include <corering/engine/cancel_protocol.hpp>
#include <corering/engine/here.hpp>
#include <corering/sync/when.hpp>

namespace corering::detail {

Members::~Members() {
  CORERING_ASSERT(left_ == 0, "a coroutine was destroyed while members that it awaits were still running");
}

void Members::prepare(std::coroutine_handle<> outer, PromiseBase* promise) noexcept {
  here::require_worker(
      "when_all or when_any was awaited on a thread without a worker: run it in a task, as in "
      "sync_wait(worker.spawn(task()).value())",
      promise);
  home_loop_ = here::loop();
  require_scope(promise);
  outer_ = outer;
  begin_wait(promise);
}

bool Members::start(MemberBase& member) noexcept {
  ++total_;
  ++left_;
  running_.push_back(member);
  const bool has_ended = member.start(*this, promise_, promise_->scope, promise_->awaiting);
  if (!has_ended || until_ == Until::all) return true;
  // It is the first at once, whatever happens to those that have begun before it.
  first_ = &member;
  cancel_the_others();
  return false;
}

Wait* Members::cancel(const CancelCause& cause) noexcept {
  running_.for_each([&cause](MemberBase& member) { CancelProtocol::cancel_member(member.strand(), cause); });
  return nullptr;
}

void Members::cancel_the_others() noexcept { (void)cancel({.reason = CancelReason::asked()}); }

void Members::member_ended(MemberBase& member) noexcept {
  CORERING_ASSERT(left_ > 0, "no more members end than have started");
  member.unlink();
  --left_;
  const bool is_first = first_ == nullptr;
  const bool is_first_failure = member.exception() && !exception_;
  if (is_first) first_ = &member;
  if (is_first_failure) exception_ = member.exception();
  if (is_first_failure || (is_first && until_ == Until::first)) cancel_the_others();
  if (left_ > 0) return;
  end_wait();
  here::schedule(outer_);
}

void Members::describe(std::string& text) const {
  text.append(std::to_string(left_)).append(" of ").append(std::to_string(total_)).append(" members");
}

}  // namespace corering::detail
