/// engine.cpp — the compiled side of engine.hpp: from "this thread" to its loop.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include <corering/core/engine.hpp>
#include <corering/core/spawn.hpp>
#include <corering/core/sync_wait.hpp>
#include <corering/core/worker.hpp>
#include <corering/trace/recorder.hpp>

#include "core/loop.hpp"

namespace corering {
namespace {

using trace::Kind;

std::atomic<DetachedExceptionHandler> detached_exception_handler = nullptr;

Loop& require_loop(const char* message) noexcept {
  Loop* const loop = Loop::current();
  CORERING_ASSERT(loop != nullptr, message);
  return *loop;
}

/// What a thread without a worker runs while it is inside run_here().
struct PlainThread {
  ReadyQueue ready;
  unsigned depth = 0;  // sync_wait may be called by a coroutine that another sync_wait runs
};

[[gnu::noinline]] PlainThread& plain_thread() noexcept {
  static thread_local PlainThread mine;
  return mine;
}

}  // namespace

// ---- engine ----

namespace engine {

Worker* current_worker() noexcept {
  Loop* const loop = Loop::current();
  return loop == nullptr ? nullptr : &loop->worker();
}

void schedule(std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const loop = Loop::current(); loop != nullptr) return loop->schedule(coroutine);
  // A foreign thread that resumes a coroutine of ours is not inside run_here(): then it runs what that one
  // goes on to.
  if (PlainThread& here = plain_thread(); here.depth > 0) return here.ready.push(coroutine);
  run_here(coroutine);
}

bool post(Worker& worker, PostNode& node) noexcept { return worker.loop().post(node); }

void post_home(Worker& worker, PostNode& node) noexcept { worker.loop().post_home(node); }

void expect_homecoming() noexcept {
  require_loop("only a worker expects coroutines back").expect_homecoming();
}

void forgo_homecoming() noexcept { require_loop("only a worker expects coroutines back").forgo_homecoming(); }

void arm(TimerNode& node, TimePoint deadline) noexcept {
  require_loop(
      "a sleep was awaited on a thread without a worker: hop first, with co_await SwitchToWorker(worker)")
      .arm(node, deadline);
}

void run_here(std::coroutine_handle<> coroutine) {
  PlainThread& here = plain_thread();
  here.ready.push(coroutine);
  ++here.depth;
  here.ready.run(std::numeric_limits<std::size_t>::max());
  --here.depth;
}

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

}  // namespace engine

// ---- spawn ----

void set_detached_exception_handler(DetachedExceptionHandler handler) noexcept {
  detached_exception_handler.store(handler, std::memory_order_release);
}

namespace detail {

Worker& require_current_worker(const char* message) noexcept { return require_loop(message).worker(); }

bool start_spawned(Worker& worker, PostNode& node, std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const here = Loop::current(); here != nullptr && here == &worker.loop()) {
    if (trace::enabled()) [[unlikely]]
      trace::record(Kind::spawned, trace::no_opcode, coroutine.address());
    here->schedule(coroutine);
    return true;
  }
  node.coroutine = coroutine;
  return engine::post(worker, node);
}

void Joiner::prepare(std::coroutine_handle<> coroutine) noexcept {
  node_.coroutine = coroutine;
  node_.kind = PostNode::Kind::homecoming;
  home_ = engine::current_worker();
  if (home_ != nullptr) engine::expect_homecoming();
}

void Joiner::withdraw() noexcept {
  if (home_ != nullptr) engine::forgo_homecoming();
}

std::coroutine_handle<> Joiner::wake() noexcept {
  if (home_ == nullptr) return node_.coroutine;
  if (home_ == engine::current_worker()) {
    engine::forgo_homecoming();
    return node_.coroutine;
  }
  engine::post_home(*home_, node_);
  return nullptr;
}

// ---- sync_wait ----

void run_root(std::coroutine_handle<> root, OneShot& ended) {
  CORERING_ASSERT(
      Loop::current() == nullptr,
      "sync_wait() was called on a worker's thread, which would wait for itself: co_await instead");
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::sync_wait_begin, trace::no_opcode, root.address());
  engine::run_here(root);
  ended.wait();
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::sync_wait_end, trace::no_opcode, root.address());
}

void end_root(std::coroutine_handle<> root, OneShot& ended) noexcept {
  if (trace::enabled()) [[unlikely]]
    trace::record(Kind::root_done, trace::no_opcode, root.address());
  ended.set();
}

}  // namespace detail
}  // namespace corering
