/// task_group.cpp — which tasks run, which wait in line, and what a failure does.
#include <corering/base/assert.hpp>
#include <corering/core/cancellation.hpp>
#include <corering/engine/cancel_protocol.hpp>
#include <corering/engine/here.hpp>
#include <corering/sync/task_group.hpp>

namespace corering {

TaskGroup::~TaskGroup() {
  CORERING_ASSERT(unfinished_ == 0, "a coroutine was destroyed while tasks of its group were still running");
}

void TaskGroup::begin(std::coroutine_handle<> joining, PromiseBase* outer) noexcept {
  open(outer);
  joining_ = joining;
  outer_ = outer;
  home_loop_ = home();
  join_.joins(outer, joining);
  waits_for(&join_, here::turn_ticks());
}

void TaskGroup::begin_body(detail::MemberBase& body) noexcept {
  body_member_ = &body;
  running_.push_back(body);
  (void)body.start(*this, outer_, this, outer_->awaiting);
}

void TaskGroup::body_failed(std::exception_ptr exception) noexcept {
  fail(std::move(exception));
  body_runs_ = false;
  finish_if_ended();
}

void TaskGroup::add(ChildBase& child, std::source_location where) noexcept {
  CORERING_ASSERT_AT(where, is_home(),
                     "a task was spawned into a group on a worker that is not the group's worker");
  child.spawned_at = where;
  ++unfinished_;
  if (running_count_ < max_running_) return start(child);
  in_line_.push_back(child);
}

void TaskGroup::start(ChildBase& child) noexcept {
  ++running_count_;
  running_.push_back(child);
  child.start(*this, outer_, this, child.spawned_at);
}

void TaskGroup::member_ended(detail::MemberBase& member) noexcept {
  member.unlink();
  if (member.exception()) fail(member.exception());
  if (&member == body_member_) {
    take_body_failure();
    body_runs_ = false;
  } else {
    child_ended(static_cast<ChildBase&>(member));
  }
  finish_if_ended();
}

void TaskGroup::child_ended(ChildBase& child) noexcept {
  CORERING_ASSERT(running_count_ > 0 && unfinished_ >= running_count_, "no more tasks end than have started");
  --running_count_;
  --unfinished_;
  if (const std::error_code error = child.error()) fail(error);
  child.dispose();
  start_those_in_line();
  // This wakes all of them, because one that went on alone might not use the room.
  while (has_room() && !waiting_for_room_.empty()) waiting_for_room_.front().wake();
}

void TaskGroup::start_those_in_line() noexcept {
  while (!in_line_.empty() && (is_cancelled() || running_count_ < max_running_)) {
    auto& next = static_cast<ChildBase&>(in_line_.pop_front());
    if (!is_cancelled()) {
      start(next);
      continue;
    }
    --unfinished_;
    if (!cancelled_by_itself_ && !cut_) cut_ = reason().error();
    next.dispose();
  }
}

void TaskGroup::finish_if_ended() noexcept {
  if (body_runs_ || unfinished_ > 0) return;
  waits_no_more();
  join_.ended();
  close();
  here::schedule(joining_);
}

void TaskGroup::cancel() noexcept {
  CORERING_ASSERT(is_home(), "a group was cancelled on a worker that is not its own");
  if (!is_cancelled()) cancelled_by_itself_ = true;
  // The coroutine that awaits the group stays where the group is.
  CancelProtocol::cancel_here(*this, {.reason = CancelReason::asked()});
}

void TaskGroup::fail(std::exception_ptr exception) noexcept {
  if (!exception_) exception_ = std::move(exception);
  cancel();
}

void TaskGroup::fail(const std::error_code& error) noexcept {
  if (is_cancelled() && is_cancellation(error)) {
    if (!cancelled_by_itself_ && !cut_) cut_ = error;
    return;
  }
  if (!error_) error_ = error;
  cancel();
}

void TaskGroup::cancel_members(const CancelCause& cause) noexcept {
  running_.for_each(
      [&cause](detail::MemberBase& member) { CancelProtocol::cancel_member(member.strand(), cause); });
}

void TaskGroup::Join::describe(std::string& text) const {
  text.append(std::to_string(group_.size())).append(" tasks");
  text.append(group_.body_runs_ ? " and the body of its group" : " of its group");
}

void TaskGroup::Room::describe(std::string& text) const { text += "room in a group"; }

}  // namespace corering
