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

namespace {

[[gnu::always_inline]] inline void require_worker_for_spawn(const Loop* here, const Strand& strand) noexcept {
  CORERING_ASSERT_AT(strand.spawned_at, here != nullptr,
                     "spawn() was called on a thread without a worker: use worker.spawn(task)");
}

[[gnu::always_inline]] inline void start_unrecorded_here(Loop& here, Strand& strand,
                                                         std::coroutine_handle<> coroutine) noexcept {
  strand.set_birthplace(here);
  strand.start_on(here);
  here.schedule(coroutine);
}

}  // namespace

void start_spawned_here(Strand& strand, std::coroutine_handle<> coroutine) noexcept {
  Loop* const here = here::loop();
  require_worker_for_spawn(here, strand);
  if (trace::enabled()) [[unlikely]]
    strand.record_spawned(nullptr);
  start_unrecorded_here(*here, strand, coroutine);
}

void start_spawned_here(Strand& strand, std::coroutine_handle<> coroutine, const char* name) noexcept {
  Loop* const here = here::loop();
  require_worker_for_spawn(here, strand);
  if (trace::enabled()) strand.record_spawned(name);
  start_unrecorded_here(*here, strand, coroutine);
}

namespace {

[[gnu::always_inline]] inline bool start_unrecorded(Worker& worker, Strand& strand, PostNode& node,
                                                    std::coroutine_handle<> coroutine) noexcept {
  node.coroutine = coroutine;
  strand.set_birthplace(worker.loop());
  strand.start_at(worker.loop(), node);
  return post(worker.loop(), node);
}

// It ends with the start, so that a start that is not recorded needs no register for later.
[[gnu::noinline]] bool record_and_start(Worker& worker, Strand& strand, PostNode& node,
                                        std::coroutine_handle<> coroutine) noexcept {
  strand.record_spawned(nullptr);
  return start_unrecorded(worker, strand, node, coroutine);
}

}  // namespace

bool start_spawned(Worker& worker, Strand& strand, PostNode& node,
                   std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const here = here::loop(); here != nullptr && here == &worker.loop()) {
    start_spawned_here(strand, coroutine);
    return true;
  }
  if (trace::enabled()) [[unlikely]]
    return record_and_start(worker, strand, node, coroutine);
  return start_unrecorded(worker, strand, node, coroutine);
}

bool start_spawned(Worker& worker, Strand& strand, PostNode& node, std::coroutine_handle<> coroutine,
                   const char* name) noexcept {
  if (Loop* const here = here::loop(); here != nullptr && here == &worker.loop()) {
    start_spawned_here(strand, coroutine, name);
    return true;
  }
  if (trace::enabled()) strand.record_spawned(name);
  return start_unrecorded(worker, strand, node, coroutine);
}

// Nearly always a task on a worker waits, in its scope.
void Joiner::prepare(std::coroutine_handle<> coroutine, PromiseBase* promise) noexcept {
  node_.coroutine = coroutine;
  node_.kind = PostNode::Kind::homecoming;
  Loop* const home = home_ = here::loop();
  promise_ = promise;
  Scope* const scope = promise != nullptr ? promise->scope : nullptr;
  if (home == nullptr || scope == nullptr) [[unlikely]]
    return prepare_elsewhere();
  scope->waits_for(this, home->turn_ticks());
  if (trace::enabled()) [[unlikely]]
    record_joins();
  home->expect_homecoming();
  if (home->refuses_waits(scope)) [[unlikely]]
    cancel_task();
}

[[gnu::noinline]] void Joiner::prepare_elsewhere() noexcept {
  begin_wait(promise_, home_);
  if (trace::enabled()) record_joins();
  if (home_ == nullptr) return;
  home_->expect_homecoming();
  if (home_->refuses_waits(nullptr)) cancel_task();
}

// A join in a cancelled scope cannot be refused, because the task must be joined in any case. So we cancel
// the task.
[[gnu::noinline]] void Joiner::cancel_task() noexcept {
  CORERING_DEBUG_ASSERT(node_.coroutine, "somebody waits for the task that is cancelled");
  CancelProtocol::request(task_, {.reason = CancelReason::asked()});
}

[[gnu::noinline]] void Joiner::record_joins() const noexcept {
  CORERING_DEBUG_ASSERT(node_.coroutine, "a wait is recorded when it is known who waits");
  record_begin(node_.coroutine);
  trace::record(trace::Kind::joins, trace::no_opcode, this, reinterpret_cast<std::uintptr_t>(&task_));
}

// A task that had ended before was not waited for.
[[gnu::noinline]] void Joiner::record_woken() const noexcept {
  if (node_.coroutine) record_end(true);
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
