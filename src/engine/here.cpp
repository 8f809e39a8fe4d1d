/// here.cpp — the compiled side of here.hpp: from "this thread" to its loop.
#include <limits>

#include <corering/engine/here.hpp>

#include "engine/loop.hpp"

namespace corering {
namespace {

/// What a thread without a worker runs while it is inside run().
struct PlainThread {
  ReadyQueue ready;
  unsigned depth = 0;  // sync_wait may be called by a coroutine that another sync_wait runs
};

[[gnu::noinline]] PlainThread& plain_thread() noexcept {
  static thread_local PlainThread mine;
  return mine;
}

}  // namespace

namespace here {

void schedule(std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const loop = here::loop(); loop != nullptr) return loop->schedule(coroutine);
  // A thread that is not ours and resumes one of our coroutines is not inside run(). It then runs what that
  // coroutine makes ready.
  if (PlainThread& here = plain_thread(); here.depth > 0) return here.ready.push(coroutine);
  run(coroutine);
}

void expect_homecoming() noexcept {
  require_loop("only a worker expects coroutines back").expect_homecoming();
}

void forgo_homecoming() noexcept { require_loop("only a worker expects coroutines back").forgo_homecoming(); }

void require_worker(const char* message, const PromiseBase* promise) noexcept {
  (void)require_loop(message, promise);
}

bool refuses_waits(const PromiseBase* promise) noexcept {
  const Loop* const here = here::loop();
  const Scope* const scope = promise != nullptr ? promise->scope : nullptr;
  return here != nullptr ? here->refuses_waits(scope) : scope != nullptr && scope->is_cancelled();
}

TimePoint now() noexcept { return require_loop("here::now() was called on a thread without a worker").now(); }

void arm(TimerNode& node, TimePoint deadline) noexcept {
  require_loop("timers belong to workers").arm(node, deadline);
}

void disarm(TimerNode& node) noexcept { require_loop("timers belong to workers").disarm(node); }

void look_after(Wait& wait) noexcept {
  require_loop("look_after() was called on a thread without a worker").look_after(wait);
}

std::uint64_t turn_ticks() noexcept {
  return require_loop("turn_ticks() was called on a thread without a worker").turn_ticks();
}

void adopt(const PromiseBase* promise) noexcept {
  Loop* const here = here::loop();
  Scope* const scope = promise != nullptr ? promise->scope : nullptr;
  if (here != nullptr && scope != nullptr && scope->strand() != nullptr) scope->strand()->start_on(*here);
}

void run(std::coroutine_handle<> coroutine) {
  PlainThread& here = plain_thread();
  here.ready.push(coroutine);
  ++here.depth;
  here.ready.run(std::numeric_limits<std::size_t>::max());
  --here.depth;
}

}  // namespace here

}  // namespace corering
