/// task_group.cpp — who runs, who waits for a turn, and what a failure does.
#include <corering/sync/task_group.hpp>

#include <corering/base/assert.hpp>
#include <corering/core/engine.hpp>

namespace corering {

TaskGroup::~TaskGroup() {
  CORERING_ASSERT(unfinished_ == 0, "a coroutine was destroyed while tasks of its group ran");
}

void TaskGroup::begin(std::coroutine_handle<> joining, Frame* outer) noexcept {
  open(outer);
  joining_ = joining;
  outer_ = outer;
  home_loop_ = home();
}

void TaskGroup::add(ChildBase& child, std::source_location where) noexcept {
  CORERING_ASSERT(is_home(), "a task was spawned into a group on another worker than the group's");
  child.spawned_at = where;
  ++unfinished_;
  if (running_count_ < max_running_) return start(child);
  in_line_.push_back(child);
}

void TaskGroup::start(ChildBase& child) noexcept {
  ++running_count_;
  running_.push_back(child);
  child.begin(*this, outer_, this, child.spawned_at);
}

void TaskGroup::member_ended(detail::MemberBase& member) noexcept {
  auto& child = static_cast<ChildBase&>(member);
  child.unlink();
  --running_count_;
  --unfinished_;
  if (child.exception()) fail(child.exception());
  if (const std::error_code error = child.error()) fail(error);
  child.dispose();
  start_those_in_line();
  if (has_room() && !waiting_for_room_.empty()) waiting_for_room_.front().wake();
  finish_if_ended();
}

void TaskGroup::start_those_in_line() noexcept {
  while (!in_line_.empty() && (cancelled() || running_count_ < max_running_)) {
    auto& next = static_cast<ChildBase&>(in_line_.pop_front());
    if (!cancelled()) {
      start(next);
      continue;
    }
    --unfinished_;
    if (!cancelled_by_itself_ && !cut_) cut_ = reason().error();
    next.dispose();
  }
}

void TaskGroup::body_ended(Frame* body) noexcept {
  body_runs_ = false;
  join_.begin_wait(body);
  finish_if_ended();
}

void TaskGroup::finish_if_ended() noexcept {
  if (body_runs_ || unfinished_ > 0) return;
  join_.end_wait();
  close();
  engine::schedule(joining_);
}

void TaskGroup::cancel() noexcept {
  CORERING_ASSERT(is_home(), "a group was cancelled on another worker than its own");
  if (!cancelled()) cancelled_by_itself_ = true;
  request_cancel(CancelReason::asked());
}

void TaskGroup::fail(std::exception_ptr exception) noexcept {
  if (!exception_) exception_ = std::move(exception);
  cancel();
}

void TaskGroup::fail(const std::error_code& error) noexcept {
  if (cancelled() && is_cancellation(error)) {
    if (!cancelled_by_itself_ && !cut_) cut_ = error;
    return;
  }
  if (!error_) error_ = error;
  cancel();
}

void TaskGroup::cancel_members(const CancelCause& cause) noexcept {
  running_.for_each([&cause](detail::MemberBase& member) { member.strand().cancel(cause); });
}

void TaskGroup::Join::describe(std::string& text) const {
  text.append(std::to_string(group_.size())).append(" tasks of its group");
}

void TaskGroup::Room::describe(std::string& text) const { text += "room in a group"; }

}  // namespace corering
