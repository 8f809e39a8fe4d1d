/// switch_to_worker.cpp — the hop, step by step as the trace shows it.
#include <cerrno>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/core/switch_to_worker.hpp>
#include <corering/core/worker.hpp>
#include <corering/engine/post.hpp>
#include <corering/engine/strand.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {

SwitchToWorker::SwitchToWorker(Worker& worker) noexcept : there_(worker.loop()) {}
SwitchToWorker::SwitchToWorker(Worker& worker, ForOperation) noexcept
    : there_(worker.loop()), for_operation_(true) {}

// Whoever wrote `co_await operation.on(worker)` has awaited the coroutine that hops.
void SwitchToWorker::record_await(const PromiseBase* promise) const noexcept {
  const PromiseBase* const user =
      for_operation_ && promise != nullptr && promise->awaited_by != nullptr ? promise->awaited_by : promise;
  trace::record(trace::Kind::await, for_operation_ ? trace::hop_of_operation : trace::no_opcode, &node_,
                task_in_trace(promise, node_.coroutine),
                user != nullptr && user->awaiting.line() != 0 ? trace::key_of(user->awaiting) : 0);
}

bool SwitchToWorker::suspend(std::coroutine_handle<> coroutine, const PromiseBase* promise) noexcept {
  node_.coroutine = coroutine;
  if (trace::enabled()) [[unlikely]]
    record_await(promise);
  // After a successful post, this frame belongs to the other thread, and nothing of it may be touched here.
  const void* const id = &node_;
  Strand* const strand = promise != nullptr && promise->scope != nullptr ? promise->scope->strand() : nullptr;
  waiting_ = true;
  const bool posted = strand != nullptr ? strand->hop(there_, node_) : post(there_, node_);
  if (!posted) {
    node_.refused = true;
    return false;
  }
  if (trace::enabled()) [[unlikely]]
    trace::record(trace::Kind::suspended, trace::no_opcode, id);
  return true;
}

Result<void> SwitchToWorker::await_resume() noexcept {
  const bool hopped = std::exchange(waiting_, false);
  if (node_.refused) return failure(ECANCELED);
  if (hopped && trace::enabled()) [[unlikely]] {
    trace::record(trace::Kind::resumed_on_worker, trace::no_opcode, &node_, task_in_trace(node_));
  }
  return {};
}

namespace detail {

Visit::Visit(PromiseBase& own) noexcept : own_(own), outer_(own.scope), back_to_(here::loop()) {
  if (back_to_ == nullptr) return;
  if (outer_ == nullptr) {  // a coroutine of another library is at the root
    here::expect_homecoming();
    return;
  }
  open(&own);
  own.scope = this;
}

bool Visit::await_ready() const noexcept { return back_to_ == nullptr || here::loop() == back_to_; }

void Visit::await_suspend(std::coroutine_handle<> coroutine) noexcept {
  node_.coroutine = coroutine;
  if (outer_ != nullptr) return go_home(node_);
  node_.kind = PostNode::Kind::homecoming;
  post_home(*back_to_, node_);
}

void Visit::await_resume() noexcept {
  if (back_to_ == nullptr) return;
  if (outer_ != nullptr) {
    own_.scope = outer_;
    close();
  } else if (node_.kind != PostNode::Kind::homecoming) {
    here::forgo_homecoming();  // it was here all the time
  }
  back_to_ = nullptr;
}

}  // namespace detail
}  // namespace corering
