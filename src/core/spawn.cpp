/// spawn.cpp — how a task starts on a worker, who is told of its end, and where an exception goes that nobody
/// takes.
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include <corering/core/spawn.hpp>
#include <corering/core/worker.hpp>
#include <corering/engine/post.hpp>
#include <corering/trace/recorder.hpp>

#include "engine/loop.hpp"

namespace corering {
namespace {

using trace::Kind;

std::atomic<DetachedExceptionHandler> detached_exception_handler = nullptr;

}  // namespace

void set_detached_exception_handler(DetachedExceptionHandler handler) noexcept {
  detached_exception_handler.store(handler, std::memory_order_release);
}

namespace detail {

void report_detached_exception(std::exception_ptr exception) noexcept {
  if (const auto handler = detached_exception_handler.load(std::memory_order_acquire); handler != nullptr) {
    return handler(std::move(exception));
  }
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    dprintf(2, "corering: a detached task ended with an exception: %s\n", error.what());
  } catch (...) {
    dprintf(2, "corering: a detached task ended with an exception that is not a std::exception\n");
  }
  std::abort();
}

void start_spawned_here(Strand& strand, std::coroutine_handle<> coroutine) noexcept {
  Loop& here = require_loop("spawn() was called on a thread without a worker: use worker.spawn(task)");
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::spawned, trace::no_opcode, coroutine.address());
  strand.set_birthplace(here);
  strand.start_on(here);
  here.schedule(coroutine);
}

bool start_spawned(Worker& worker, Strand& strand, PostNode& node,
                   std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const here = here::loop(); here != nullptr && here == &worker.loop()) {
    start_spawned_here(strand, coroutine);
    return true;
  }
  node.coroutine = coroutine;
  strand.set_birthplace(worker.loop());
  strand.start_at(worker.loop(), node);
  return post(worker.loop(), node);
}

void Joiner::prepare(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
  node_.coroutine = coroutine;
  node_.kind = PostNode::Kind::homecoming;
  home_ = here::loop();
  begin_wait(promise, home_);
  if (home_ == nullptr) return;
  home_->expect_homecoming();
  // A join in a cancelled scope cannot be refused, because the task must be joined in any case. So we cancel
  // the task.
  if (home_->refuses_waits(promise != nullptr ? promise->scope : nullptr)) {
    CancelProtocol::request(task_, {.reason = CancelReason::asked()});
  }
}

void Joiner::withdraw() noexcept {
  if (home_ != nullptr) home_->forgo_homecoming();
}

void Joiner::wake() noexcept {
  if (home_ == nullptr) {
    here::adopt(promise_);
    return here::schedule(node_.coroutine);
  }
  if (home_ != here::loop()) return home_->mailbox().post_home(node_);
  home_->forgo_homecoming();
  home_->schedule(node_.coroutine);
}

bool Joiner::waits_on(const LoopFront& there) const noexcept { return home_ == &there; }

// If the task is here, we do not cancel it inside this call: a long chain of joins would grow the stack.
Wait* Joiner::cancel(const CancelCause& cause) noexcept {
  if (task_.is_here()) return &task_;
  CancelProtocol::request(task_, cause);
  return nullptr;
}

void Joiner::describe(std::string& text) const {
  text.append("the task spawned at ").append(task_.spawned_at.file_name());
  text.append(":").append(std::to_string(task_.spawned_at.line()));
}

}  // namespace detail
}  // namespace corering
