/// here.cpp — the compiled side of here.hpp: from "this thread" to its loop.
#include <limits>
#include <sys/socket.h>
#include <utility>

#include <corering/base/outside.hpp>
#include <corering/engine/here.hpp>

#include "engine/loop.hpp"

namespace corering {
namespace {

/// What a thread without a worker runs while it is inside run(). It is kept from one sync_wait to the next,
/// and freed when the thread ends.
struct PlainThread {
  ReadyQueue ready;
  unsigned depth = 0;  // sync_wait may be called by a coroutine that another sync_wait runs
};

// The pointer has no destructor, so it can be read at any time in the life of a thread.
constinit thread_local PlainThread* plain_thread = nullptr;
constinit thread_local bool thread_is_ending = false;

[[gnu::noinline]] PlainThread* plain_thread_here() noexcept { return plain_thread; }

struct Reaper {
  Reaper() noexcept = default;
  Reaper(Reaper&&) = delete;
  ~Reaper() {
    delete std::exchange(plain_thread, nullptr);
    thread_is_ending = true;
  }
};

/// Runs `coroutine` on this thread as `here`.
void run_as(PlainThread& here, std::coroutine_handle<> coroutine) {
  here.ready.prepare();
  here.ready.push(coroutine);
  ++here.depth;
  here.ready.run(std::numeric_limits<std::size_t>::max());
  --here.depth;
}

// A destructor of a static or a thread_local object may call sync_wait after our own destructor has run. Then
// the queue lives for one call.
[[gnu::noinline]] void run_at_the_end_of_the_thread(std::coroutine_handle<> coroutine) {
  PlainThread here;
  here.ready.prepare();
  plain_thread = &here;
  run_as(here, coroutine);
  plain_thread = nullptr;
}

}  // namespace

namespace here {

void schedule(std::coroutine_handle<> coroutine) noexcept {
  if (Loop* const loop = here::loop(); loop != nullptr) return loop->schedule(coroutine);
  // A thread that is not ours and resumes one of our coroutines is not inside run(). It then runs what that
  // coroutine makes ready.
  if (PlainThread* const here = plain_thread_here(); here != nullptr && here->depth > 0) {
    return here->ready.push(coroutine);
  }
  run(coroutine);
}

void expect_homecoming() noexcept {
  require_loop("only a worker expects coroutines back").expect_homecoming();
}

void forgo_homecoming() noexcept { require_loop("only a worker expects coroutines back").forgo_homecoming(); }

void require_worker(const char* message, const PromiseBase* promise) noexcept {
  (void)require_loop(message, promise);
}

void require_worker(const char* message, std::source_location where) noexcept {
  CORERING_ASSERT_AT(where, loop() != nullptr, message);
}

bool refuses_waits(const PromiseBase* promise) noexcept {
  const Loop* const here = here::loop();
  const Scope* const scope = promise != nullptr ? promise->scope : nullptr;
  return here != nullptr ? here->refuses_waits(scope) : scope != nullptr && scope->is_cancelled();
}

bool is_cancelled_by_now(const PromiseBase* promise) noexcept {
  if (Loop* const here = here::loop(); here != nullptr) here->look_outside();
  return refuses_waits(promise);
}

TimePoint now() noexcept { return require_loop("here::now() was called on a thread without a worker").now(); }

bool arm(TimerNode& node, TimePoint deadline) noexcept {
  return require_loop("timers belong to workers").arm(node, deadline);
}

void disarm(TimerNode& node) noexcept { require_loop("timers belong to workers").disarm(node); }

void look_after(Wait& wait) noexcept {
  require_loop("look_after() was called on a thread without a worker").look_after(wait);
}

std::uint64_t turn_ticks() noexcept {
  return require_loop("turn_ticks() was called on a thread without a worker").turn_ticks();
}

bool lingers(int fd) noexcept {
  linger set;  // is read only if the call has filled it
  socklen_t length = sizeof set;
  return os::get_option(fd, SOL_SOCKET, SO_LINGER, &set, &length) == 0 && set.l_onoff != 0 &&
         set.l_linger > 0;
}

void close_now(Fd fd) noexcept {
  Loop* const here = here::loop();
  if (here == nullptr || !here->is_attached() || !here->mailbox().is_in_its_process()) return;
  if (!lingers(fd.get())) return;
  if (here->close_by_helper(fd.get())) (void)fd.release();
}

void adopt(const PromiseBase* promise) noexcept {
  Loop* const here = here::loop();
  Scope* const scope = promise != nullptr ? promise->scope : nullptr;
  if (here != nullptr && scope != nullptr && scope->strand() != nullptr) scope->strand()->start_on(*here);
}

void run(std::coroutine_handle<> coroutine) {
  PlainThread* here = plain_thread_here();
  if (here == nullptr && thread_is_ending) return run_at_the_end_of_the_thread(coroutine);
  if (here == nullptr) {
    static thread_local const Reaper reaper;
    plain_thread = here = new PlainThread;
  }
  run_as(*here, coroutine);
}

}  // namespace here

}  // namespace corering
