/// switch_to_worker.cpp — the hop, step by step as the trace shows it.
#include <cerrno>
#include <utility>

#include <corering/base/assert.hpp>
#include <corering/core/switch_to_worker.hpp>
#include <corering/trace/recorder.hpp>

namespace corering {

bool SwitchToWorker::await_suspend(std::coroutine_handle<> coroutine) noexcept {
  node_.coroutine = coroutine;
  if (trace::enabled()) [[unlikely]] {
    trace::record(trace::Kind::await, trace::no_opcode, &node_,
                  reinterpret_cast<std::uintptr_t>(coroutine.address()), trace::pack_place(where_));
  }
  // From a successful post on, this frame belongs to the other thread: nothing of it may be touched here.
  const void* const id = &node_;
  waiting_ = true;
  if (!engine::post(worker_, node_)) {
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
    trace::record(trace::Kind::resumed_on_worker, trace::no_opcode, &node_,
                  reinterpret_cast<std::uintptr_t>(node_.coroutine.address()));
  }
  return {};
}

namespace engine {

Homecoming::Homecoming(const Worker& destination) noexcept : home_(current_worker()) {
  if (home_ == &destination) home_ = nullptr;
  if (home_ != nullptr) expect_homecoming();
}

Homecoming::~Homecoming() {
  if (home_ == nullptr || posted_) return;
  CORERING_ASSERT(current_worker() == home_, "a coroutine that promised to come home ended elsewhere");
  forgo_homecoming();
}

void Homecoming::await_suspend(std::coroutine_handle<> coroutine) noexcept {
  node_.coroutine = coroutine;
  node_.kind = PostNode::Kind::homecoming;
  posted_ = true;
  post_home(*home_, node_);
}

void Homecoming::await_resume() noexcept {}

}  // namespace engine
}  // namespace corering
